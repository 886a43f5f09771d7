package tests

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

var docsFileOfPage = regexp.MustCompile(`(?:src|href)="([^"]*/static/[^"]+)"`)

// gunzip unpacks what a browser would.
func gunzip(t testing.TB, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestDocs_ThePageIsThereWhateverIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/a%20b"} {
		a := newApp(t, func(c *config.Config) { c.PublicURL += prefix })
		if got := a.do("GET", prefix+"/", nil).want(http.StatusOK).object()["docs"]; got != a.Config.PublicURL+"/docs" {
			t.Errorf("the resource list has docs at %v", got)
		}
		page := a.do("GET", prefix+"/docs", nil, browserAccept).want(http.StatusOK)
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": docsPolicy, "X-Content-Type-Options": "nosniff", "Cache-Control": "public, no-cache",
		} {
			if got := page.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		for _, other := range []*response{
			a.do("GET", prefix+"/docs/", nil), a.do("GET", prefix+"/docs", nil, header{"Accept", "application/json"}),
			a.do("GET", prefix+"/docs", nil, bearer("no token of ours")),
		} {
			if other.Status != http.StatusOK || !bytes.Equal(other.Body, page.Body) {
				t.Errorf("%s: %d, another page: %s", other.What, other.Status, other.Body)
			}
		}
		a.do("GET", prefix+"/docs", nil, header{"If-None-Match", page.Header.Get("ETag")}).want(http.StatusNotModified)
		files := docsFileOfPage.FindAllSubmatch(page.Body, -1)
		if len(files) != 5 {
			t.Fatalf("the page loads %q", files)
		}
		for _, file := range files {
			path := string(file[1])
			if !strings.HasPrefix(path, prefix+"/static/") {
				t.Errorf("the page loads %s", path)
			}
			a.do("GET", path, nil).want(http.StatusOK)
			a.do("GET", path+"/", nil).want(http.StatusOK)
		}
	}
}

func TestDocs_FilesComeAsTheClientTakesThem(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	const plain = "identity" // no Accept-Encoding at all would be filled in by the client
	sizes := map[string]int{}
	for _, file := range docsFileOfPage.FindAllSubmatch(a.do("GET", "/docs", nil).Body, -1) {
		path := string(file[1])
		mediaType := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}[path[strings.LastIndexByte(path, '.')+1:]]
		whole := a.do("GET", path, nil, header{"Accept-Encoding", plain}).want(http.StatusOK)
		sizes[path] = len(whole.Body)
		tags := map[string]bool{whole.Header.Get("ETag"): false}
		for accept, packs := range map[string]bool{
			"gzip": true, "br, GZIP;q=0.1": true, "*": true, "x-gzip": true, "gzip;q=1.0, *;q=0": true,
			plain: false, "gzip;q=0": false, "gzip;q=0, *": false, "br, *;q=0": false, "gzip;q=much": false, "": false,
		} {
			r := a.do("GET", path, nil, header{"Accept-Encoding", accept + " "}).want(http.StatusOK) // not nothing at all
			packed := r.Header.Get("Content-Encoding") == "gzip"
			if packed != (packs && strings.Contains(path, "swagger")) {
				t.Errorf("%s for %q: Content-Encoding %q", path, accept, r.Header.Get("Content-Encoding"))
			}
			body := r.Body
			if packed {
				body = gunzip(t, body)
			}
			if !bytes.Equal(body, whole.Body) || r.Header.Get("Content-Type") != mediaType || r.Header.Get("X-Content-Type-Options") != "nosniff" ||
				r.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || !slices.Contains(r.Header.Values("Vary"), "Accept-Encoding") {
				t.Errorf("%s for %q: %d bytes, headers %v", path, accept, len(body), r.Header)
			}
			if known, ok := tags[r.Header.Get("ETag")]; ok && known != packed {
				t.Errorf("%s has one ETag packed and not", path)
			}
			tags[r.Header.Get("ETag")] = packed
			a.do("GET", path, nil, header{"Accept-Encoding", accept + " "}, header{"If-None-Match", r.Header.Get("ETag")}).want(http.StatusNotModified)
			head := a.do("HEAD", path, nil, header{"Accept-Encoding", accept + " "}).want(http.StatusOK)
			if head.Header.Get("Content-Length") != fmt.Sprint(len(r.Body)) || len(head.Body) != 0 {
				t.Errorf("HEAD %s for %q: Content-Length %q, GET has %d", path, accept, head.Header.Get("Content-Length"), len(r.Body))
			}
		}
	}
	if len(sizes) != 5 {
		t.Errorf("the page loads %v", sizes)
	}
	for _, name := range []string{"docs.js", "docs.html", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "..", "%2e%2e", "docs.js.gz"} {
		a.do("GET", "/static/"+name, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	}
}

// operation gives the selector of a part of an operation on the page.
func operation(id, part string) string { return `[id^="operations-"][id$="-` + id + `"] ` + part }

// execute tries an operation out with a body, or none, and gives the status and
// the body that the page shows of the answer.
func (p *page) execute(id, body string) (status, answer string) {
	p.t.Helper()
	if len(p.texts(operation(id, "button.execute"))) == 0 {
		p.click(operation(id, ".opblock-summary-control"))
	}
	if body != "" {
		p.fill(operation(id, "textarea.body-param__text"), body)
	}
	if len(p.texts(operation(id, "button.btn-clear"))) > 0 { // of the answer before
		p.click(operation(id, "button.btn-clear"))
		p.gone(operation(id, ".live-responses-table"))
	}
	p.click(operation(id, "button.execute"))
	status, _, _ = strings.Cut(p.text(operation(id, ".live-responses-table tbody td.response-col_status")), "\n")
	if shown := p.texts(operation(id, ".live-responses-table tbody td.response-col_description .microlight")); len(shown) > 0 {
		answer = shown[0]
	}
	return status, answer
}

const (
	docsStatus = "#docs-status"
	// licence is where the text of Dueto's is.
	licence = "https://spdx.org/licenses/MIT.html"
)

func TestBrowser_DocsTryCallsThatCarryTheLogin(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/below/a"} {
		t.Run("at "+prefix+"/docs", func(t *testing.T) {
			t.Parallel()
			a := newBrowserApp(t, prefix)
			if _, err := a.Services.Accounts.CreateSuperuser(t.Context(), services.NewAccount{Username: "alice", Email: address("alice"), Password: password}); err != nil {
				t.Fatal(err)
			}
			tasks := func(want ...string) {
				t.Helper()
				var titles []string
				for _, task := range a.do("GET", prefix+"/tasks", nil).want(http.StatusOK).list() {
					titles = append(titles, task["title"].(string))
				}
				if !slices.Equal(titles, want) {
					t.Errorf("there are the tasks %q, want %q", titles, want)
				}
			}
			p := a.page()
			p.visit("/docs/")
			if got := p.text(docsStatus); !strings.HasPrefix(got, "Calls are made as nobody.") {
				t.Errorf("at first it says %q", got)
			}
			p.see(operation("tasks_list", ""))
			p.expect("answer: 401 to POST /tasks")
			if status, _ := p.execute("tasks_create", `{"title": "As nobody"}`); status != "401" {
				t.Errorf("as nobody: %s", status)
			}
			_, answer := p.execute("auth_login", `{"username": "alice", "password": "`+password+`"}`)
			if got := p.text(docsStatus); got != "Signed in: calls carry the access token, for 300 seconds." {
				t.Errorf("after the login it says %q", got)
			}
			if status, _ := p.execute("tasks_create", `{"title": `+js(nasty)+`}`); status != "201" {
				t.Errorf("as alice: %s", status)
			}
			tasks(nasty)
			if _, answer := p.execute("tasks_list", ""); !strings.Contains(answer, "<img src=x onerror=alert(1)>") {
				t.Errorf("the answer is shown as %s", answer)
			}
			if made := evaluate[int](p, `document.querySelectorAll("[onerror]").length`); made != 0 {
				t.Errorf("of a title %d elements are made", made)
			}
			var tokens struct{ Refresh string }
			(&response{t: t, What: "login", Body: []byte(answer)}).decode(&tokens)
			if status, _ := p.execute("auth_logout", `{"refresh": "`+tokens.Refresh+`"}`); status != "204" {
				t.Errorf("logout: %s", status)
			}
			if got := p.text(docsStatus); got != "Signed out: calls are made as nobody." {
				t.Errorf("after the logout it says %q", got)
			}
			if status, answer := p.execute("tasks_create", `{"title": "As nobody"}`); status != "401" || !strings.Contains(answer, `"not_authenticated"`) {
				t.Errorf("as nobody again: %s %s", status, answer)
			}
			p.execute("auth_login", `{"username": "alice", "password": "`+password+`", "mode": "two-cookies"}`)
			if status, _ := p.execute("tasks_create", `{"title": "By cookie"}`); status != "201" {
				t.Errorf("by cookie: %s", status)
			}
			tasks(nasty, "By cookie")
			p.wantOwn(licence)
		})
	}
}

// newDocs gives the page of a server that alice has an account on.
func newDocs(t *testing.T, change ...func(*config.Config)) (*app, *page) {
	t.Helper()
	a := newBrowserApp(t, "", change...)
	a.staffAccount("alice")
	p := a.page()
	p.visit("/docs")
	p.see(operation("tasks_list", ""))
	return a, p
}

// wantExecuted tries an operation out and checks the status of the answer, and
// what the page says after it.
func (p *page) wantExecuted(id, body, status, says string) {
	p.t.Helper()
	if got, answer := p.execute(id, body); got != status {
		p.t.Errorf("%s: %s %s, want %s", id, got, answer, status)
	}
	if got := p.text(docsStatus); got != says {
		p.t.Errorf("after %s it says %q, want %q", id, got, says)
	}
}

const (
	saysTokens    = "Signed in: calls carry the access token, for 300 seconds." //nolint:gosec // what a page says
	saysCookies   = "Signed in by cookies."
	saysSignedOut = "Signed out: calls are made as nobody."
)

func TestBrowser_DocsFillInWhatWorksWithTokens(t *testing.T) {
	t.Parallel()
	_, p := newDocs(t)
	p.click(operation("auth_login", ".opblock-summary-control"))
	filled := p.value(operation("auth_login", "textarea.body-param__text"))
	if !strings.Contains(filled, `"correct horse battery"`) || strings.Contains(filled, "mode") {
		t.Errorf("there is filled in %s", filled)
	}
	p.wantExecuted("auth_login", strings.ReplaceAll(filled, "correct horse battery", password), "200", saysTokens)
	p.wantExecuted("auth_refresh", "", "200", saysTokens)
	p.wantExecuted("auth_refresh", "", "200", saysTokens) // of the refresh before
	p.wantExecuted("tasks_create", `{"title": "As alice"}`, "201", saysTokens)
	p.wantExecuted("auth_logout", "", "204", saysSignedOut)
	p.expect("answer: 400 to POST /auth/refresh")
	p.wantExecuted("auth_refresh", "", "400", saysSignedOut)
}

func TestBrowser_DocsFillInWhatWorksWithCookies(t *testing.T) {
	t.Parallel()
	for _, modes := range [][]string{{"json", twoCookies}, {oneCookie}} {
		t.Run(strings.Join(modes, ","), func(t *testing.T) {
			t.Parallel()
			_, p := newDocs(t, func(c *config.Config) { c.AuthModes = modes })
			login := `{"username": "alice", "password": "` + password + `"`
			if modes[0] == "json" {
				p.wantExecuted("auth_login", login+"}", "200", saysTokens) // which counts no more after the next
			}
			p.wantExecuted("auth_login", login+`, "mode": "`+modes[len(modes)-1]+`"}`, "200", saysCookies)
			p.wantExecuted("auth_refresh", "", "200", saysCookies)
			p.wantExecuted("tasks_create", `{"title": "By cookies"}`, "201", saysCookies)
			p.reload()
			p.seeText(docsStatus, saysCookies)
			p.wantExecuted("tasks_create", `{"title": "By cookies again"}`, "201", saysCookies)
			p.wantExecuted("auth_logout", "", "204", saysSignedOut)
			p.expect("answer: 401 to POST /tasks")
			p.wantExecuted("tasks_create", `{"title": "As nobody"}`, "401", saysSignedOut)
		})
	}
}

func TestBrowser_DocsForgetATokenThatHasEnded(t *testing.T) {
	t.Parallel()
	a, p := newDocs(t)
	login := `{"username": "alice", "password": "` + password + `"}`
	p.expect("answer: 401 to GET /tasks", "answer: 401 to POST /auth/refresh")
	p.wantExecuted("auth_login", login, "200", saysTokens)
	p.wantExecuted("auth_refresh", `{"refresh": "of nobody"}`, "401", saysTokens) // what is refused is not the access token
	a.Clock.Advance(6 * time.Minute)
	const expired = "The access token has expired: sign in again, or execute POST /auth/refresh."
	p.wantExecuted("tasks_list", "", "401", expired)
	p.wantExecuted("tasks_list", "", "200", expired)
	p.wantExecuted("auth_refresh", `{"refresh": "eyJhbGciOiJIUzUxMiIsImt..."}`, "200", saysTokens)
	p.wantExecuted("tasks_list", "", "200", saysTokens)
	a.login("alice").do("DELETE", "/auth/sessions", nil).want(http.StatusNoContent)
	p.wantExecuted("tasks_list", "", "401", "The access token is not valid any more: sign in again.")
	p.wantExecuted("tasks_list", "", "200", "The access token is not valid any more: sign in again.")
}

// docsUnmended are the rules that Swagger UI itself breaks: its own colours, its
// buttons and fields that have no names, and its buttons within buttons.
var docsUnmended = []string{"button-name", "color-contrast", "label", "nested-interactive", "select-name"}

func TestBrowser_DocsCanBeUsedByAll(t *testing.T) {
	t.Parallel()
	p := newBrowserApp(t, "").page()
	p.visit("/docs")
	p.see(operation("tasks_list", ""))
	for _, id := range []string{"tasks_list", "tasks_create", "auth_login"} {
		p.click(operation(id, ".opblock-summary-control"))
		p.see(operation(id, "button.execute"))
	}
	for _, dark := range []bool{true, false} {
		p.dark(dark)
		p.wait(`document.documentElement.classList.contains("dark-mode") === ` + fmt.Sprint(dark))
		p.execute("tasks_list", "")
		p.click("button.authorize")
		p.see(".auth-container input")
		p.click("button.close-modal")
		p.gone(".auth-container")
	}
	p.wantOwn(licence)
	p.size(390, 844)
	p.wantNarrow()
	p.axe("#swagger-ui")
	p.axeWithin("#swagger-ui", docsUnmended...)
}

func TestBrowser_DocsNeedNoMouse(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "")
	key := a.user("alice").do("POST", "/auth/tokens", map[string]any{"name": "keyboard"}).want(http.StatusCreated).object()["key"].(string)
	p := a.page()
	p.visit("/docs")
	p.see(operation("tasks_list", ""))
	p.tabShown("button.authorize")
	p.press("Enter")
	p.see(".auth-container input")
	p.wait(`document.activeElement.matches(".auth-container input")`)
	if asked := p.texts(".auth-container h4"); len(asked) != 2 {
		t.Errorf("there is to be put in: %q", asked)
	}
	p.press("Token "+key, "Enter") // the focus is where the last of them is put in
	p.wait(`[...document.querySelectorAll(".auth-container button")].some(e => e.innerText === "Logout")`)
	p.press("Tab", "Tab")
	if got := p.focused(); got != "Close" {
		t.Errorf("after the key Tab leads to %q", got)
	}
	p.press("Enter")
	p.gone(".auth-container")

	p.tabShown(operation("tasks_create", ".opblock-summary-control"))
	p.press("Enter")
	p.see(operation("tasks_create", "button.execute"))
	p.tabShown(operation("tasks_create", "button.execute"))
	p.press("Enter")
	p.see(operation("tasks_create", ".live-responses-table"))
	if status := p.text(operation("tasks_create", ".live-responses-table tbody td.response-col_status")); !strings.HasPrefix(status, "201") {
		t.Errorf("by keyboard: %s", status)
	}
}
