package tests

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"dueto/config"
	"dueto/internal/conform"
	"dueto/routes"
	"dueto/services"
)

// documentedAnswer is one that the document has.
type documentedAnswer struct {
	method, path string
	status       int
	kind         string // its media type, or ""
}

func documentedAnswers(t *testing.T) (list []documentedAnswer) {
	t.Helper()
	d, err := conform.Parse(marshal(t, testDocument()))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range d.Documented() {
		parts := append(strings.Fields(text), "")
		status, err := strconv.Atoi(parts[2])
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		list = append(list, documentedAnswer{parts[0], parts[1], status, parts[3]})
	}
	return list
}

func (d documentedAnswer) safe() bool {
	return d.method == http.MethodGet || d.method == http.MethodHead || d.method == http.MethodOptions
}

// want checks an answer, by the type that is documented too.
func (d documentedAnswer) want(r *response) {
	r.t.Helper()
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); r.Status != d.status || (d.method != http.MethodHead && kind != d.kind) {
		r.t.Errorf("%s: %d as %q, want %d as %q: %s", r.What, r.Status, kind, d.status, d.kind, r.Body)
	}
}

// doorsWorld has one of everything that a path may name.
type doorsWorld struct {
	*app
	boss    *person
	key     string // of an API token for hardly anything
	replace *strings.Replacer
}

func newDoorsWorld(t *testing.T) *doorsWorld {
	t.Helper()
	w := &doorsWorld{app: newApp(t)}
	w.boss = w.staff("boss")
	made := w.boss.do("POST", "/auth/tokens", map[string]any{"name": "doors", "permissions": []string{"tasks.delete"}}).want(http.StatusCreated)
	w.key, _ = made.object()["key"].(string)
	asset := regexp.MustCompile(`static/([\w.-]+)`).FindSubmatch(w.do("GET", "/docs", nil).Body)
	if asset == nil {
		t.Fatal("the page has no file")
	}
	w.replace = strings.NewReplacer("/users/{id}", userPath(w.boss.ID), "/tasks/{id}", taskPath(w.boss.task("Doors")),
		"/auth/tokens/{id}", fmt.Sprintf("/auth/tokens/%d", made.id()), "/auth/sessions/{id}", fmt.Sprintf("/auth/sessions/%d", w.boss.session()),
		"{token}", "x", "{name}", string(asset[1]))
	return w
}

// meet asks for an answer that follows from the doors of a route and from what
// it takes, or tells that this one does not.
func (w *doorsWorld) meet(d documentedAnswer) (r *response, ok bool) {
	path, as := w.replace.Replace(d.path), bearer(w.boss.Access)
	accept := header{"Accept", d.kind}
	body := map[string]any{"title": "Doors"}
	if d.method != "PUT" {
		body = map[string]any{}
	}
	if d.method == "DELETE" && strings.HasPrefix(d.path, "/users") {
		body["password"] = password
	}
	form := strings.HasPrefix(d.path, "/auth/password/reset/{")
	switch {
	case d.status == http.StatusBadRequest:
		return w.do(d.method, path+"?no_such=1", nil, accept, as), !form || d.safe()
	case d.status == http.StatusUnauthorized && d.safe():
		return w.do(d.method, path, nil, accept, bearer("nonsense")), true
	case d.status == http.StatusForbidden && d.safe():
		return w.do(d.method, path, nil, accept, header{"Authorization", "Token " + w.key}), true
	case d.status == http.StatusForbidden:
		return w.do(d.method, path, nil, accept, header{"Origin", "https://elsewhere.example"}, header{"Sec-Fetch-Site", "cross-site"}), true
	case d.status == http.StatusNotFound && d.safe():
		return w.do(d.method, regexp.MustCompile(`{\w+}`).ReplaceAllString(d.path, "999"), nil, accept, as), true
	case d.status == http.StatusNotModified:
		return w.do(d.method, path, nil, as, header{"If-None-Match", "*"}), true
	case d.status == http.StatusPreconditionFailed && d.method == "DELETE" && strings.HasPrefix(d.path, "/tasks"):
		return w.boss.do(d.method, path, nil, header{"If-Match", `"old"`}), true
	case d.status == http.StatusPreconditionFailed:
		return w.boss.do(d.method, path, body, header{"If-Match", `"old"`}), true
	case d.status == http.StatusRequestEntityTooLarge:
		kind := header{"Content-Type", "application/json"}
		if form {
			kind.value = "application/x-www-form-urlencoded"
		}
		return w.do(d.method, path, strings.Repeat(" ", 2<<20), accept, as, kind), true
	case d.status == http.StatusUnsupportedMediaType:
		return w.do(d.method, path, "x", accept, as, header{"Content-Type", "text/plain"}), true
	}
	return nil, false
}

// What the doors of a route refuse, and what it does not take, is refused on each
// route as the document says, to programs and to browsers.
func TestRefusals_AreMetOnEveryRoute(t *testing.T) {
	t.Parallel()
	w := newDoorsWorld(t)
	met := 0
	for _, d := range documentedAnswers(t) {
		if r, ok := w.meet(d); ok {
			met++
			d.want(r)
		}
	}
	if met < 250 {
		t.Errorf("%d answers were met", met)
	}
	w.boss.do("HEAD", w.replace.Replace("/auth/tokens/{id}"), nil).want(http.StatusOK)
	_, link := w.register("alice")
	w.do("POST", link, nil).want(http.StatusOK)
	w.do("HEAD", link, nil).want(http.StatusConflict)
}

func TestRefusals_TooManyRequestsAreRefusedOnEveryRoute(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.Throttle = "on" })
	for i := 0; a.do("GET", "/auth/sessions", nil).Status != http.StatusTooManyRequests; i++ {
		if i > 5000 {
			t.Fatal("nothing was refused")
		}
	}
	exempt := map[string]bool{}
	for _, r := range routes.Table() {
		exempt[regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")] = r.Rate == services.RateExempt
	}
	met := 0
	for _, d := range documentedAnswers(t) {
		if d.status != http.StatusTooManyRequests || exempt[d.path] {
			continue
		}
		met++
		d.want(a.do(d.method, regexp.MustCompile(`{\w+}`).ReplaceAllString(d.path, "1"), nil, header{"Accept", d.kind}))
	}
	if met < 80 {
		t.Errorf("%d routes were asked", met)
	}
}
