// Package web holds the pages that a browser is shown, embedded.
package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
)

var (
	//go:embed activation.html
	activationHTML string
	//go:embed style.css
	style string
)

// Pages renders the pages.
type Pages struct {
	activation *template.Template
	policy     string
}

// NewPages parses the templates.
func NewPages() *Pages {
	sum := sha256.Sum256([]byte(style))
	return &Pages{
		activation: template.Must(template.New("activation").Parse(activationHTML)),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
}

// Activation gives the confirmation page, with a button or without, and its
// Content-Security-Policy: its one style sheet, forms to ourselves, no script.
func (p *Pages) Activation(sentence string, button bool) (page []byte, policy string) {
	var b bytes.Buffer
	data := struct {
		Sentence string
		Button   bool
		Style    template.CSS
	}{sentence, button, template.CSS(style)} //nolint:gosec // our own file
	if err := p.activation.Execute(&b, data); err != nil {
		panic(err) // a template of ours, and a buffer
	}
	return b.Bytes(), p.policy
}
