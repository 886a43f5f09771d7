// Package web holds the pages that a browser is shown, embedded.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
)

var (
	//go:embed *.html
	templates embed.FS
	//go:embed style.css
	style string
)

// Pages renders the pages.
type Pages struct {
	templates *template.Template
	policy    string
}

// NewPages parses the templates.
func NewPages() *Pages {
	sum := sha256.Sum256([]byte(style))
	return &Pages{
		templates: template.Must(template.ParseFS(templates, "*.html")),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
}

// page is what the templates are filled with.
type page struct {
	Title, Sentence string
	Button          string
	Form            bool
	Complaints      []string
	Style           template.CSS
}

// Confirm gives a page that says where a confirmation stands, with a button or,
// for an empty one, without, and its Content-Security-Policy: its one style
// sheet, forms to ourselves, no script.
func (p *Pages) Confirm(title, sentence, button string) (body []byte, policy string) {
	return p.render("confirm.html", page{Title: title, Sentence: sentence, Button: button})
}

// Reset gives the page on which a new password is set, with its form or without,
// what is wrong with the one that was sent, and its Content-Security-Policy.
func (p *Pages) Reset(sentence string, form bool, complaints []string) (body []byte, policy string) {
	return p.render("reset.html", page{Sentence: sentence, Form: form, Complaints: complaints})
}

func (p *Pages) render(name string, data page) ([]byte, string) {
	data.Style = template.CSS(style) //nolint:gosec // our own file
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, data); err != nil {
		panic(err) // a template of ours, and a buffer
	}
	return b.Bytes(), p.policy
}
