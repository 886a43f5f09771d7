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
	Wrong      string // the field that Complaints are about
	Complaints []string
	Onward     string // where the link leads, "" for none
	Words      string
}

// onward gives where a link to a path of the API leads, and what it says.
func (p *Pages) onward(path string) (url, words string) {
	switch path {
	case "":
		return "", ""
	case "/auth/login":
		return p.prefix + path, "Sign in"
	}
	return p.prefix + path, "Ask for another link"
}

// Confirm gives a page that says where a confirmation stands, with a button or,
// for an empty one, without, a link to the path where one goes on, or none, and
// its Content-Security-Policy: forms to ourselves, no script.
func (p *Pages) Confirm(title, sentence, button, onward string) (body []byte, policy string) {
	data := notice{Frame: p.frame(title), Sentence: sentence, Button: button}
	data.Onward, data.Words = p.onward(onward)
	return p.render("confirm.html", data), pagePolicy
}

// Reset gives the page on which a new password is set, with its form or without,
// which field of it is wrong and why, the link of Confirm, and its
// Content-Security-Policy.
func (p *Pages) Reset(sentence string, form bool, wrong string, complaints []string, onward string) (body []byte, policy string) {
	data := notice{Frame: p.frame("Set a new password"), Sentence: sentence, Form: form, Wrong: wrong, Complaints: complaints}
	data.Onward, data.Words = p.onward(onward)
	return p.render("reset.html", data), pagePolicy
}

func (p *Pages) render(name string, data any) []byte {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, data); err != nil {
		panic(err) // a template of ours, and a buffer
	}
	return b.Bytes()
}
