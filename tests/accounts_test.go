package tests

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

var (
	browserAccept   = header{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
	prefetchPurpose = header{"Sec-Purpose", "prefetch;prerender"}
)

// wantPending checks that an account still waits for its confirmation.
func (a *app) wantPending(username string) {
	a.t.Helper()
	a.loginAs(username, password).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
}

// wantDetail checks an answer that is a sentence.
func (r *response) wantDetail(status int, sentence string) {
	r.t.Helper()
	if got := r.want(status).object(); !reflect.DeepEqual(got, map[string]any{"detail": sentence}) {
		r.t.Fatalf("%.40s: got %v, want the detail %q", r.What, got, sentence)
	}
}

func TestRegister_AnswersTheInactiveUserAndItsLink(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.PublicURL = "https://todo.example.com/api" })
	r := a.do("POST", "/api/auth/register", map[string]any{
		"username": " Alice ", "email": " Alice@Example.COM ", "password": password,
	}, header{"X-Forwarded-Host", "evil.test"}, beyond).want(http.StatusCreated)
	got := r.object()
	link, _ := got["confirmation_url"].(string)
	delete(got, "confirmation_url")
	want := map[string]any{
		"id": 1.0, "url": "https://todo.example.com/api/users/1", "username": "Alice", "date_joined": "2026-10-18T12:00:00Z",
		"task_count": 0.0, "tasks": []any{}, "tasks_url": "https://todo.example.com/api/tasks?person=1",
		"email": "Alice@Example.COM", "pending_email": nil, "is_active": false, "is_staff": false, "permissions": []any{}, "last_login": nil, "time_zone": "UTC",
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	if r.Header.Get("Cache-Control") != "no-store" || len(r.Header["Set-Cookie"]) != 0 {
		t.Errorf("headers %v", r.Header)
	}
	path, ours := strings.CutPrefix(link, "https://todo.example.com/api/auth/activate/")
	if !ours || path == "" {
		t.Fatalf("confirmation_url %q", link)
	}
	a.do("GET", "/api/users/1", nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	a.do("GET", "/api/auth/activate/"+path, nil).wantDetail(http.StatusOK, "User activated.")
	a.do("GET", "/api/users/1", nil).want(http.StatusOK)
}

func TestRegister_TakenNamesAreFieldErrors(t *testing.T) {
	t.Parallel()
	const nameTaken, emailTaken = "A user with that username already exists.", "A user with that email already exists."
	a := newApp(t)
	a.user("alice")
	a.register("pending")
	for _, c := range []struct {
		username, email string
		want            map[string]any
	}{
		{"alice", "new@example.com", map[string]any{"username": []any{nameTaken}}},
		{"ALICE", "new@example.com", map[string]any{"username": []any{nameTaken}}},
		{" alice ", "new@example.com", map[string]any{"username": []any{nameTaken}}},
		{"ａｌｉｃｅ", "new@example.com", map[string]any{"username": []any{nameTaken}}},
		{"newcomer", "alice@example.com", map[string]any{"email": []any{emailTaken}}},
		{"newcomer", "ALICE@Example.com", map[string]any{"email": []any{emailTaken}}},
		{"alice", "alice@example.com", map[string]any{"username": []any{nameTaken}, "email": []any{emailTaken}}},
		{"Pending", "alice@example.com", map[string]any{"username": []any{nameTaken}, "email": []any{emailTaken}}},
		{"pending", "new@example.com", map[string]any{"username": []any{nameTaken}}},
	} {
		r := a.do("POST", "/auth/register", map[string]any{"username": c.username, "email": c.email, "password": password}).
			wantProblem(http.StatusBadRequest, services.CodeInvalid)
		if got := r.object()["errors"]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s, %s: got %v, want %v", c.username, c.email, got, c.want)
		}
	}
}

func TestRegister_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.do("POST", "/auth/register", map[string]any{}).wantFields("username", "email", "password")
	a.do("POST", "/auth/register", map[string]any{"username": "", "email": "", "password": ""}).wantFields("username", "email", "password")
	a.do("POST", "/auth/register", map[string]any{"username": "me", "email": "nowhere", "password": "short"}).
		wantFields("username", "email", "password")
	a.do("POST", "/auth/register", map[string]any{
		"username": "alice", "email": "alice@example.com", "password": password, "is_staff": true, "is_active": true,
	}).wantFields("is_staff", "is_active")
	r := a.do("POST", "/auth/register", map[string]any{"username": "alice", "email": "a@example.com", "password": "ALICE in wonderland"})
	want := map[string]any{"password": []any{"The password is too similar to the username."}}
	if got := r.wantFields("password").object()["errors"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestActivate_ByGetAndByPost(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, method := range []string{"GET", "POST"} {
		for _, slash := range []string{"", "/"} {
			name := strings.ToLower(method) + strings.Repeat("-slash", len(slash))
			_, link := a.register(name)
			a.wantPending(name)
			r := a.do(method, link+slash, nil)
			r.wantDetail(http.StatusOK, "User activated.")
			if len(r.Header["Set-Cookie"]) != 0 || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: headers %v", method, r.Header)
			}
			a.login(name)
		}
	}
}

func TestActivate_LookingDoesNotActivate(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]struct {
		method  string
		headers []header
	}{
		"HEAD":                 {"HEAD", nil},
		"HEAD of a browser":    {"HEAD", []header{browserAccept}},
		"prefetch":             {"GET", []header{prefetchPurpose}},
		"plain prefetch":       {"GET", []header{{"Sec-Purpose", "prefetch"}}},
		"prefetch of a page":   {"GET", []header{prefetchPurpose, browserAccept}},
		"old prefetch":         {"GET", []header{{"Purpose", "prefetch"}}},
		"prefetch of Firefox":  {"GET", []header{{"X-Moz", "prefetch"}}},
		"preview of Safari":    {"GET", []header{{"X-Purpose", "preview"}}},
		"browser":              {"GET", []header{browserAccept}},
		"OPTIONS":              {"OPTIONS", nil},
		"browser of few words": {"GET", []header{{"Accept", "text/html"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			_, link := a.register("alice")
			r := a.do(look.method, link, nil, look.headers...)
			if r.Status != http.StatusOK && r.Status != http.StatusNoContent {
				t.Fatalf("status %d: %s", r.Status, r.Body)
			}
			if look.method == "HEAD" && len(r.Body) != 0 {
				t.Fatalf("HEAD with the body %q", r.Body)
			}
			a.wantPending("alice")
			a.do("POST", link, nil).wantDetail(http.StatusOK, "User activated.")
		})
	}
}

var (
	formOfPage   = regexp.MustCompile(`(?s)<form([^>]*)>(.*?)</form>`)
	buttonOfForm = regexp.MustCompile(`(?s)<button([^>]*)>[^<]+</button>`)
	styleOfPage  = regexp.MustCompile(`<link rel="stylesheet" href="([^"]+)">`)
	scriptOfPage = regexp.MustCompile(`(?i)<script|<style|\son[a-z]+=|javascript:|<img|\sstyle=`)
	statusOfPage = regexp.MustCompile(`(?s)<p role="status">(.*?)</p>`)
)

// wantPage checks what every page has, and gives its sentence.
func (r *response) wantPage(status int) (sentence string) {
	r.t.Helper()
	r.want(status)
	if got := r.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		r.t.Fatalf("Content-Type %q of a page", got)
	}
	style := styleOfPage.FindSubmatch(r.Body)
	if style == nil {
		r.t.Fatalf("a page without its style: %s", r.Body)
	}
	if !strings.Contains(string(style[1]), "/static/style-") {
		r.t.Errorf("the style is at %s", style[1])
	}
	policy := "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if got := r.Header.Get("Content-Security-Policy"); got != policy {
		r.t.Errorf("policy %q, want %q", got, policy)
	}
	if found := scriptOfPage.Find(r.Body); found != nil {
		r.t.Errorf("the page has %q", found)
	}
	if r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Referrer-Policy") != "same-origin" {
		r.t.Errorf("headers %v", r.Header)
	}
	found := statusOfPage.FindSubmatch(r.Body)
	if found == nil {
		r.t.Fatalf("a page without a sentence: %s", r.Body)
	}
	return string(found[1])
}

func TestActivate_BrowserPressesAButton(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, link := a.register("alice")
	shown := a.do("GET", link, nil, browserAccept)
	if got := shown.wantPage(http.StatusOK); got != "Press the button to activate your account." {
		t.Fatalf("the page says %q", got)
	}
	form := formOfPage.FindSubmatch(shown.Body)
	if form == nil || string(form[1]) != ` method="post"` || !buttonOfForm.Match(form[2]) {
		t.Fatalf("the page has no form that posts to its own URL with a button: %s", shown.Body)
	}
	a.wantPending("alice")
	press := func() *response {
		return a.do("POST", link, "", browserAccept, header{"Content-Type", "application/x-www-form-urlencoded"}, header{"Origin", a.Config.PublicURL})
	}
	pressed := press()
	if got := pressed.wantPage(http.StatusOK); got != "User activated." || formOfPage.Match(pressed.Body) {
		t.Fatalf("after the button the page says %q", got)
	}
	a.login("alice")
	again := press()
	if got := again.wantPage(http.StatusConflict); got != "This account is already active." || formOfPage.Match(again.Body) {
		t.Fatalf("pressed again the page says %q", got)
	}
	if got := a.do("GET", link+"x", nil, browserAccept).wantPage(http.StatusUnauthorized); got != deadLinkText {
		t.Fatalf("on a bad link the page says %q", got)
	}
}

func TestActivate_FailuresOfALink(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	operator := func(f func(*services.AccountService) error) func(*app) error {
		return func(a *app) error { return f(a.Services.Accounts) }
	}
	patch := func(members map[string]any) func(*app) error {
		return func(a *app) error {
			a.staff("root").do("PATCH", "/users/1", members).want(http.StatusOK)
			return nil
		}
	}
	followed := func(a *app, link string) { a.do("POST", link, nil).want(http.StatusOK) }
	for name, c := range map[string]struct {
		before func(a *app, link string) // while the account is as registered
		event  func(a *app) error
		status int
		code   services.Code
		detail string
	}{
		"expired": {nil, func(a *app) error { a.Clock.Advance(2 * time.Hour); return nil }, 401, services.CodeTokenExpired, "Signature has expired."},
		"used":    {followed, nil, 409, services.CodeAlreadyActive, "This account is already active."},
		"activated by the operator": {nil, operator(func(s *services.AccountService) error { return s.ActivateByName(ctx, "alice") }),
			409, services.CodeAlreadyActive, "This account is already active."},
		"deactivated while pending": {nil, operator(func(s *services.AccountService) error { return s.DeactivateByName(ctx, "alice") }),
			401, services.CodeUserInactive, "User inactive or deleted."},
		"used, then deactivated": {followed, operator(func(s *services.AccountService) error { return s.DeactivateByName(ctx, "alice") }),
			401, services.CodeUserInactive, "User inactive or deleted."},
		"password set by the operator": {nil, operator(func(s *services.AccountService) error { return s.SetPassword(ctx, "alice", "another fine password") }),
			401, services.CodeTokenNotValid, "Error decoding signature."},
		"address changed by the staff": {nil, patch(map[string]any{"email": "other@example.com"}), 401, services.CodeTokenNotValid, "Error decoding signature."},
		"deactivated by the staff":     {followed, patch(map[string]any{"is_active": false}), 401, services.CodeUserInactive, "User inactive or deleted."},
		"deleted by the staff": {nil, func(a *app) error {
			a.staff("root").do("DELETE", "/users/1", nil).want(http.StatusNoContent)
			return nil
		}, 401, services.CodeUserInactive, "User inactive or deleted."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			_, link := a.register("alice")
			if c.before != nil {
				c.before(a, link)
			}
			if c.event != nil {
				if err := c.event(a); err != nil {
					t.Fatal(err)
				}
			}
			for _, method := range []string{"GET", "POST", "GET"} {
				r := a.do(method, link, nil).wantProblem(c.status, c.code)
				if got := r.object()["detail"]; got != c.detail {
					t.Errorf("%s: detail %q, want %q", method, got, c.detail)
				}
			}
			if c.status == http.StatusUnauthorized {
				a.wantPending("alice")
			}
		})
	}
}

func TestActivate_LinkSurvivesAChangeOfName(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id, link := a.register("alice")
	root := a.staff("root")
	root.do("PATCH", userPath(id), map[string]any{"username": "alicia"}).want(http.StatusOK)
	a.do("POST", link, nil).wantDetail(http.StatusOK, "User activated.") // a name is not what was confirmed
	a.login("alicia")
}

func TestResend_AnswersAlikeForAllAddresses(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice")
	a.user("gone")
	_, link := a.register("pending")
	if err := a.Services.Accounts.DeactivateByName(context.Background(), "gone"); err != nil {
		t.Fatal(err)
	}
	resend := func(email string) *response {
		return a.do("POST", "/auth/activate/resend", map[string]any{"email": email})
	}
	unknown := resend("nobody@example.com").want(http.StatusAccepted)
	if o := unknown.object(); len(o) != 1 || o["detail"] == "" {
		t.Fatalf("got %s", unknown.Body)
	}
	for _, name := range []string{"alice", "gone", "pending", "PENDING"} {
		wantSameAnswer(t, unknown, resend(name+"@example.com"))
	}
	for _, bad := range []string{"", " ", "pending", "@example.com", "pending@", "a b@example.com", "pending@example.com,alice@example.com"} {
		resend(bad).wantFields("email")
	}
	a.do("POST", "/auth/activate/resend", map[string]any{}).wantFields("email")
	a.do("POST", link, nil).wantDetail(http.StatusOK, "User activated.") // asking again kills no link
}

func TestActivation_IgnoresAnAuthorizationHeader(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for i, credential := range []string{"Bearer nonsense", "Basic YTpi", "Bearer"} {
		name := fmt.Sprintf("person%d", i)
		h := header{"Authorization", credential}
		r := a.do("POST", "/auth/register", map[string]any{"username": name, "email": name + "@example.com", "password": password}, h).
			want(http.StatusCreated)
		link := strings.TrimPrefix(r.object()["confirmation_url"].(string), a.Config.PublicURL)
		a.do("POST", link, nil, h).want(http.StatusOK)
		a.do("POST", "/auth/activate/resend", map[string]any{"email": name + "@example.com"}, h).want(http.StatusAccepted)
		a.do("POST", "/auth/login", map[string]any{"username": name, "password": password}, h).want(http.StatusOK)
	}
}
