package tests

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dueto/config"
	"dueto/routes"
	"dueto/services"
)

// openRoutes are those that answer without a credential. Every other route has
// to refuse, and so does each that is added and not named here.
var openRoutes = []string{
	"GET /", "GET /healthz", "GET /readyz", "GET /.well-known/jwks.json", "GET /openapi.json", "GET /static/:name", "GET /docs",
	"POST /auth/register", "GET /auth/activate/:token", "POST /auth/activate/:token", "POST /auth/activate/resend",
	"POST /auth/login", "POST /auth/refresh", "POST /auth/verify", "POST /auth/logout",
	"GET /auth/email/confirm/:token", "POST /auth/email/confirm/:token", "POST /auth/password/reset", "POST /auth/password/reset/confirm",
	"GET /auth/password/reset/:token", "POST /auth/password/reset/:token",
	"GET /users", "GET /users/:id", "GET /tasks", "GET /tasks/:id",
}

// routeMethods are all that a client is likely to try, and one that nobody has.
var routeMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}

// routePath puts a value in the place of each parameter.
func routePath(pattern string, id int64) string {
	parts := strings.Split(pattern, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, ":") {
			parts[i] = fmt.Sprint(id)
		}
	}
	return strings.Join(parts, "/")
}

// routeAllows gives the methods that each path should have: those of the
// table, HEAD with GET, and OPTIONS.
func routeAllows() map[string][]string {
	allows := map[string][]string{}
	for _, r := range routes.Table() {
		if allows[r.Path] == nil {
			allows[r.Path] = []string{"OPTIONS"}
		}
		allows[r.Path] = append(allows[r.Path], r.Method)
		if r.Method == "GET" {
			allows[r.Path] = append(allows[r.Path], "HEAD")
		}
	}
	for _, methods := range allows {
		slices.Sort(methods)
	}
	return allows
}

// routeAllow reads an Allow header.
func routeAllow(r *response) []string {
	methods := strings.Split(strings.Join(r.Header.Values("Allow"), ","), ",")
	for i := range methods {
		methods[i] = strings.TrimSpace(methods[i])
	}
	slices.Sort(methods)
	return methods
}

func routeWithSlash(path string) string { return strings.TrimRight(path, "/") + "/" }

func TestRoutes_AnswerAnonymous401UnlessListedAsOpen(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	var names []string
	for _, r := range routes.Table() {
		name := r.Method + " " + r.Path
		names = append(names, name)
		for _, path := range []string{routePath(r.Path, 1), routeWithSlash(routePath(r.Path, 1))} {
			res := a.do(r.Method, path, nil)
			refused := res.Status == http.StatusUnauthorized && res.object()["code"] == string(services.CodeNotAuthenticated)
			if open := slices.Contains(openRoutes, name); refused == open {
				t.Errorf("%s %s: open is %v, but it answers %d: %s", r.Method, path, open, res.Status, res.Body)
			}
			if refused && r.Method == "GET" {
				a.do("HEAD", path, nil).want(http.StatusUnauthorized)
			}
		}
	}
	for _, name := range openRoutes {
		if !slices.Contains(names, name) {
			t.Errorf("%s is listed as open, and there is no such route", name)
		}
	}
}

func TestRoutes_BothSlashFormsAnswerAlike(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	boss.task("Here")
	for path, methods := range routeAllows() {
		for _, method := range methods {
			id, body := int64(999), any(map[string]any{})
			if method == "GET" || method == "HEAD" || method == "OPTIONS" {
				id, body = 1, nil
			}
			for who, headers := range map[string][]header{"anonymous": {beyond}, "staff": {beyond, bearer(boss.Access)}} {
				plain := routePath(path, id)
				one, other := a.do(method, plain, body, headers...), a.do(method, routeWithSlash(plain), body, headers...)
				if one.Status != other.Status || one.Status/100 == 3 || one.Status/100 == 5 || one.Header.Get("Location") != "" {
					t.Errorf("%s %s as %s: %d without a slash, %d with one", method, plain, who, one.Status, other.Status)
				}
			}
		}
	}
}

func TestRoutes_SlashFormsDoTheWork(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	r := boss.do("POST", "/tasks/", map[string]any{"title": "POST"}).want(http.StatusCreated)
	path := taskPath(r.id())
	if got := r.Header.Get("Location"); got != "http://dueto.test"+path {
		t.Fatalf("Location is %q", got)
	}
	for _, method := range []string{"PUT", "PATCH"} {
		boss.do(method, path+"/", map[string]any{"title": method}).want(http.StatusOK)
		if got := a.do("GET", path+"/", nil).want(http.StatusOK).object()["title"]; got != method {
			t.Fatalf("%s with a slash leaves the title %v", method, got)
		}
	}
	boss.do("DELETE", path+"/", nil).want(http.StatusNoContent)
	a.do("GET", path, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	account := map[string]any{"username": "alice", "email": "alice@example.com", "password": password}
	url := a.do("POST", "/auth/register/", account).want(http.StatusCreated).object()["confirmation_url"].(string)
	a.do("POST", strings.TrimPrefix(url, "http://dueto.test")+"/", nil).want(http.StatusOK)
	a.do("POST", "/auth/login/", map[string]any{"username": "alice", "password": password}).want(http.StatusOK)
}

func TestHead_AnswersAsGetWithoutBody(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	boss.task("Here")
	etag := boss.do("GET", "/tasks/1", nil).Header.Get("ETag")
	paths := map[string][]header{
		"/tasks?count=exact&page_size=1": nil, "/tasks/999": nil, "/nowhere": nil, "/tasks?nonsense=1": nil,
		"/tasks/1": {{"If-None-Match", etag}},
	}
	for _, r := range routes.Table() {
		if r.Method == "GET" {
			paths[routePath(r.Path, 1)] = nil
		}
	}
	for path, headers := range paths {
		for _, headers := range [][]header{headers, append(headers[:len(headers):len(headers)], bearer(boss.Access))} {
			get, head := a.do("GET", path, nil, headers...), a.do("HEAD", path, nil, headers...)
			for _, h := range []http.Header{get.Header, head.Header} {
				h.Del("Date")
				h.Del("X-Request-Id")
			}
			if get.Status != head.Status || !maps.EqualFunc(get.Header, head.Header, slices.Equal[[]string]) {
				t.Errorf("%s: GET gives %d %v, HEAD %d %v", path, get.Status, get.Header, head.Status, head.Header)
			}
			if len(head.Body) != 0 || (len(get.Body) > 0 && head.Header.Get("Content-Length") != fmt.Sprint(len(get.Body))) {
				t.Errorf("%s: HEAD has %d bytes of body and says %q, GET has %d", path, len(head.Body), head.Header.Get("Content-Length"), len(get.Body))
			}
		}
	}
}

func TestOptions_GivesAllowOnEveryPath(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for pattern, methods := range routeAllows() {
		for _, path := range []string{routePath(pattern, 1), routeWithSlash(routePath(pattern, 1))} {
			r := a.do("OPTIONS", path, nil).want(http.StatusOK)
			if got := routeAllow(r); !slices.Equal(got, methods) {
				t.Errorf("OPTIONS %s allows %v, want %v", path, got, methods)
			}
		}
	}
	a.do("OPTIONS", "/nowhere", nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
}

func TestUnsupportedMethod_Gets405WithAllow(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for pattern, methods := range routeAllows() {
		for _, path := range []string{routePath(pattern, 1), routeWithSlash(routePath(pattern, 1))} {
			for _, method := range routeMethods {
				if slices.Contains(methods, method) {
					continue
				}
				r := a.do(method, path, nil)
				if got := routeAllow(r); r.Status != http.StatusMethodNotAllowed || !slices.Equal(got, methods) {
					t.Errorf("%s %s: %d, Allow %v; want 405, Allow %v", method, path, r.Status, got, methods)
				} else if method != "HEAD" {
					r.wantProblem(http.StatusMethodNotAllowed, services.CodeMethodNotAllowed)
				}
			}
		}
	}
}

func TestUnknownPath_Gets404WhateverTheMethod(t *testing.T) {
	t.Parallel()
	boss := newApp(t).staff("boss")
	for _, path := range []string{"/nowhere", "/auth", "/auth/login/x", "/tasks/1/x", "/users/me/x", "/users/1/x/", "//tasks", "/Tasks"} {
		for _, method := range routeMethods {
			boss.do(method, boss.URL+path, nil).want(http.StatusNotFound)
		}
	}
	// No id is no id, and not one's own.
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		boss.do(method, "/users//", map[string]any{}).wantProblem(http.StatusNotFound, services.CodeNotFound)
	}
}

func TestRoot_ListsAbsoluteURLsThatResolve(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	want := map[string]string{}
	for _, r := range routes.Table() {
		if r.Name != "" {
			want[r.Name] = "http://dueto.test" + r.Path
		}
	}
	var got map[string]string
	a.do("GET", "/", nil).want(http.StatusOK).decode(&got)
	if !maps.Equal(got, want) || got["tasks"] != "http://dueto.test/tasks" || got["users"] != "http://dueto.test/users" {
		t.Fatalf("the root lists %v, want %v", got, want)
	}
	for name, url := range got {
		path := strings.TrimPrefix(url, "http://dueto.test")
		if r := boss.do("GET", path, nil); r.Status == http.StatusNotFound || r.Status >= 500 {
			t.Errorf("%s: GET %s gives %d", name, path, r.Status)
		}
		a.do("OPTIONS", path, nil).want(http.StatusOK)
	}
}

func TestPublicURL_PathIsThePrefixOfRoutesAndLinks(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"https://dueto.test/api/v1", "https://dueto.test/api/v1/", "https://dueto.test/aufgaben%20b%C3%BCro"} {
		t.Run(public, func(t *testing.T) {
			a := newApp(t, func(c *config.Config) { c.PublicURL = public })
			base := strings.TrimRight(public, "/")
			prefix := strings.TrimPrefix(base, "https://dueto.test")
			account := map[string]any{"username": "alice", "email": "alice@example.com", "password": password}
			link := a.do("POST", prefix+"/auth/register", account).want(http.StatusCreated).object()["confirmation_url"].(string)
			activation, ok := strings.CutPrefix(link, base+"/auth/activate/")
			if !ok {
				t.Fatalf("the confirmation is at %s", link)
			}
			a.do("POST", prefix+"/auth/activate/"+activation, nil).want(http.StatusOK)
			login := map[string]any{"username": "alice", "password": password}
			token := bearer(a.do("POST", prefix+"/auth/login", login).want(http.StatusOK).object()["access"].(string))
			me := a.do("GET", prefix+"/users/me/", nil, token).want(http.StatusOK).object()
			if me["url"] != base+"/users/1" || me["tasks_url"] != base+"/tasks?person=1" {
				t.Errorf("one's account links to %v and %v", me["url"], me["tasks_url"])
			}
			for range 2 {
				r := a.do("POST", prefix+"/tasks", map[string]any{"title": "One"}, token).want(http.StatusCreated)
				if want := fmt.Sprintf("%s/tasks/%d", base, r.id()); r.object()["url"] != want || r.Header.Get("Location") != want {
					t.Errorf("the task links to %v and %s, want %s", r.object()["url"], r.Header.Get("Location"), want)
				}
			}
			list := a.do("GET", prefix+"/tasks?page_size=1", nil).want(http.StatusOK)
			if got := list.Header.Get("Link"); !strings.HasPrefix(got, "<"+base+"/tasks?") {
				t.Errorf("the next page is at %s", got)
			}
			for _, root := range []string{prefix, prefix + "/"} {
				if got := a.do("GET", root, nil).want(http.StatusOK).object()["tasks"]; got != base+"/tasks" {
					t.Errorf("the root lists the tasks at %v", got)
				}
			}
			for _, outside := range []string{"/", "/tasks", "/tasks/1", "/healthz", prefix + "x/tasks", prefix + prefix + "/tasks"} {
				a.do("GET", outside, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
			}
		})
	}
}

// routeRaw sends a request as it is written and gives the answer's body.
func routeRaw(t *testing.T, a *app, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")+"Connection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", request, res.StatusCode, err)
	}
	return fmt.Sprint(res.Header, string(body))
}

func TestLinks_NeverComeFromTheRequest(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	alice.task("One")
	alice.task("Two")
	forwarded := "X-Forwarded-Host: evil.example\nX-Forwarded-Proto: ftp\nForwarded: host=evil.example;proto=ftp\n"
	for _, path := range []string{"/", "/tasks/1", "/tasks?page_size=1", "/users/1", "/users"} {
		for _, request := range []string{
			"GET " + path + " HTTP/1.1\nHost: evil.example\n" + forwarded,
			"GET http://evil.example" + path + " HTTP/1.1\nHost: dueto.test\n",
		} {
			got := routeRaw(t, a, request)
			if strings.Contains(got, "evil.example") || strings.Contains(got, "ftp:") || !strings.Contains(got, "http://dueto.test/") {
				t.Errorf("%q: %s", request, got)
			}
		}
	}
}

func TestSecurityHeaders_AreOnEveryKindOfAnswer(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"http://dueto.test", "https://dueto.test"} {
		a := newApp(t, func(c *config.Config) { c.PublicURL = public })
		alice := a.user("alice")
		etag := alice.do("POST", "/tasks", map[string]any{"title": "One"}).want(http.StatusCreated).Header.Get("ETag")
		_, link := a.register("bob")
		for _, r := range []*response{
			a.do("GET", "/", nil).want(200), a.do("GET", "/healthz", nil).want(200), a.do("GET", "/tasks", nil).want(200),
			alice.do("POST", "/tasks", map[string]any{"title": "Two"}).want(201), alice.do("DELETE", "/tasks/2", nil).want(204),
			a.do("OPTIONS", "/tasks", nil).want(200), a.do("GET", "/tasks/1", nil, header{"If-None-Match", etag}).want(304),
			alice.do("POST", "/tasks", "{").want(400), alice.do("POST", "/tasks", "x", header{"Content-Type", "text/plain"}).want(415),
			alice.do("POST", "/tasks", strings.Repeat(" ", 2<<20)).want(413),
			a.do("GET", "/tasks", nil, bearer("bad")).want(401), a.do("POST", "/tasks", nil).want(401),
			a.do("GET", "/tasks/999", nil).want(404), a.do("GET", "/nowhere", nil).want(404), a.do("DELETE", "/tasks", nil).want(405),
			a.do("GET", link, nil, header{"Accept", "text/html"}).want(200),
		} {
			h := r.Header
			policy := h.Get("Content-Security-Policy")
			referrer := "no-referrer"
			if strings.HasPrefix(h.Get("Content-Type"), "text/html") { // its form tells by Origin where it is from
				referrer = "same-origin"
			}
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != referrer || h.Get("Server") != "" ||
				!strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
				t.Errorf("%s: %d has %v", r.What, r.Status, h)
			}
			if insists := h.Get("Strict-Transport-Security") != ""; insists != strings.HasPrefix(public, "https") {
				t.Errorf("%s: Strict-Transport-Security %v of %s", r.What, insists, public)
			}
		}
	}
}

func TestCORS_LetsTheListedOriginsInOnly(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.com"
	a := newApp(t, func(c *config.Config) { c.CORSOrigins = []string{friend} })
	closed := newApp(t)
	preflight := func(a *app, origin, method string) http.Header {
		status := http.StatusNoContent
		if a == closed { // it knows of none, and takes it for a question like any other
			status = http.StatusOK
		}
		return a.do("OPTIONS", "/tasks/1", nil, header{"Origin", origin}, header{"Access-Control-Request-Method", method},
			header{"Access-Control-Request-Headers", "authorization,content-type,if-match"}).want(status).Header
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		h := preflight(a, friend, method)
		if h.Get("Access-Control-Allow-Origin") != friend || h.Get("Access-Control-Allow-Methods") != method ||
			h.Get("Access-Control-Allow-Headers") != "authorization,content-type,if-match" {
			t.Errorf("preflight of %s: %v", method, h)
		}
	}
	for _, route := range routes.Table() {
		path := strings.NewReplacer(":id", "1", ":token", "x", ":name", "x").Replace(route.Path)
		r := a.do("OPTIONS", path, nil, header{"Origin", friend}, header{"Access-Control-Request-Method", route.Method}).want(http.StatusNoContent)
		if got := r.Header.Get("Access-Control-Allow-Methods"); got != route.Method {
			t.Errorf("preflight of %s %s allows %q", route.Method, path, got)
		}
	}
	for _, path := range []string{"/tasks", "/tasks/999", "/nowhere", "/users/me", "/tasks?nonsense=1"} {
		r := a.do("GET", path, nil, header{"Origin", friend})
		exposed := strings.Split(strings.ToLower(strings.ReplaceAll(r.Header.Get("Access-Control-Expose-Headers"), " ", "")), ",")
		if r.Header.Get("Access-Control-Allow-Origin") != friend || !slices.Contains(exposed, "x-total-count") || !slices.Contains(exposed, "www-authenticate") {
			t.Errorf("%s: %d with %v", path, r.Status, r.Header)
		}
		if !slices.Contains(r.Header.Values("Vary"), "Origin") || !slices.Contains(r.Header.Values("Vary"), "Authorization, Cookie") {
			t.Errorf("%s varies by %v", path, r.Header.Values("Vary"))
		}
	}
	for _, origin := range []string{"https://evil.example", "http://app.example.com", "https://app.example.com.evil.example", "https://app.example.com:8443", "null"} {
		for _, h := range []http.Header{preflight(a, origin, "PATCH"), a.do("GET", "/tasks", nil, header{"Origin", origin}).want(200).Header, preflight(closed, friend, "PATCH")} {
			for name := range h {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s gets %s: %v", origin, name, h[name])
				}
			}
		}
	}
}
