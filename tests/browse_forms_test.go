package tests

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"dueto/config"
	"dueto/routes"
)

// forms gives the ids of a page's forms that change something.
func (p *shownPage) forms() (ids []string) {
	for _, n := range p.all("form") {
		if attr(n, "method") == "post" {
			ids = append(ids, attr(n, "id"))
		}
	}
	return ids
}

func TestBrowse_FormsAreThoseOfThePathsMethods(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	boss.task("One")
	b := a.signedIn("boss", twoCookies)
	token := boss.do("POST", "/auth/tokens", map[string]any{"name": "One"}).want(http.StatusCreated).id()
	for path, methods := range routeAllows() {
		id := int64(1)
		if strings.HasPrefix(path, "/auth/tokens") {
			id = token
		}
		r := b.do("GET", routePath(path, id), nil, browserAccept)
		if strings.Contains(path, ":token") || strings.Contains(path, ":name") || path == "/docs" || path == "/openapi.json" { // pages of their own, and files
			continue
		}
		p := r.shown(r.Status)
		if r.Status != http.StatusOK && r.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, r.Status)
		}
		var want []string
		for _, method := range []string{"POST", "PATCH", "PUT", "DELETE"} {
			if slices.Contains(methods, method) {
				want = append(want, "form-"+strings.ToLower(method))
			}
		}
		if got := p.forms(); !slices.Equal(got, want) {
			t.Errorf("%s has the forms %q, want %q", path, got, want)
		}
		if got := strings.Fields(p.text("methods")); !slices.Equal(got, methods) {
			t.Errorf("%s shows the methods %q, want %q", path, got, methods)
		}
		for _, n := range p.all("form") {
			if attr(n, "id") == "form-filter" {
				continue
			}
			if attr(n, "method") != "post" || attr(n, "action") != routePath(path, id) || attr(n, "data-method") != strings.ToUpper(strings.TrimPrefix(attr(n, "id"), "form-")) {
				t.Errorf("%s: a form has %v", path, n.Attr)
			}
		}
		for _, n := range p.all("button") { // dead until the script has taken over: a password would go into the URL
			if attr(n, "type") == "submit" && !hasAttr(n, "disabled") {
				t.Errorf("%s: %q works without the script", path, textOf(n))
			}
		}
	}
}

func TestBrowse_FormsHaveTheFieldsOfTheBody(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.staff("boss")
	b := a.signedIn("boss", twoCookies)
	for _, route := range routes.Table() {
		if route.Method == "GET" || route.Does.Body == nil || strings.Contains(route.Path, ":") {
			continue
		}
		r := b.do("GET", route.Path, nil, browserAccept)
		p := r.shown(r.Status)
		prefix := strings.ToLower(route.Method) + "-"
		for _, property := range route.Does.Body.Properties {
			n := p.byID(prefix + property.Name)
			if (n == nil) != property.Schema.ReadOnly {
				t.Errorf("%s %s: read only is %v, and the form has %v", route.Method, route.Path, property.Schema.ReadOnly, n)
			}
			if n == nil {
				continue
			}
			if required := slices.Contains(route.Does.Body.Required, property.Name); required != (attr(n, "aria-required") == "true") {
				t.Errorf("%s %s: %s is required: %v", route.Method, route.Path, property.Name, required)
			}
			if (p.byID(prefix+property.Name+"-null") != nil) != property.Schema.Type.Has("null") {
				t.Errorf("%s %s: whether %s may be null is not what the form says", route.Method, route.Path, property.Name)
			}
			if strings.Contains(property.Name, "password") && attr(n, "type") != "password" {
				t.Errorf("%s %s: %s is of type %q", route.Method, route.Path, property.Name, attr(n, "type"))
			}
		}
	}
}

func TestBrowse_FormsThatChangeHaveWhatIsThere(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	alice.task("One", map[string]any{
		"description": "\nFirst\nsecond", "due_to": "2026-12-18T20:12:01.5+01:00", "done": true, "priority": 3, "tags": []string{"a", "b c"}, "visibility": "private",
	})
	alice.task("Two\nlines", map[string]any{"person": nil})
	b := a.signedIn("alice", twoCookies)
	r := b.do("GET", "/tasks/1", nil)
	p := b.look("/tasks/1", http.StatusOK)
	for _, method := range []string{"put-", "patch-"} {
		for id, want := range map[string][3]string{
			"title": {"input", "text", "One"}, "description": {"textarea", "text", "First\nsecond"}, "due_to": {"input", "time", "2026-12-18T19:12:01.5Z"},
			"done": {"select", "boolean", "true"}, "priority": {"input", "integer", "3"}, "tags": {"textarea", "texts", "a\nb c"},
			"visibility": {"select", "text", "private"}, "person": {"input", "integer", "1"},
		} {
			if got := p.field(method+id, want[0], want[1]); got != want[2] {
				t.Errorf("%s%s has %q, want %q", method, id, got, want[2])
			}
		}
		if got := attr(p.byID(method+"description"), "data-was"); got != `"\nFirst\nsecond"` {
			t.Errorf("the description was %s", got)
		}
		n := p.byID(method + "priority")
		if attr(n, "type") != "number" || attr(n, "min") != "0" || attr(n, "max") != "4" {
			t.Errorf("the priority has %v", n.Attr)
		}
		if p.byID(method+"id") != nil || p.byID(method+"created_at") != nil {
			t.Error("the form has members that are read only")
		}
	}
	for _, id := range []string{"form-put", "form-patch", "form-delete"} {
		if got := attr(p.byID(id), "data-etag"); got != r.Header.Get("ETag") || got == "" {
			t.Errorf("%s has the version %s, want %s", id, got, r.Header.Get("ETag"))
		}
	}
	if got := attr(p.byID("form-delete"), "data-next"); got != "/tasks" {
		t.Errorf("after it is deleted comes %q", got)
	}
	second := b.look("/tasks/2", http.StatusOK)
	if got := second.field("patch-title", "textarea", "text"); got != "Two\nlines" {
		t.Errorf("the title is %q", got)
	}
	if !hasAttr(second.byID("patch-person-null"), "checked") || hasAttr(p.byID("patch-person-null"), "checked") {
		t.Error("whether the person is null is not what the forms say")
	}
	created := b.look("/tasks", http.StatusOK)
	if got := created.field("post-done", "select", "boolean"); got != "" {
		t.Errorf("a new task is done: %q", got)
	}
}

func TestBrowse_OffersToSignInForWhatNeedsIt(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice").task("One")
	closed := func(p *shownPage) (list []string) {
		for _, n := range p.all("p") {
			if attr(n, "class") == "closed" {
				list = append(list, textOf(n))
			}
		}
		return list
	}
	p := a.look("/tasks/1", http.StatusOK)
	if got := p.forms(); !slices.Equal(got, []string{"form-sign-in"}) {
		t.Errorf("nobody is signed in, and the page has the forms %q", got)
	}
	if got, want := closed(p), []string{"PATCH Sign in to change a task.", "PUT Sign in to replace a task.", "DELETE Sign in to delete a task."}; !slices.Equal(got, want) {
		t.Errorf("the page says %q, want %q", got, want)
	}
	// What is open to all has its form, and the login one by which a browser signs in.
	if got := a.look("/auth/register", http.StatusMethodNotAllowed).forms(); !slices.Equal(got, []string{"form-post", "form-sign-in"}) {
		t.Errorf("registering has the forms %q", got)
	}
	login := a.look("/auth/login", http.StatusMethodNotAllowed)
	if got := login.forms(); !slices.Equal(got, []string{"form-sign-in"}) || attr(login.byID("form-sign-in"), "data-next") != "/" {
		t.Errorf("signing in has the forms %q", got)
	}
	if got := attr(login.all("body")[0], "data-mode"); got != twoCookies {
		t.Errorf("the page signs in with the mode %q", got)
	}
	// Those who lack a word are told.
	list := a.signedIn("alice", twoCookies).look("/users", http.StatusOK)
	if got := closed(list); len(list.forms()) != 0 || !slices.Equal(got, []string{"POST Make an account for somebody: your account lacks the permission users.add."}) {
		t.Errorf("the list of accounts says %q", got)
	}
}

func TestBrowse_WithoutCookiesThereIsNothingToSignInBy(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.AuthModes = []string{"json"} })
	alice := a.user("alice")
	alice.task("One")
	for path, status := range map[string]int{"/tasks": 200, "/tasks/1": 200, "/users/me": 401} {
		p := a.look(path, status)
		if got := p.forms(); len(got) != 0 || !strings.Contains(textOf(p.root), "needs a token") || p.byID("sign-in-link") != nil {
			t.Errorf("%s has the forms %q", path, got)
		}
	}
	if got := a.look("/auth/login", http.StatusMethodNotAllowed).forms(); !slices.Equal(got, []string{"form-post"}) {
		t.Errorf("the login has the forms %q", got)
	}
	one := newApp(t, func(c *config.Config) { c.AuthModes = []string{"json", oneCookie} })
	if got := attr(one.look("/tasks", http.StatusOK).all("body")[0], "data-mode"); got != oneCookie {
		t.Errorf("the page signs in with the mode %q", got)
	}
}

func TestBrowse_BrowsersAreToldWhatTheyMayFillIn(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.AuthModes = []string{"json"} }) // the login is a form as others are
	for path, want := range map[string]map[string]string{
		"/auth/login":          {"username": "username", "password": "current-password"},
		"/auth/login/":         {"username": "username", "password": "current-password"},
		"/auth/register":       {"username": "username", "email": "email", "password": "new-password"},
		"/auth/password/reset": {"email": "email"},
	} {
		p := a.look(path, http.StatusMethodNotAllowed)
		for name, complete := range want {
			if got := attr(p.byID("post-"+name), "autocomplete"); got != complete {
				t.Errorf("%s: %s is completed as %q, want %q", path, name, got, complete)
			}
		}
	}
	// Somebody else's account is not one's own, whatever the server's path is called.
	below := newApp(t, func(c *config.Config) { c.PublicURL = "http://dueto.test/auth/api" })
	id := below.staffAccount("boss")
	b := below.browser()
	b.signIn("boss", twoCookies)
	p := b.look(userPath(id), http.StatusOK)
	if got := attr(p.byID("patch-username"), "autocomplete"); got != "off" {
		t.Errorf("the name of an account is completed as %q", got)
	}
}
