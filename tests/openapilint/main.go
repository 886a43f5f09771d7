// Command openapilint checks OpenAPI documents by rules that are not ours. It
// is a module of its own, so that the product does not depend on the linter.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/speakeasy-api/openapi/linter"
	"github.com/speakeasy-api/openapi/openapi"
	openapiLinter "github.com/speakeasy-api/openapi/openapi/linter"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := lint(context.Background(), name); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

// lint fails where the document is not valid, or breaks a rule in earnest.
func lint(ctx context.Context, name string) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	document, invalid, err := openapi.Unmarshal(ctx, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	rules := linter.NewConfig()
	rules.Extends = []string{"recommended"}
	rules.Rules = []linter.RuleEntry{
		{ID: "owasp-security-hosts-https-oas3", Disabled: new(true)}, // where it is served, https is
		{ID: "owasp-no-credentials-in-url", Disabled: new(true)},     // people follow links
	}
	l, err := openapiLinter.NewLinter(rules)
	if err != nil {
		return err
	}
	found, err := l.Lint(ctx, linter.NewDocumentInfo(document, name), invalid, nil)
	if err != nil {
		return err
	}
	fmt.Println(found.FormatText())
	if len(invalid) > 0 || found.HasErrors() {
		return errors.New("the document has errors")
	}
	return nil
}
