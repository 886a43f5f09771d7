package tests

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"dueto/config"
	"dueto/routes"
	"dueto/services"
)

// pageByAccept tells whether an Accept field, or none, asks for a page.
var pageByAccept = map[string]bool{
	"":                                    false,
	"*/*":                                 false, // curl
	"application/json, */*;q=0.5":         false, // httpie
	"application/json":                    false,
	"text/html":                           true,
	"TEXT/HTML":                           true,
	"text/*":                              true,
	"text/plain":                          false,
	"text/html, */*":                      false,
	"text/html, */*;q=0.8":                true,
	"*/*;q=0.8, text/html;q=0.9":          true,
	"text/html;q=0.5, application/json":   false,
	"text/html, application/json":         false,
	"text/html, application/json;q=0.999": true,
	"text/html;q=0":                       false,
	"text/html;q=0, */*":                  false,
	"text/*, text/html;q=0.1, application/json;q=0.2":         false,
	"application/*;q=0.1, text/html;q=0.2":                    true,
	"application/json;q=0, */*":                               true,
	"application/xhtml+xml, application/xml;q=0.9, */*;q=0.8": false,
	"image/avif,image/webp,*/*;q=0.8":                         false,
	browserAccept.value:                                       true,
	"text/html;charset=utf-8":                                 true,
	"text/html;level=1":                                       false,
	"text/html;q=2":                                           false,
	"text/html;q=x, */*;q=0.1":                                false,
	"text/html;q=0.5000, */*;q=0.1":                           false,
	"text/html ; Q=0.5 , */* ; q=0.1":                         true,
	",,text/html,,":                                           true,
	`text/html;a="b,c"`:                                       false,
	"nonsense":                                                false,
	"/":                                                       false,
	"*":                                                       false,
	strings.Repeat("text/x, ", 1000) + "text/html":            true,
}

func TestBrowse_NegotiatesByAccept(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for accept, html := range pageByAccept {
		r := a.do("GET", "/tasks", nil, header{"Accept", accept})
		if accept == "" {
			r = a.do("GET", "/tasks", nil)
		}
		r.want(http.StatusOK)
		if got := r.Header.Get("Content-Type"); (got == "text/html; charset=utf-8") != html || (got == "application/json") == html {
			t.Errorf("Accept %.60q is answered with %s", accept, got)
		}
		if !slices.Contains(r.Header.Values("Vary"), "Accept") {
			t.Errorf("Accept %.60q: varies by %q", accept, r.Header.Values("Vary"))
		}
	}
	a.do("GET", "/tasks", nil, header{"Accept", "*/*;q=0.5"}, header{"Accept", "text/html"}).shown(http.StatusOK)
}

func TestBrowse_FormatDecidesAndIsNoParameterOfTheRoute(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	for i := range 3 {
		alice.task(fmt.Sprint("Task ", i))
	}
	plain := a.do("GET", "/tasks?page_size=1&ordering=title", nil).want(http.StatusOK)
	for _, path := range []string{"/tasks?format=json&page_size=1&ordering=title", "/tasks?page_size=1&format=json&ordering=title", "/tasks?page_size=1&ordering=title&%66ormat=json&format=json"} {
		r := a.do("GET", path, nil, browserAccept)
		if strings.Contains(path, "%66") { // twice
			r.shown(http.StatusBadRequest)
			continue
		}
		if r.want(http.StatusOK); string(r.Body) != string(plain.Body) || r.Header.Get("Link") != plain.Header.Get("Link") || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v, %s", path, r.Header, r.Body)
		}
	}
	p := a.do("GET", "/tasks?page_size=1&format=html&ordering=title", nil).shown(http.StatusOK)
	if got := p.text("request-url"); got != "http://dueto.test/tasks?page_size=1&ordering=title" {
		t.Errorf("the page shows the request %s", got)
	}
	next := attr(p.byID("page-next"), "href")
	if strings.Contains(next, "format") {
		t.Errorf("the next page is at %s", next)
	}
	// A cursor made for one is good for the other.
	a.do("GET", next, nil).want(http.StatusOK)
	second := a.do("GET", next+"&format=html", nil).shown(http.StatusOK)
	if first := attr(second.byID("page-first"), "href"); first != "/tasks?ordering=title&page_size=1" {
		t.Errorf("the first page is at %s", first)
	}
	if second.byID("page-prev") == nil {
		t.Error("the second page has no link to the first one")
	}
	a.do("GET", "/nowhere?format=html", nil).shown(http.StatusNotFound)
	for _, query := range []string{"format=xml", "format=", "format", "format=html&format=html", "format=HTML"} {
		a.do("GET", "/tasks?"+query, nil).wantFields("format")
		a.do("GET", "/tasks?"+query, nil, browserAccept).shown(http.StatusBadRequest)
	}
	for _, path := range []string{"/openapi.json", "/docs", attr(p.all("script")[0], "src")} { // which have no page
		r := a.do("GET", path+"?format=json", nil, browserAccept)
		if r.wantFields("format"); strings.Contains(string(r.Body), "Give json or html") {
			t.Errorf("%s: the format that was given is asked for: %s", path, r.Body)
		}
	}
	alice.do("POST", "/tasks?format=json", map[string]any{"title": "One"}).wantFields("format")
	alice.do("POST", "/tasks", map[string]any{"title": "One"}, browserAccept).want(http.StatusCreated).object()
}

func TestBrowse_ShowsTheAnswerThatAProgramGets(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	alice.task("Größe <b> & \"quotes\" \\ \n\t€ \u2028 \U0001f600", map[string]any{"tags": []string{"a", "b"}})
	alice.task("Second")
	for _, path := range []string{"/", "/tasks", "/tasks/1", "/tasks?fields=title", "/users/1", "/users", "/healthz", "/readyz", "/.well-known/jwks.json", "/tasks/999", "/tasks?x=1", "/nowhere", "/users/me"} {
		program, shown := a.do("GET", path, nil), a.do("GET", path, nil, browserAccept)
		p := shown.shown(program.Status)
		var want, got any
		program.decode(&want)
		if err := json.Unmarshal([]byte(p.text("json")), &got); err != nil {
			t.Fatalf("%s: %v in %s", path, err, p.text("json"))
		}
		for _, answer := range []any{want, got} {
			if o, ok := answer.(map[string]any); ok {
				delete(o, "request_id")
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s shows %v, and answers %v", path, got, want)
		}
		headers := p.text("headers")
		for _, name := range []string{"Content-Type", "Etag", "Link", "Www-Authenticate"} {
			if value := program.Header.Get(name); value != "" && !strings.Contains(headers, value) {
				t.Errorf("%s: %s: %s is not among %s", path, name, value, headers)
			}
		}
		if got := p.text("status-line"); got != fmt.Sprintf("HTTP %d %s", program.Status, http.StatusText(program.Status)) {
			t.Errorf("%s: the status is %q", path, got)
		}
		kept := program.Header.Get("Cache-Control")
		if strings.Contains(kept, "public") { // not for a page that may show who is signed in
			kept = "no-cache"
		}
		if shown.Header.Get("Cache-Control") != kept {
			t.Errorf("%s: Cache-Control %q of the page, %q of JSON", path, shown.Header.Get("Cache-Control"), program.Header.Get("Cache-Control"))
		}
	}
}

func TestBrowse_HeadAnswersAsGet(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice").task("One")
	for _, path := range []string{"/", "/tasks", "/tasks/1", "/tasks/999", "/nowhere", "/auth/login", "/tasks?format=html", "/auth/register?format=html"} {
		get, head := a.do("GET", path, nil, browserAccept, header{"X-Request-Id", "same"}), a.do("HEAD", path, nil, browserAccept, header{"X-Request-Id", "same"})
		if got := head.Header.Get("Content-Length"); got != "" { // no page is made for it
			t.Errorf("%s: HEAD tells of %s bytes", path, got)
		}
		get.Header.Del("Content-Length")
		for _, h := range []http.Header{get.Header, head.Header} {
			h.Del("Date")
		}
		if get.Status != head.Status || !maps.EqualFunc(get.Header, head.Header, slices.Equal[[]string]) || len(head.Body) != 0 {
			t.Errorf("%s: GET gives %d %v, HEAD %d %v", path, get.Status, get.Header, head.Status, head.Header)
		}
	}
}

func TestBrowse_APageIsNeverTheSameAsItsJSON(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice").task("One")
	etag := a.do("GET", "/tasks/1", nil).want(http.StatusOK).Header.Get("ETag")
	for _, condition := range []string{etag, "*", "W/" + etag} {
		a.do("GET", "/tasks/1", nil, header{"If-None-Match", condition}).want(http.StatusNotModified)
		a.do("GET", "/tasks/1", nil, header{"If-None-Match", condition}, browserAccept).shown(http.StatusOK)
		a.do("GET", "/tasks/1?format=json", nil, header{"If-None-Match", condition}, browserAccept).want(http.StatusNotModified)
		a.do("GET", "/tasks/1?format=html", nil, header{"If-None-Match", condition}).shown(http.StatusOK)
	}
}

const nasty = `<img src=x onerror=alert(1)>"'></script></pre><script>alert(1)</script>{{.}}`

func TestBrowse_EscapesWhatPeopleWrote(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	alice.task(nasty, map[string]any{"description": "\n" + nasty, "tags": []string{nasty[:28]}})
	b := a.signedIn("alice", twoCookies)
	for _, path := range []string{
		"/tasks", "/tasks/1", "/tasks?" + url.QueryEscape(nasty), "/tasks?search=" + url.QueryEscape(nasty), "/tasks/" + url.PathEscape(nasty[:28]),
		"/" + url.PathEscape(nasty), "/tasks?cursor=" + url.QueryEscape(nasty), "/users/" + url.PathEscape(nasty[:28]) + "/events",
	} {
		r := b.do("GET", path, nil, browserAccept)
		p := r.shown(r.Status) // which looks for handlers, pictures and scripts
		if scripts := len(p.all("script")); scripts != 1 {
			t.Errorf("%s: the page has %d scripts", path, scripts)
		}
	}
	p := b.look("/tasks/1", http.StatusOK)
	if got := p.field("patch-title", "input", "text"); got != nasty {
		t.Errorf("the form has the title %q", got)
	}
	if got := p.field("patch-tags", "textarea", "texts"); got != nasty[:28] {
		t.Errorf("the form has the tags %q", got)
	}
	var shown map[string]any
	if err := json.Unmarshal([]byte(p.text("json")), &shown); err != nil || shown["title"] != nasty {
		t.Errorf("%v: the page shows %v", err, shown["title"])
	}
	// As no browser would send it.
	r := a.do("GET", "/tasks?<script>alert(1)</script>'\"=1", nil, browserAccept)
	if r.shown(http.StatusBadRequest); strings.Contains(string(r.Body), "<script>alert") || !strings.Contains(string(r.Body), "%3Cscript%3Ealert") {
		t.Errorf("the page is %s", r.Body)
	}
}

func TestBrowse_LinksLeadToOurselvesOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	foreign := []string{
		"http://evil/", "https://dueto.test/tasks/1", "javascript:alert(1)", "//evil/", "http://dueto.test.evil/", "http://dueto.test@evil/",
		"http://dueto.test:80@evil/", "http://dueto.test//evil/", `http://dueto.test/\evil/`, "http://dueto.test/\t/evil", "http://dueto.test/\n/evil/",
		"http://dueto.test\\@evil/", "data:text/html,x", "http://DUETO.test/", "/tasks/1", "see http://dueto.test/tasks/1",
	}
	for _, title := range foreign {
		alice.task(title)
	}
	own := alice.task("http://dueto.test/tasks/1?a=b&c=%20#d")
	p := a.look("/tasks", http.StatusOK)
	var linked []string
	for n := range p.byID("json").Descendants() {
		if n.Data == "a" {
			linked = append(linked, attr(n, "href"))
		}
	}
	want := []string{}
	for id := int64(1); id <= own; id++ {
		want = append(want, taskPath(id))
	}
	want = append(want, "/tasks/1?a=b&c=%20#d") // the last title
	if slices.Sort(linked); !slices.Equal(linked, sorted(want)) {
		t.Errorf("the list links to %q, want %q", linked, want)
	}
	for path, want := range map[string][]string{
		"/tasks/1": {"/tasks/1"}, "/users/1": {"/tasks?person=1", "/users/1"},
	} {
		if got := a.look(path, http.StatusOK).links(); !containsAll(got, want) {
			t.Errorf("%s links to %q, want also %q", path, got, want)
		}
	}
	root := a.look("/", http.StatusOK)
	if got := root.links(); !containsAll(got, []string{"/tasks", "/users", "/auth/register", "/healthz"}) {
		t.Errorf("the first page links to %q", got)
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func containsAll(list, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(list, w) })
}

func TestBrowse_ErrorsArePagesWithTheirStatus(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.Throttle = "on" })
	for path, status := range map[string]int{
		"/tasks/999": 404, "/nowhere": 404, "/nowhere/<b>": 404, "/tasks?nonsense=1": 400, "/tasks?cursor=x": 400, "/users/me": 401, "/auth/sessions": 401,
	} {
		if got := a.look(strings.ReplaceAll(path, "<b>", "%3Cb%3E"), status).text("status-line"); got != fmt.Sprintf("HTTP %d %s", status, http.StatusText(status)) {
			t.Errorf("%s: the page says %q", path, got)
		}
	}
	refused := a.do("GET", "/users/me", nil, browserAccept).want(http.StatusUnauthorized)
	if refused.Header.Get("WWW-Authenticate") == "" || refused.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("401 has %v", refused.Header)
	}
	a.look("/users/me", 401, bearer("bad"))
	for range 60 {
		a.do("GET", "/auth/activate/nonsense", nil)
	}
	throttled := a.do("GET", "/auth/activate/nonsense", nil, browserAccept)
	if throttled.shown(http.StatusTooManyRequests); throttled.Header.Get("Retry-After") == "" {
		t.Errorf("429 has %v", throttled.Header)
	}
}

func TestBrowse_AServerThatCannotIsAPageToo(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	var draining atomic.Bool
	draining.Store(true)
	handler, err := routes.New(routes.Deps{
		Config: a.Config, Secret: []byte(secret), Store: a.Store, Services: a.Services, Draining: &draining, Now: a.Clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	describe(t, server.URL, describedBy(a.Config))
	r := a.do("GET", server.URL+"/readyz", nil, browserAccept)
	if p := r.shown(http.StatusServiceUnavailable); r.Header.Get("Retry-After") != "1" || !strings.Contains(p.text("json"), "The server is stopping.") {
		t.Errorf("503 has %v", r.Header)
	}
}

func TestBrowse_PrivateTasksAreNotShown(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	a.user("bob")
	path := taskPath(alice.task("hidden words", map[string]any{"visibility": "private"}))
	for _, look := range []func(path string, status int) *shownPage{
		func(path string, status int) *shownPage { return a.look(path, status) }, a.signedIn("bob", twoCookies).look,
	} {
		for at, status := range map[string]int{path: 404, "/tasks": 200, userPath(alice.ID): 200} {
			if got := textOf(look(at, status).root); strings.Contains(got, "hidden words") {
				t.Errorf("%s shows %s", at, got)
			}
		}
	}
	if got := a.signedIn("alice", twoCookies).look(path, http.StatusOK).text("json"); !strings.Contains(got, "hidden words") {
		t.Errorf("the owner is shown %s", got)
	}
}

func TestBrowse_FollowsThePrefixOfThePublicURL(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"/api/v1", "/aufgaben%20b%C3%BCro"} {
		a := newApp(t, func(c *config.Config) { c.PublicURL = "http://dueto.test" + prefix })
		boss := a.staffAccount("boss")
		b := a.browser()
		paths := map[string]int{"/": 200, "/tasks": 200, userPath(boss): 200, "/auth/login": 405, "/users/me": 401, "/nowhere": 404}
		if !strings.Contains(prefix, "%") { // the jar takes an escaped cookie path for another
			b.signIn("boss", twoCookies)
			created := b.page("POST", "/tasks", map[string]any{"title": "One"}).want(http.StatusCreated)
			paths[taskPath(created.id())], paths["/users/me"], paths["/users/1/events"] = 200, 200, 200
		}
		for path, status := range paths {
			p := b.look(path, status)
			for _, n := range p.all() {
				for _, name := range []string{"href", "src", "action", "data-next"} {
					if value := attr(n, name); value != "" && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, prefix+"/") {
						t.Errorf("%s: a %s has %s=%q", path, n.Data, name, value)
					}
				}
			}
			if got, want := p.text("request-url"), "http://dueto.test"+prefix+path; got != want {
				t.Errorf("the page of %s shows the request %s", want, got)
			}
			for _, n := range p.all("link", "script") {
				a.do("GET", attr(n, "href")+attr(n, "src"), nil).want(http.StatusOK)
			}
		}
		a.look("/", http.StatusNotFound)
	}
}

func TestBrowse_GivesTheCommandsForAShell(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice")
	p := a.do("GET", `/tasks?fields=title'"&ordering=$(x),`+"`y`"+`[1-2]{a}`, nil, browserAccept).shown(http.StatusBadRequest)
	quoted := `"http://dueto.test/tasks?fields=title%27%22&ordering=%24%28x%29,%60y%60%5B1-2%5D%7Ba%7D"`
	if got := p.text("curl-line"); got != "curl "+quoted {
		t.Errorf("curl: %s", got)
	}
	if got := p.text("httpie-line"); got != "http GET "+quoted {
		t.Errorf("httpie: %s", got)
	}
	signedIn := a.signedIn("alice", twoCookies).look("/tasks", http.StatusOK)
	if got := signedIn.text("curl-line"); got != `curl -H "Authorization: Token $TOKEN" http://dueto.test/tasks` {
		t.Errorf("curl, signed in: %s", got)
	}
}

func TestBrowse_SaysWhoIsSignedIn(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		p := b.look("/tasks", http.StatusOK)
		if p.text("account-name") != "alice" || p.byID("sign-out") == nil || p.byID("form-sign-in") != nil {
			t.Errorf("signed in, the page says %q", p.text("account"))
		}
		if p := alice.look("/tasks", http.StatusOK); p.byID("account-name") != nil || p.byID("form-sign-in") == nil || p.byID("sign-out") != nil {
			t.Error("nobody is signed in, and the page does not offer it")
		}
		// Routes that do not look at credentials do not know.
		if p := b.look("/healthz", http.StatusOK); p.byID("account") != nil || p.byID("form-sign-in") != nil {
			t.Errorf("a page that knows nobody says %q", p.text("account"))
		}
		// The payload is for scripts to read, not for the server to believe.
		_, name := cookiesOf(mode)
		forged := alice.app.do("GET", "/tasks", nil, browserAccept, cookies("jwt_access_payload="+b.cookie(name))).shown(http.StatusOK)
		if forged.byID("account-name") != nil {
			t.Errorf("the page believes a cookie that proves nothing: %q", forged.text("account"))
		}
		refused := alice.app.do("GET", "/tasks", nil, browserAccept, cookies(name+"=nonsense")).shown(http.StatusUnauthorized)
		if !hasAttr(refused.all("body")[0], "data-refused") || refused.byID("form-sign-in") == nil {
			t.Error("a page that is refused for its cookies has nothing to go on with")
		}
	})
}

func TestBrowse_WhereReadsAreClosedThePageIsToSignInBy(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.ReadAccess = "authenticated" })
	a.user("alice")
	if p := a.look("/tasks", http.StatusUnauthorized); p.byID("form-sign-in") == nil || hasAttr(p.all("body")[0], "data-refused") {
		t.Error("the page of a closed list has no form to sign in by")
	}
	a.signedIn("alice", twoCookies).look("/tasks", http.StatusOK)
}

func TestBrowse_AMethodThatIsMissingIsAPageToo(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	r := a.do("GET", "/auth/login", nil, browserAccept)
	if r.shown(http.StatusMethodNotAllowed); r.Header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("405 allows %q", r.Header.Get("Allow"))
	}
	a.do("GET", "/auth/login", nil).wantProblem(http.StatusMethodNotAllowed, services.CodeMethodNotAllowed)
}
