// Package web holds what a browser is shown: pages, and the files that they are
// made of, embedded.
package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/url"
	"strings"
)

//go:embed *.html
var templates embed.FS

// pagePolicy is the Content-Security-Policy of pages without a script.
const pagePolicy = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// BrowsePolicy is the Content-Security-Policy of pages that show answers: a style
// sheet, a script and requests of ours, and nothing inline.
const BrowsePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Pages renders the pages.
type Pages struct {
	templates *template.Template
	assets    *Assets
	site      string // the public URL
	origin    string // its scheme and host
	prefix    string // its path
}

// NewPages parses the templates; site is the public URL, without a slash at its
// end.
func NewPages(assets *Assets, site string) *Pages {
	p := &Pages{assets: assets, site: site}
	p.templates = template.Must(template.New("").Funcs(template.FuncMap{"lower": strings.ToLower, "phrase": phrase, "prose": prose}).ParseFS(templates, "*.html"))
	if public, err := url.Parse(site); err == nil {
		p.origin, p.prefix = public.Scheme+"://"+public.Host, public.EscapedPath()
	}
	return p
}

// phrase makes a sentence's beginning fit for its middle.
func phrase(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// frame is what every page has.
type frame struct {
	Title, Style, Icon, Home string
	Script                   string // "" for pages without
}

func (p *Pages) frame(title string) frame {
	return frame{Title: title, Style: p.asset("style.css"), Icon: p.asset("icon.svg"), Home: p.prefix + "/"}
}

// asset gives where a file is served.
func (p *Pages) asset(file string) string { return p.prefix + "/static/" + p.assets.names[file] }

// notice is what the templates of a page with one thing to do are filled with.
type notice struct {
	Frame      frame
	Sentence   string
	Button     string
	Form       bool
	Complaints []string
}

// Confirm gives a page that says where a confirmation stands, with a button or,
// for an empty one, without, and its Content-Security-Policy: forms to
// ourselves, no script.
func (p *Pages) Confirm(title, sentence, button string) (body []byte, policy string) {
	return p.render("confirm.html", notice{Frame: p.frame(title), Sentence: sentence, Button: button}), pagePolicy
}

// Reset gives the page on which a new password is set, with its form or without,
// what is wrong with the one that was sent, and its Content-Security-Policy.
func (p *Pages) Reset(sentence string, form bool, complaints []string) (body []byte, policy string) {
	data := notice{Frame: p.frame("Set a new password"), Sentence: sentence, Form: form, Complaints: complaints}
	return p.render("reset.html", data), pagePolicy
}

func (p *Pages) render(name string, data any) []byte {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, data); err != nil {
		panic(err) // a template of ours, and a buffer
	}
	return b.Bytes()
}
