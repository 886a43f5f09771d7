package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dueto/routes"
	"dueto/services"
)

// problemToken is the challenge to a token that was sent and refused.
func problemToken(text string) string {
	return `Bearer realm="dueto", error="invalid_token", error_description="` + text + `"`
}

const (
	problemChallenge = `Bearer realm="dueto"`
	textNotGiven     = "Authentication credentials were not provided."
	textExpired      = "Signature has expired."
	textNotDecoded   = "Error decoding signature."
	textInactive     = "User inactive or deleted."
	textNoAccount    = "No active account found with the given credentials"
	textForbidden    = "You do not have permission to perform this action."
	textNotFound     = "Not found."
)

func TestErrors_EachCodeHasItsStatusTextAndShape(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	old := a.user("old")
	_, oldLink := a.register("latecomer")
	a.Clock.Advance(3 * time.Hour)
	alice, bob, gone, boss := a.user("alice"), a.user("bob"), a.user("gone"), a.staff("boss")
	boss.do("PATCH", userPath(gone.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	task := taskPath(alice.task("One"))
	_, link := a.register("carol")
	a.do("POST", link, nil).want(http.StatusOK)
	type fields = map[string]any
	for name, test := range map[string]struct {
		r         *response
		status    int
		code      services.Code
		detail    string // "" is any sentence
		challenge string
		errors    fields
	}{
		"400 invalid": {alice.do("POST", "/tasks", fields{"due_to": "2026-10-18T19:12:01"}), 400, services.CodeInvalid,
			"The task is not valid.", "", fields{"title": []any{"This field is required."},
				"due_to": []any{"Enter a time with an offset, such as 2026-10-18T19:12:01Z."}}},
		"400 malformed":            {alice.do("POST", "/tasks", `{"title":`), 400, services.CodeMalformed, "", "", nil},
		"400 malformed, empty":     {alice.do("POST", "/tasks", ""), 400, services.CodeMalformed, "", "", nil},
		"400 malformed, two":       {alice.do("PATCH", task, `{"title":"a"}{"title":"b"}`), 400, services.CodeMalformed, "", "", nil},
		"400 malformed, query":     {a.do("GET", "/tasks?ordering=%zz", nil), 400, services.CodeMalformed, "", "", nil},
		"401 not_authenticated":    {a.do("POST", "/tasks", nil), 401, services.CodeNotAuthenticated, textNotGiven, problemChallenge, nil},
		"401 token_not_valid":      {a.do("GET", "/tasks", nil, bearer("bad")), 401, services.CodeTokenNotValid, textNotDecoded, problemToken(textNotDecoded), nil},
		"401 token_expired":        {old.do("GET", "/tasks", nil), 401, services.CodeTokenExpired, textExpired, problemToken(textExpired), nil},
		"401 user_inactive":        {gone.do("GET", "/tasks", nil), 401, services.CodeUserInactive, textInactive, problemToken(textInactive), nil},
		"401 no_active_account":    {a.do("POST", "/auth/login", fields{"username": "alice", "password": "wrong"}), 401, services.CodeNoActiveAccount, textNoAccount, problemChallenge, nil},
		"401 deactivated at login": {a.do("POST", "/auth/login", fields{"username": "gone", "password": password}), 401, services.CodeNoActiveAccount, textNoAccount, problemChallenge, nil},
		"401 late confirmation":    {a.do("POST", oldLink, nil), 401, services.CodeTokenExpired, textExpired, problemToken(textExpired), nil},
		"401 bad confirmation":     {a.do("POST", "/auth/activate/"+alice.Refresh, nil), 401, services.CodeTokenNotValid, textNotDecoded, problemToken(textNotDecoded), nil},
		"403 permission_denied":    {bob.do("DELETE", task, nil), 403, services.CodePermissionDenied, textForbidden, "", nil},
		"404 no such id":           {a.do("GET", "/tasks/999", nil), 404, services.CodeNotFound, textNotFound, "", nil},
		"404 no id":                {a.do("GET", "/tasks/01", nil), 404, services.CodeNotFound, textNotFound, "", nil},
		"404 no such path":         {a.do("GET", "/nowhere", nil), 404, services.CodeNotFound, textNotFound, "", nil},
		"405":                      {a.do("DELETE", "/tasks", nil), 405, services.CodeMethodNotAllowed, "", "", nil},
		"409 already_active":       {a.do("POST", link, nil), 409, services.CodeAlreadyActive, "", "", nil},
		"412":                      {alice.do("DELETE", task, nil, header{"If-Match", `"0"`}), 412, services.CodePrecondition, "", "", nil},
		"413":                      {alice.do("POST", "/tasks", `{"title":"`+strings.Repeat("x", 1<<20)+`"}`), 413, services.CodeTooLarge, "", "", nil},
		"415":                      {alice.do("POST", "/tasks", `{"title":"x"}`, header{"Content-Type", "text/plain"}), 415, services.CodeUnsupportedMedia, "", "", nil},
		"415, a form":              {a.do("POST", "/auth/login", `username=alice`, header{"Content-Type", "application/x-www-form-urlencoded"}), 415, services.CodeUnsupportedMedia, "", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := *test.r
			r.t = t
			r.wantProblem(test.status, test.code)
			got := r.object()
			want := map[string]any{"type": "about:blank", "title": http.StatusText(test.status), "status": float64(test.status),
				"code": string(test.code), "detail": test.detail, "request_id": r.Header.Get("X-Request-Id")}
			if sentence, _ := got["detail"].(string); test.detail == "" && strings.Contains(sentence, " ") && strings.HasSuffix(sentence, ".") {
				want["detail"] = sentence
			}
			if test.errors != nil {
				want["errors"] = test.errors
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if h := r.Header; h.Get("WWW-Authenticate") != test.challenge || h.Get("Cache-Control") != "no-store" || h.Get("ETag") != "" {
				t.Errorf("the headers are %v, want the challenge %q", h, test.challenge)
			}
		})
	}
	if got := a.do("GET", task, nil).want(http.StatusOK).object()["title"]; got != "One" {
		t.Fatalf("a refused request left the title %v", got)
	}
}

func TestStorageUnavailable_Is503WithRetryAfter(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("One")
	a.do("GET", "/readyz", nil).want(http.StatusOK)
	if err := a.Store.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.server.Close()
		a.server = nil // the store is closed already
	})
	for name, r := range map[string]*response{
		"register":       a.do("POST", "/auth/register", map[string]any{"username": "bob", "email": "bob@example.com", "password": password}),
		"login":          a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password}),
		"signed-in read": alice.do("GET", taskPath(id), nil),
		"write":          alice.do("POST", "/tasks", map[string]any{"title": "Two"}),
		"read":           a.do("GET", taskPath(id), nil),
		"list":           a.do("GET", "/tasks", nil),
		"users":          a.do("GET", "/users", nil),
		"readyz":         a.do("GET", "/readyz", nil),
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.wantProblem(http.StatusServiceUnavailable, services.CodeStorage)
			if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || seconds < 1 {
				t.Errorf("Retry-After is %q", r.Header.Get("Retry-After"))
			}
			if strings.Contains(string(r.Body), "sql") || strings.Contains(string(r.Body), "clos") {
				t.Errorf("the answer tells the cause: %s", r.Body)
			}
		})
	}
	a.do("GET", "/healthz", nil).want(http.StatusOK)
}

func TestBadCredential_Is401OnEveryRouteThatLooks(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	old := a.user("old")
	a.Clock.Advance(6 * time.Minute)
	boss, alice, out, off, gone := a.staff("boss"), a.user("alice"), a.user("out"), a.user("off"), a.user("gone")
	alice.task("One")
	a.do("POST", "/auth/logout", map[string]any{"refresh": out.Refresh}).want(http.StatusNoContent)
	boss.do("PATCH", userPath(off.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	boss.do("DELETE", userPath(gone.ID), nil).want(http.StatusNoContent)
	_, link := a.register("pending")
	parts := strings.Split(alice.Access, ".")
	bad := services.CodeTokenNotValid
	for name, credential := range map[string]struct {
		value string
		code  services.Code
	}{
		"garbage":        {"Bearer garbage", bad},
		"nothing":        {"Bearer", bad},
		"opaque":         {"Token 0123456789abcdef", bad},
		"refresh token":  {"Bearer " + alice.Refresh, bad},
		"activation":     {"JWT " + strings.TrimPrefix(link, "/auth/activate/"), bad},
		"not signed":     {"Bearer " + parts[0] + "." + parts[1] + ".", bad},
		"other claims":   {"Bearer " + parts[0] + "." + strings.Split(boss.Access, ".")[1] + "." + parts[2], bad},
		"two tokens":     {"Bearer " + alice.Access + " " + boss.Access, bad},
		"too long":       {"Bearer " + strings.Repeat("a", 5000), bad},
		"logged out":     {"Bearer " + out.Access, bad},
		"expired":        {"Bearer " + old.Access, services.CodeTokenExpired},
		"deactivated":    {"Bearer " + off.Access, services.CodeUserInactive},
		"deleted":        {"Bearer " + gone.Access, services.CodeUserInactive},
		"tab for space":  {"Bearer\tgarbage", bad},
		"comma and rest": {"Bearer " + alice.Access + ", Bearer garbage", bad},
	} {
		t.Run(name, func(t *testing.T) {
			a := permApp(t, a)
			for _, request := range []string{
				"GET /", "GET /tasks", "GET /tasks/1", "GET /tasks/999", "GET /users", "GET /users/1", "GET /users/me", "POST /tasks",
				"OPTIONS /tasks", "GET /nowhere", "DELETE /tasks", "PUT /auth/login", "PATCH /tasks/1", "POST /nowhere",
			} {
				method, path, _ := strings.Cut(request, " ")
				a.do(method, path, nil, header{"Authorization", credential.value}).wantProblem(http.StatusUnauthorized, credential.code)
			}
			a.do("HEAD", "/tasks", nil, header{"Authorization", credential.value}).want(http.StatusUnauthorized)
		})
	}
}

func TestAuthorization_SchemesAndPlaces(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	for _, scheme := range []string{"Bearer", "JWT", "Token", "bearer", "BEARER", "jwt", "tOkEn"} {
		if got := a.do("GET", "/users/me", nil, header{"Authorization", scheme + " " + alice.Access}).want(http.StatusOK).id(); got != alice.ID {
			t.Errorf("%s is read as account %d", scheme, got)
		}
	}
	for _, none := range []string{"Basic YWxpY2U6cGFzc3dvcmQ=", "Digest username=alice", "Negotiate abc", "Basic " + alice.Access, alice.Access} {
		a.do("GET", "/tasks", nil, header{"Authorization", none}).want(http.StatusOK)
		a.do("GET", "/users/me", nil, header{"Authorization", none}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
	for _, second := range []string{"Bearer " + alice.Access, "Basic abc", "Bearer bad"} {
		for _, path := range []string{"/tasks", "/users/me", "/nowhere", "/"} {
			a.do("GET", path, nil, bearer(alice.Access), header{"Authorization", second}).wantProblem(http.StatusBadRequest, services.CodeMalformed)
		}
	}
	for _, name := range []string{"access_token", "token", "access", "jwt", "key"} {
		a.do("GET", "/users/me?"+name+"="+alice.Access, nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		a.do("POST", "/tasks?"+name+"="+alice.Access, map[string]any{"title": "x", name: alice.Access}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
		a.do("POST", "/tasks", name+"="+alice.Access, header{"Content-Type", "application/x-www-form-urlencoded"}).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
}

func TestAuthentication_IsDecidedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, r := range []*response{
		a.do("PATCH", "/tasks/999", map[string]any{}), a.do("DELETE", "/users/999", nil), a.do("PUT", "/tasks/none", nil),
		a.do("POST", "/tasks", "{", header{"Content-Type", "text/plain"}), a.do("POST", "/tasks", strings.Repeat("x", 2<<20)),
		a.do("POST", "/tasks?nonsense=1", map[string]any{}), a.do("DELETE", "/tasks/1", nil, header{"If-Match", `"0"`}),
	} {
		r.wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
}

func TestCredentialRoutes_IgnoreTheHeader(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	ignoring := []string{"/healthz", "/readyz", "/.well-known/jwks.json", "/static/:name", "/docs", "/auth/register", "/auth/activate/:token", "/auth/activate/resend", "/auth/login", "/auth/refresh", "/auth/verify", "/auth/logout",
		"/auth/email/confirm/:token", "/auth/password/reset", "/auth/password/reset/confirm", "/auth/password/reset/:token"}
	for _, route := range routes.Table() {
		if slices.Contains(ignoring, route.Path) != (route.Access == routes.Credentials) {
			t.Errorf("%s %s: the door is %q", route.Method, route.Path, route.Access)
		}
	}
	bad := bearer("bad")
	account := map[string]any{"username": "alice", "email": "alice@example.com", "password": password}
	url := a.do("POST", "/auth/register", account, bad).want(http.StatusCreated).object()["confirmation_url"].(string)
	a.do("POST", "/auth/activate/resend", map[string]any{"email": "alice@example.com"}, bad).want(http.StatusAccepted)
	link := strings.TrimPrefix(url, a.Config.PublicURL)
	a.do("HEAD", link, nil, bad).want(http.StatusOK)
	a.do("POST", link, nil, bad).want(http.StatusOK)
	pair := a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password}, bad).want(http.StatusOK).object()
	a.do("POST", "/auth/verify", map[string]any{"token": pair["access"]}, bad).want(http.StatusOK)
	next := a.do("POST", "/auth/refresh", map[string]any{"refresh": pair["refresh"]}, bad).want(http.StatusOK).object()
	a.do("POST", "/auth/logout", map[string]any{"refresh": next["refresh"]}, bad).want(http.StatusNoContent)
	a.do("GET", "/healthz", nil, bad).want(http.StatusOK)
	a.do("GET", "/readyz", nil, bad).want(http.StatusOK)
	a.do("GET", "/.well-known/jwks.json", nil, bad).want(http.StatusOK)
	a.do("OPTIONS", "/auth/login", nil, bad).want(http.StatusOK)
}

func TestRequestID_IsTakenIfWellFormedElseMade(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	seen := map[string]bool{}
	for sent, taken := range map[string]bool{
		"abc-DEF_1.2": true, "x": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "two words": false, "ü": false, "a/b": false, `"quoted"`: false, "a,b": false,
	} {
		r := a.do("GET", "/nowhere", nil, header{"X-Request-Id", sent}).wantProblem(http.StatusNotFound, services.CodeNotFound)
		id := r.Header.Get("X-Request-Id")
		if (id == sent) != taken || id == "" || seen[id] {
			t.Errorf("%q gives the id %q", sent, id)
		}
		seen[id] = true
	}
	for id := range seen {
		if !strings.Contains(a.Log.String(), fmt.Sprintf(`"request_id":"%s"`, id)) {
			t.Errorf("the id %s is not in the log", id)
		}
	}
}

func TestLog_HoldsNoSecretsAndNoPaths(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	_, link := a.register("bob")
	a.do("GET", link+"?utm=queryvalue", nil).want(http.StatusOK)
	a.do("GET", "/somewhere/rawpath?x=queryvalue", nil, bearer("sneakytoken")).want(http.StatusUnauthorized)
	a.do("POST", "/auth/login", map[string]any{"username": "alice@example.com", "password": "wrongsecret"}).want(http.StatusUnauthorized)
	a.do("POST", "/auth/activate/resend", map[string]any{"email": "bob@example.com"}).want(http.StatusAccepted)
	id := alice.task("bodytext", map[string]any{"description": "bodytext"})
	alice.do("PATCH", taskPath(id), `{"title":"bodytext`, header{"Cookie", "jar=cookievalue"}).want(http.StatusBadRequest)
	a.do("POST", "/auth/logout", map[string]any{"refresh": alice.Refresh}).want(http.StatusNoContent)
	patterns := map[string]bool{}
	for line := range strings.Lines(a.Log.String()) {
		for _, secret := range []string{
			"@example.com", password, "wrongsecret", strings.TrimPrefix(link, "/auth/activate/"), alice.Access, alice.Refresh,
			"sneakytoken", "queryvalue", "cookievalue", "rawpath", "bodytext", "v1$", taskPath(id),
		} {
			if strings.Contains(line, secret) {
				t.Errorf("the log holds %q: %s", secret, line)
			}
		}
		var record struct{ Route string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		patterns[record.Route] = true
	}
	if !patterns["/auth/activate/:token"] || !patterns["/tasks/:id"] || !patterns["/auth/login"] {
		t.Errorf("the access log has the routes %v", patterns)
	}
}
