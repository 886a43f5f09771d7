package tests

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

const browsePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// shownPage is a page of the browsable API, parsed.
type shownPage struct {
	t    testing.TB
	what string
	root *html.Node
}

// shown checks what every page of the browsable API has, and parses it.
func (r *response) shown(status int) *shownPage {
	r.t.Helper()
	r.want(status)
	h := r.Header
	if h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Content-Security-Policy") != browsePolicy ||
		h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("ETag") != "" {
		r.t.Fatalf("%s: a page with the headers %v", r.What, h)
	}
	if vary := strings.Join(h.Values("Vary"), ", "); !strings.Contains(vary, "Accept") || !strings.Contains(vary, "Cookie") || !strings.Contains(vary, "Authorization") {
		r.t.Fatalf("%s: the page varies by %q", r.What, vary)
	}
	root, err := html.Parse(bytes.NewReader(r.Body))
	if err != nil {
		r.t.Fatal(err)
	}
	p := &shownPage{r.t, r.What, root}
	p.wantNothingInline()
	p.wantOrder()
	return p
}

// all gives the elements of some names, or all of them, in their order.
func (p *shownPage) all(names ...string) (found []*html.Node) {
	for n := range p.root.Descendants() {
		if n.Type == html.ElementNode && (len(names) == 0 || slices.Contains(names, n.Data)) {
			found = append(found, n)
		}
	}
	return found
}

// byID gives the element with an id, or nil.
func (p *shownPage) byID(id string) *html.Node {
	for _, n := range p.all() {
		if attr(n, "id") == id {
			return n
		}
	}
	return nil
}

// text gives what the element with an id says.
func (p *shownPage) text(id string) string {
	p.t.Helper()
	n := p.byID(id)
	if n == nil {
		p.t.Fatalf("%s: the page has no element %q", p.what, id)
	}
	return textOf(n)
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// links gives where the page leads.
func (p *shownPage) links() (hrefs []string) {
	for _, n := range p.all("a") {
		hrefs = append(hrefs, attr(n, "href"))
	}
	return hrefs
}

// wantNothingInline checks that the page brings no script, style or handler, and
// asks no other host.
func (p *shownPage) wantNothingInline() {
	p.t.Helper()
	for _, n := range p.all() {
		if slices.Contains([]string{"style", "img", "iframe", "object", "embed", "base", "svg", "math"}, n.Data) || (n.Data == "script" && n.FirstChild != nil) {
			p.t.Errorf("%s: the page has a %s", p.what, n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				p.t.Errorf("%s: a %s has %s=%q", p.what, n.Data, a.Key, a.Val)
			}
			leads := slices.Contains([]string{"href", "src", "action", "formaction"}, a.Key)
			if leads && !strings.HasPrefix(a.Val, "#") && (!strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, `/\`)) {
				p.t.Errorf("%s: a %s leads to %q", p.what, n.Data, a.Val)
			}
		}
	}
}

// wantOrder checks what people who do not see the page go by.
func (p *shownPage) wantOrder() {
	p.t.Helper()
	ids := map[string]bool{}
	for _, n := range p.all() {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				p.t.Errorf("%s: the id %q is there twice", p.what, id)
			}
			ids[id] = true
		}
	}
	labelled := map[string]bool{}
	for _, n := range p.all("label") {
		labelled[attr(n, "for")] = true
	}
	for _, n := range p.all() {
		for _, name := range []string{"for", "aria-labelledby", "aria-describedby"} {
			for id := range strings.FieldsSeq(attr(n, name)) {
				if !ids[id] {
					p.t.Errorf("%s: a %s has %s=%q, and nothing has that id", p.what, n.Data, name, id)
				}
			}
		}
		if slices.Contains([]string{"input", "select", "textarea"}, n.Data) && !labelled[attr(n, "id")] {
			p.t.Errorf("%s: %q has no label", p.what, attr(n, "id"))
		}
		if n.Data == "a" && strings.HasPrefix(attr(n, "href"), "#") && !ids[attr(n, "href")[1:]] {
			p.t.Errorf("%s: a link leads to %q, which is not there", p.what, attr(n, "href"))
		}
	}
	for name, want := range map[string]int{"h1": 1, "main": 1, "title": 1, "header": 1, "footer": 1} {
		if got := len(p.all(name)); got != want {
			p.t.Errorf("%s: %d elements %s", p.what, got, name)
		}
	}
	if root := p.all("html")[0]; attr(root, "lang") != "en" {
		p.t.Errorf("%s: the page says no language", p.what)
	}
}

// look asks for a page as a browser does.
func (a *app) look(path string, status int, headers ...header) *shownPage {
	a.t.Helper()
	return a.do("GET", path, nil, append(headers, browserAccept)...).shown(status)
}

// look asks for a page with the cookies.
func (b *browser) look(path string, status int) *shownPage {
	b.t.Helper()
	return b.do("GET", path, nil, browserAccept).shown(status)
}

// field checks that a form has a field of a kind, and gives what is in it.
func (p *shownPage) field(id, element, kind string) (value string) {
	p.t.Helper()
	n := p.byID(id)
	if n == nil || n.Data != element || attr(n, "data-kind") != kind {
		p.t.Fatalf("%s: %q is %v, want a %s of kind %s", p.what, id, n, element, kind)
	}
	switch element {
	case "input":
		return attr(n, "value")
	case "select":
		for o := range n.Descendants() {
			if hasAttr(o, "selected") {
				return attr(o, "value")
			}
		}
		p.t.Fatalf("%s: nothing is selected of %q", p.what, id)
	}
	return textOf(n)
}

func TestBrowse_FilesOfPagesAreServed(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	p := a.look("/tasks", http.StatusOK)
	types := map[string]string{}
	for _, n := range p.all("link", "script") {
		path := attr(n, "href") + attr(n, "src")
		r := a.do("GET", path, nil, bearer("not looked at")).want(http.StatusOK)
		types[path[strings.LastIndexByte(path, '.'):]] = r.Header.Get("Content-Type")
		etag := r.Header.Get("ETag")
		if len(r.Body) == 0 || etag == "" || r.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d bytes with %v", path, len(r.Body), r.Header)
		}
		if again := a.do("GET", path, nil, header{"If-None-Match", etag}).want(http.StatusNotModified); len(again.Body) != 0 || again.Header.Get("ETag") != etag {
			t.Errorf("%s: 304 with %v and %q", path, again.Header, again.Body)
		}
		if head := a.do("HEAD", path, nil).want(http.StatusOK); len(head.Body) != 0 || head.Header.Get("ETag") != etag {
			t.Errorf("%s: HEAD has %v", path, head.Header)
		}
		// A browser that opens the file is shown the file.
		if opened := a.do("GET", path, nil, browserAccept).want(http.StatusOK); !bytes.Equal(opened.Body, r.Body) {
			t.Errorf("%s: a browser gets %q", path, opened.Body)
		}
	}
	want := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	for extension, contentType := range want {
		if types[extension] != contentType {
			t.Errorf("%s is of type %q", extension, types[extension])
		}
	}
	for _, path := range []string{"/static/style.css", "/static/browse.html", "/static/..%2fpages.go", "/static/x", "/static/", "/static"} {
		a.do("GET", path, nil).want(http.StatusNotFound)
	}
}

func TestBrowse_PagesForMailLinksHaveTheirStyle(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, link := a.register("alice")
	for _, path := range []string{link, "/auth/activate/nonsense", "/auth/email/confirm/nonsense", "/auth/password/reset/nonsense"} {
		style := styleOfPage.FindSubmatch(a.do("GET", path, nil, browserAccept).Body)
		if style == nil {
			t.Fatalf("%s: no style", path)
		}
		a.do("GET", string(style[1]), nil).want(http.StatusOK)
	}
}
