package conform

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	problemType = "application/problem+json"
	pageType    = "text/html"
)

// mediaType gives a media type without its parameters.
func mediaType(value string) string {
	kind, _, err := mime.ParseMediaType(value)
	if err != nil {
		return value
	}
	return kind
}

func isJSON(kind string) bool { return kind == "application/json" || strings.HasSuffix(kind, "+json") }

func canonical(header string) string { return http.CanonicalHeaderKey(header) }

// validate compiles a schema where that was not done yet.
func (d *Document) validate(s *schema, value any) error {
	compiled, err := d.compile(s)
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

func (d *Document) compile(s *schema) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if compiled := d.compiled[s.at]; compiled != nil {
		return compiled, nil
	}
	compiled, err := d.compiler.Compile(location + "#" + (&url.URL{Path: s.at}).EscapedPath())
	if err == nil {
		d.compiled[s.at] = compiled
	}
	return compiled, err
}

// decode reads a body as the value that its schema speaks of. What is not JSON
// is a text.
func (s *schema) decode(kind string, body []byte) (any, error) {
	switch {
	case isJSON(kind):
		if !utf8.Valid(body) {
			return nil, errors.New("it is not UTF-8")
		}
		return jsonschema.UnmarshalJSON(bytes.NewReader(body)) // refuses what comes after the value
	case kind == "application/x-www-form-urlencoded":
		values, err := url.ParseQuery(string(body))
		form := map[string]any{}
		for name, given := range values {
			member := &schema{raw: object(object(s.raw["properties"])[name])}
			form[name] = member.value(given, true)
		}
		return form, err
	default:
		return string(body), nil
	}
}

// leaveReadOnly takes those members of a request's body away that only answers
// have: what they are sent as does not matter.
func (s *schema) leaveReadOnly(body map[string]any) {
	for name, member := range object(s.raw["properties"]) {
		if object(member)["readOnly"] == true {
			delete(body, name)
		}
	}
}

// is reports whether a value may be of a type.
func (s *schema) is(kind string) bool {
	return s.raw["type"] == kind || slices.Contains(list(s.raw["type"]), any(kind))
}

// value reads the text of a parameter or a header as the value that its schema
// speaks of. What cannot be read so stays a text, which the schema refuses.
func (s *schema) value(given []string, explode bool) any {
	first := given[0]
	switch {
	case s.is("array") || len(given) > 1: // where several are too many, the schema says so
		if !explode {
			given = strings.Split(strings.Join(given, ","), ",")
		}
		items, values := &schema{raw: object(s.raw["items"])}, make([]any, len(given))
		for i, one := range given {
			values[i] = items.value([]string{strings.TrimSpace(one)}, true)
		}
		return values
	case s.is("integer"):
		if _, err := strconv.ParseInt(first, 10, 64); err == nil {
			return json.Number(first)
		}
	case s.is("boolean"):
		if value, err := strconv.ParseBool(strings.ToLower(first)); err == nil { // 1 and 0 too, as its description says
			return value
		}
	}
	return first
}
