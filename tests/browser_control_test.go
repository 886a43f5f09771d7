package tests

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// controls are pages of a test's own, by path, each under a policy.
type controls map[string]struct{ policy, body, script string }

// page opens a tab for the pages.
func (c controls) page(t *testing.T) *page {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, script := strings.CutSuffix(r.URL.Path, ".js")
		control, ok := c[path]
		switch {
		case path == "/favicon.ico": // which browsers ask for where a page names no icon
			w.WriteHeader(http.StatusNoContent)
		case !ok:
			http.NotFound(w, r)
		case script:
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = fmt.Fprint(w, control.script)
		default:
			w.Header().Set("Content-Security-Policy", control.policy)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Control</title>%s<script src="%s.js"></script></html>`, control.body, path)
		}
	}))
	t.Cleanup(server.Close)
	return newPage(t, server.URL)
}

// Were one of these not found, no test of a page could fail by it.
func TestBrowser_FindsEachFault(t *testing.T) {
	t.Parallel()
	const (
		foreign = "http://127.0.0.2:9/x.png" // where nothing listens
		pixel   = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
	)
	pages := controls{
		"/console.error":     {script: `console.error("oh", { no: 1 })`},
		"/console.assert":    {script: `console.assert(false, "oh")`},
		"/exception":         {script: `throw new Error("oh")`},
		"/dialog":            {script: `alert(1)`},
		"/rejection":         {script: `Promise.reject(new Error("oh"))`},
		"/inline-script":     {policy: "script-src 'self'", body: `<script>document.title = "x"</script>`},
		"/inline-handler":    {policy: "script-src 'self'", body: `<button onclick="1">x</button>`},
		"/inline-style":      {policy: "style-src 'self'", body: `<p style="color: red">x</p>`},
		"/image-of-a-policy": {policy: "img-src 'self'", body: `<img alt="" src="` + pixel + `">`},
		"/eval":              {policy: "script-src 'self'", script: `try { eval("1") } catch {}`},
		"/foreign-image":     {body: `<img alt="" src="` + foreign + `">`},
		"/foreign-style":     {body: `<link rel="stylesheet" href="` + foreign + `">`},
		"/foreign-fetch":     {script: `fetch("` + foreign + `").catch(() => {})`},
		"/missing-image":     {body: `<img alt="" src="/none.png">`},
		"/missing-fetch":     {script: `fetch("/none", { method: "POST" })`},
	}
	p := pages.page(t)
	var all []string
	for path, faults := range map[string][]string{
		"/console.error":     {`console: "oh" Object`},
		"/console.assert":    {`console: "oh"`},
		"/exception":         {"exception: Uncaught Error: oh"},
		"/dialog":            {"dialog: 1"},
		"/rejection":         {"exception: Uncaught (in promise) Error: oh"},
		"/inline-script":     {"policy: kInlineViolation of script-src", "log: security: "},
		"/inline-handler":    {"policy: kInlineViolation of script-src", "log: security: "},
		"/inline-style":      {"policy: kInlineViolation of style-src", "log: security: "},
		"/image-of-a-policy": {"policy: kURLViolation of img-src (data)", "log: security: ", "lost: GET data:"},
		"/eval":              {"policy: kEvalViolation of script-src"},
		"/foreign-image":     {"foreign: GET " + foreign, "lost: GET " + foreign},
		"/foreign-style":     {"foreign: GET " + foreign, "lost: GET " + foreign},
		"/foreign-fetch":     {"foreign: GET " + foreign, "lost: GET " + foreign},
		"/missing-image":     {"answer: 404 to GET " + p.base + "/none.png"},
		"/missing-fetch":     {"answer: 404 to POST " + p.base + "/none"},
	} {
		p.visit(path)
		for _, fault := range faults {
			p.until(path+" to show "+fault, func() bool {
				return slices.ContainsFunc(p.faults.all(), func(f string) bool { return strings.HasPrefix(f, fault) })
			})
			if !slices.ContainsFunc(p.unexpected(), func(f string) bool { return strings.HasPrefix(f, fault) }) {
				t.Errorf("%s: %s does not fail a test", path, fault)
			}
		}
		all = append(all, faults...)
	}
	p.expect(all...)
}

func TestBrowser_FindsNoFaultInAPageThatHasNone(t *testing.T) {
	t.Parallel()
	p := controls{"/fine": {
		"default-src 'self'; img-src data:", `<h1>Fine</h1><img alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">`,
		`console.warn("no error"); document.title = "ran"`,
	}}.page(t)
	p.visit("/fine")
	p.wait(`document.title === "ran"`)
	if found := p.unexpected(); len(found) > 0 {
		t.Errorf("it finds %q", found)
	}
	p.expect("no such thing")
	if found := p.unexpected(); len(found) != 1 || !strings.Contains(found[0], "not seen") {
		t.Errorf("a fault that does not come leaves %q", found)
	}
	p.faults.expected = nil
}

func TestBrowser_AxeFindsWhatItShould(t *testing.T) {
	t.Parallel()
	p := controls{"/bad": {body: `
		<style>body { color-scheme: light dark; background: Canvas } @media (prefers-color-scheme: dark) { #dim { color: #333 } }</style>
		<main><h1>Bad</h1><p id="dim">dim in the dark</p><p id="part"><input id="nameless"></p></main>`}}.page(t)
	p.visit("/bad")
	ids := func(part map[string]any) (list []string) {
		for _, f := range p.axeIn(part) {
			list = append(list, f.ID)
		}
		return list
	}
	for name, c := range map[string]struct {
		part map[string]any
		want string
	}{
		"all":           {map[string]any{"include": []string{"html"}}, "[color-contrast label label]"},
		"without":       {map[string]any{"include": []string{"html"}, "exclude": []string{"#part"}}, "[color-contrast]"},
		"a part, alone": {map[string]any{"include": []string{"#part"}}, "[label label]"},
	} {
		if got := fmt.Sprint(ids(c.part)); got != c.want {
			t.Errorf("%s: axe finds %s, want %s", name, got, c.want)
		}
	}
}
