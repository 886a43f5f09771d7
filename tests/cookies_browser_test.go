package tests

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dueto/services"
)

const (
	oneCookie  = services.ModeOneCookie
	twoCookies = services.ModeTwoCookies
)

var cookieModes = []string{oneCookie, twoCookies}

// allCookies are those of both modes together.
var allCookies = []string{"csrftoken", "jwt_access", "jwt_access_payload", "jwt_access_token", "jwt_refresh"}

// cookiesOf lists the cookies of a mode, sorted, and tells which of them carries
// the access token.
func cookiesOf(mode string) (names []string, access string) {
	if mode == oneCookie {
		return []string{"csrftoken", "jwt_access", "jwt_refresh"}, "jwt_access"
	}
	return []string{"csrftoken", "jwt_access_payload", "jwt_access_token", "jwt_refresh"}, "jwt_access_token"
}

// browser is a client that keeps cookies and sends them by itself.
type browser struct {
	*app
	jar *cookiejar.Jar
	// prefix is the path of the public URL.
	prefix string
	mode   string
}

func (a *app) browser() *browser {
	a.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	public, err := url.Parse(a.Config.PublicURL)
	if err != nil {
		a.t.Fatal(err)
	}
	return &browser{app: a, jar: jar, prefix: strings.TrimRight(public.Path, "/")}
}

func (b *browser) at(path string) *url.URL {
	b.t.Helper()
	u, err := url.Parse(b.URL + b.prefix + path)
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// do sends a request with the cookies that go to its path, as a browser does on
// behalf of whatever page, and keeps those of the answer.
func (b *browser) do(method, path string, body any, headers ...header) *response {
	b.t.Helper()
	u := b.at(path)
	var kept []string
	for _, c := range b.jar.Cookies(u) {
		kept = append(kept, c.Name+"="+c.Value)
	}
	if len(kept) > 0 {
		headers = append(slices.Clone(headers), cookies(kept...))
	}
	r := b.app.do(method, u.String(), body, headers...)
	b.jar.SetCookies(u, r.setCookies())
	return r
}

// page sends a request as a page of the server's own does.
func (b *browser) page(method, path string, body any) *response {
	b.t.Helper()
	return b.do(method, path, body, csrfToken(b.cookie("csrftoken")), header{"Origin", b.URL}, header{"Sec-Fetch-Site", "same-origin"})
}

// staffAccount makes a superuser, wherever the public URL's path is.
func (a *app) staffAccount(name string) (id int64) {
	a.t.Helper()
	user, err := a.Services.Accounts.CreateSuperuser(context.Background(), services.NewAccount{
		Username: name, Email: name + "@example.com", Password: password,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return user.ID
}

func csrfToken(value string) header { return header{"X-CSRFToken", value} }

// cookies is the header that carries them, each as name=value.
func cookies(list ...string) header { return header{"Cookie", strings.Join(list, "; ")} }

func (r *response) setCookies() []*http.Cookie { return (&http.Response{Header: r.Header}).Cookies() }

// signIn logs in with cookies.
func (b *browser) signIn(username, mode string) *response {
	b.t.Helper()
	b.mode = mode
	return b.do("POST", "/auth/login", map[string]any{"username": username, "password": password, "mode": mode}).want(http.StatusOK)
}

// signedIn gives a browser in which an account is signed in.
func (a *app) signedIn(username, mode string) *browser {
	a.t.Helper()
	b := a.browser()
	b.signIn(username, mode)
	return b
}

// cookie gives the value of one that is kept, or "".
func (b *browser) cookie(name string) string {
	b.t.Helper()
	for _, c := range b.jar.Cookies(b.at("/auth/refresh")) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// access gives the access token that the cookies carry.
func (b *browser) access() string {
	b.t.Helper()
	_, name := cookiesOf(b.mode)
	return b.cookie(name)
}

// put changes the value of a cookie that is kept.
func (b *browser) put(name, value string) {
	b.t.Helper()
	path := b.prefix + "/"
	if name == "jwt_refresh" {
		path = b.prefix + "/auth"
	}
	b.jar.SetCookies(b.at("/"), []*http.Cookie{{Name: name, Value: value, Path: path}})
}

// kept lists the cookies of the browser by name.
func (b *browser) kept() (names []string) {
	b.t.Helper()
	for _, c := range b.jar.Cookies(b.at("/auth/refresh")) {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

func (b *browser) wantKept(names ...string) {
	b.t.Helper()
	if got := b.kept(); !slices.Equal(got, names) {
		b.t.Errorf("the browser keeps %q, want %q", got, names)
	}
}

// wantSignedIn checks that the cookies speak for an account, reading and writing.
func (b *browser) wantSignedIn(id int64) {
	b.t.Helper()
	if got := b.do("GET", "/users/me", nil).want(http.StatusOK).id(); got != id {
		b.t.Fatalf("the cookies speak for %d, want %d", got, id)
	}
	task := b.page("POST", "/tasks", map[string]any{"title": "Ours"}).want(http.StatusCreated)
	if got := task.object()["created_by"]; got != float64(id) {
		b.t.Fatalf("a task is made by %v, want %d", got, id)
	}
}

// wantCleared checks that an answer takes every cookie away.
func (b *browser) wantCleared(r *response) {
	b.t.Helper()
	var names []string
	for _, c := range r.setCookies() {
		names = append(names, c.Name)
		if c.MaxAge >= 0 || c.Value != "" {
			b.t.Errorf("%s: %s is set to %q for %d s, not removed", r.What, c.Name, c.Value, c.MaxAge)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, allCookies) {
		b.t.Errorf("%s: removes %q, want %q", r.What, names, allCookies)
	}
	b.wantKept()
}

// wantNoToken checks that a body holds nothing of the tokens in the cookies, and
// has these members only.
func (b *browser) wantNoToken(r *response, want map[string]any) {
	b.t.Helper()
	if got := r.object(); !reflect.DeepEqual(got, want) {
		b.t.Errorf("%s: the body is %v, want %v", r.What, got, want)
	}
	for _, name := range allCookies {
		for part := range strings.SplitSeq(b.cookie(name), ".") {
			if part != "" && strings.Contains(string(r.Body), part) {
				b.t.Errorf("%s: the body holds a part of %s: %s", r.What, name, r.Body)
			}
		}
	}
}

// claimsOf reads the payload of a token as it is written.
func claimsOf(t testing.TB, token string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	encoded, err := json.Marshal(decodeSegment(t, parts[1]))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// inBothModes runs a test in each mode, on a server of its own on which alice
// has an account.
func inBothModes(t *testing.T, test func(t *testing.T, alice *person, mode string)) {
	t.Helper()
	t.Parallel()
	for _, mode := range cookieModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			test(t, newApp(t).user("alice"), mode)
		})
	}
}
