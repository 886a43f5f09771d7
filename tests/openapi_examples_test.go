package tests

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/routes"
	"dueto/services"
)

// recordedExample is a request and its answer, as the description has them.
type recordedExample struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Request json.RawMessage `json:"request,omitempty"`
	Status  int             `json:"status"`
	Answer  json.RawMessage `json:"answer,omitempty"`
	Code    string          `json:"code,omitempty"`
	Mode    string          `json:"mode,omitempty"`
}

// recorder makes the requests of the examples.
type recorder struct {
	*app
	list []recordedExample
}

// secretParts are what is different each time, or must not be printed whole.
var secretParts = []struct {
	pattern *regexp.Regexp
	shown   string
}{
	{regexp.MustCompile(`(eyJ[\w-]{20})[\w-]+\.[\w-]+\.[\w-]+`), "$1..."},
	{regexp.MustCompile(`"key": ?"(dueto_\w{6})[^"]+"`), `"key":"dueto_q3nh5k..."`},
	{regexp.MustCompile(`"last_four": ?"[^"]+"`), `"last_four":"x7qa"`},
	{regexp.MustCompile(`"request_id": ?"[A-Z2-7]{26}"`), `"request_id":"6f1c3a52"`},
	{regexp.MustCompile(`"jti": ?"[^"]+"`), `"jti":"W5JQ2XH4TDQ7M6L3N2YB"`},
}

func withoutSecrets(body []byte) json.RawMessage {
	for _, part := range secretParts {
		body = part.pattern.ReplaceAll(body, []byte(part.shown))
	}
	return body
}

// exampleRoute gives the method and the path of an operation.
func exampleRoute(t testing.TB, id string, in ...string) (method, path string) {
	t.Helper()
	for _, r := range routes.Table() {
		if r.ID == id {
			path = r.Path
			for _, value := range in {
				path = regexp.MustCompile(`:\w+`).ReplaceAllLiteralString(path, value)
			}
			return r.Method, path
		}
	}
	t.Fatalf("there is no operation %s", id)
	return "", ""
}

// ask makes a request and records it. path has the value of the path's
// parameter, and the query after it.
func (r *recorder) ask(id, name, path, body string, status int, headers ...header) *response {
	r.t.Helper()
	value, query, _ := strings.Cut(path, "?")
	method, target := exampleRoute(r.t, id, value)
	if query != "" {
		target += "?" + query
	}
	headers = append([]header{{"X-Request-Id", "6f1c3a52"}, {"User-Agent", "HTTPie/3.2.4"}}, headers...)
	var sent any
	if body != "" {
		sent = body
	}
	res := r.do(method, target, sent, headers...).want(status)
	e := recordedExample{ID: id, Name: name, Status: status}
	if strings.Contains(res.Header.Get("Content-Type"), "json") {
		e.Answer = withoutSecrets(res.Body)
	}
	if status >= 400 {
		e.Code, _ = res.object()["code"].(string)
		e.Name = e.Code
	} else if body != "" {
		e.Request = withoutSecrets(asObject(r.t, body))
	}
	r.list = append(r.list, e)
	return res
}

// asObject gives a body as the value that its schema describes: a form is an
// object too.
func asObject(t testing.TB, body string) []byte {
	t.Helper()
	if json.Valid([]byte(body)) {
		return []byte(body)
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		t.Fatal(err)
	}
	object := map[string]string{}
	for name := range values {
		object[name] = values.Get(name)
	}
	return marshal(t, object)
}

func TestOpenAPI_ExamplesAreWhatTheServerAnswers(t *testing.T) {
	t.Parallel()
	r := &recorder{app: newApp(t, func(c *config.Config) { c.PublicURL = "http://127.0.0.1:8000" })}
	r.accountExamples()
	r.taskExamples()
	r.sessionExamples()
	r.userExamples()
	r.linkExamples()
	r.cookieExamples()
	r.refusalExamples()
	got, err := json.MarshalIndent(r.list, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const name = "routes/examples.json"
	if want := readDocument(t, name); string(got) == want {
		return
	} else if !*update {
		t.Fatalf("%s is not what the server answers; run with -update. It answers:\n%s", name, got)
	}
	if err := os.WriteFile("../"+name, got, 0o644); err != nil {
		t.Fatal(err)
	}
}

// accountExamples ends with Alice signed in.
func (r *recorder) accountExamples() {
	made := r.ask("auth_register", "registration", "", `{"username":"alice","email":"alice@example.com","password":"correct horse battery"}`, 201)
	url := made.object()["confirmation_url"].(string)
	link := url[strings.LastIndex(url, "/")+1:]
	r.ask("auth_activate", "activated", link, "", 200)
	r.ask("auth_activate", "used", link, "", 409)
	r.ask("auth_activate_resend", "asked", "", `{"email":"alice@example.com"}`, 202)
	r.ask("auth_password_reset", "asked", "", `{"email":"alice@example.com"}`, 202)
	login := `{"username":"alice","password":"correct horse battery"}`
	r.ask("auth_login", "refused", "", `{"username":"alice","password":"wrong"}`, 401)
	tokens := r.ask("auth_login", "tokens", "", login, 200).object()
	r.ask("auth_refresh", "tokens", "", `{"refresh":"`+tokens["refresh"].(string)+`"}`, 200)
	r.ask("auth_verify", "access", "", `{"token":"`+tokens["access"].(string)+`"}`, 200)
}

func (r *recorder) taskExamples() {
	alice := r.login("alice")
	as := bearer(alice.Access)
	task := `{"title":"Water the plants","due_to":"2026-10-20T18:00:00+02:00","priority":2,"tags":["home"]}`
	r.ask("tasks_create", "task", "", task, 201, as)
	r.ask("tasks_create", "private", "", `{"title":"Buy a present","visibility":"private"}`, 201, as)
	r.ask("tasks_create", "invalid", "", `{"title":"","due_to":"tomorrow"}`, 400, as)
	r.ask("tasks_create", "malformed", "", "{", 400, as)
	r.ask("tasks_create", "anonymous", "", task, 401)
	r.ask("tasks_create", "type", "", "title=One", 415, as, header{"Content-Type", "text/plain"})
	r.ask("tasks_create", "large", "", strings.Repeat(" ", 2<<20), 413, as)
	r.ask("tasks_create", "foreign page", "", task, 403, header{"Origin", "https://elsewhere.example"}, header{"Sec-Fetch-Site", "cross-site"})
	r.ask("tasks_list", "tasks", "?done=false", "", 200, as)
	r.ask("tasks_list", "titles", "?fields=id,title", "", 200, as)
	etag := r.ask("tasks_read", "task", "1", "", 200).Header.Get("ETag")
	r.ask("tasks_read", "hidden", "2", "", 404)
	r.Clock.Advance(time.Minute)
	r.ask("tasks_update", "done", "1", `{"done":true}`, 200, as)
	r.ask("tasks_update", "stale", "1", `{"done":false}`, 412, as, header{"If-Match", etag})
	r.ask("tasks_replace", "task", "1", `{"title":"Water the plants, and the lawn","person":null}`, 200, as)
}

func (r *recorder) sessionExamples() {
	as := bearer(r.login("alice").Access)
	r.ask("sessions_list", "sessions", "", "", 200, as)
	r.ask("sessions_read", "session", "1", "", 200, as)
	r.ask("tokens_create", "token", "", `{"name":"backup script","permissions":["tasks.view"]}`, 201, as)
	r.ask("tokens_list", "tokens", "", "", 200, as)
	r.ask("tokens_read", "token", "1", "", 200, as)
	r.ask("auth_password_change", "change", "", `{"old_password":"correct horse battery","new_password":"correct horse battery!"}`, 204, as)
	r.ask("auth_password_change", "back", "", `{"old_password":"correct horse battery!","new_password":"correct horse battery"}`, 204, as)
}

func (r *recorder) userExamples() {
	alice, boss := r.login("alice"), r.staff("boss")
	as, staff := bearer(alice.Access), bearer(boss.Access)
	r.ask("users_read", "public", "1", "", 200)
	r.ask("users_list", "public", "", "", 200)
	r.ask("users_list", "staff", "?search=ali", "", 200, staff)
	r.ask("users_create", "account", "", `{"username":"carol","email":"carol@example.com","password":"correct horse battery","time_zone":"Europe/Berlin"}`, 201, staff)
	r.ask("users_update", "grant", "1", `{"permissions":["users.view"]}`, 200, staff)
	r.ask("users_update", "refused", "2", `{"time_zone":"UTC"}`, 403, as)
	r.ask("users_update", "last staff", "2", `{"is_staff":false}`, 409, staff)
	r.ask("me_read", "own", "", "", 200, as)
	r.ask("me_update", "zone", "", `{"time_zone":"Europe/Vienna"}`, 200, as)
	r.ask("users_events_list", "events", "1", "", 200, staff)
	r.ask("me_events_list", "events", "?page_size=2", "", 200, as)
	r.ask("users_password_reset", "forced", "3", "", 202, staff)
	r.ask("me_delete", "oneself", "?tasks=delete", `{"password":"correct horse battery"}`, 204, bearer(r.user("dora").Access))
	r.ask("auth_login", "two_cookies", "", `{"username":"alice","password":"correct horse battery","mode":"two-cookies"}`, 200)
	r.ask("auth_login", "one_cookie", "", `{"username":"alice","password":"correct horse battery","mode":"one-cookie"}`, 200)
	r.ask("root_read", "resources", "", "", 200)
	r.ask("health_alive", "ok", "", "", 200)
	r.ask("health_ready", "ready", "", "", 200)
	r.ask("jwks_read", "none", "", "", 200)
}

func (r *recorder) refusalExamples() {
	alice, erin := r.login("alice"), r.user("erin")
	r.ask("me_read", "nonsense", "", "", 401, bearer("nonsense"))
	if err := r.Services.Accounts.DeactivateByName(r.t.Context(), "erin"); err != nil {
		r.t.Fatal(err)
	}
	r.ask("me_read", "deactivated", "", "", 401, bearer(erin.Access))
	r.Clock.Advance(time.Hour)
	r.ask("me_read", "expired", "", "", 401, bearer(alice.Access))
	r.throttledExample()
	r.brokenExamples()
}

// another is a server of its own, whose examples come after those of r.
func (r *recorder) another(record func(*recorder), change ...func(*config.Config)) {
	other := &recorder{app: newApp(r.t, append(change, func(c *config.Config) { c.PublicURL = r.Config.PublicURL })...)}
	record(other)
	r.list = append(r.list, other.list...)
}

// linkExamples are of what comes by mail.
func (r *recorder) linkExamples() {
	r.another(func(r *recorder) {
		id, link := r.register("bob")
		r.ask("auth_activate_link", "activated", tokenOf(link), "", 200)
		bob := r.login("bob")
		bob.do("PATCH", "/users/me", `{"email":"bob@example.org"}`).want(200)
		link = r.mailedLink(services.MailEmailChange, id)
		r.ask("auth_email_check", "open", tokenOf(link), "", 200)
		r.ask("auth_email_confirm", "confirmed", tokenOf(link), "", 200)
		r.ask("auth_logout", "session", "", `{"refresh":"`+bob.Refresh+`"}`, 204)
		r.only("json")
		boss := r.staff("boss")
		r.ask("users_delete", "by staff", "1?tasks=keep", "", 204, bearer(boss.Access))
		r.ask("users_delete", "oneself", fmt.Sprint(r.user("carol").ID), `{"password":"`+password+`"}`, 204, bearer(r.login("carol").Access))
	})
	for _, reset := range []struct{ id, name, value, body, kind string }{
		{"auth_password_reset_confirm", "password", "", `{"token":"TOKEN","new_password":"staple battery horse"}`, "application/json"},
		{"auth_password_reset_form", "password", "TOKEN", "new_password=staple+battery+horse&repeated=staple+battery+horse", "application/x-www-form-urlencoded"},
	} {
		r.another(func(r *recorder) {
			bob := r.user("bob")
			r.do("POST", "/auth/password/reset", `{"email":"bob@example.com"}`).want(202)
			token := tokenOf(r.mailedLink(services.MailPasswordReset, bob.ID))
			status := 204
			if reset.value != "" {
				r.ask("auth_password_reset_page", "open", token, "", 200)
				status = 200
			}
			r.ask(reset.id, reset.name, strings.ReplaceAll(reset.value, "TOKEN", token), strings.ReplaceAll(reset.body, "TOKEN", token), status, header{"Content-Type", reset.kind})
		})
	}
}

// cookieExamples are of a browser, which has its tokens in cookies.
func (r *recorder) cookieExamples() {
	for _, mode := range []string{twoCookies, oneCookie} {
		r.another(func(r *recorder) {
			r.user("alice")
			b, name := r.signedIn("alice", mode), strings.ReplaceAll(mode, "-", "_")
			own := func() []header {
				return []header{cookies("jwt_refresh="+b.cookie("jwt_refresh"), "csrftoken="+b.cookie("csrftoken")), csrfToken(b.cookie("csrftoken"))}
			}
			r.ask("auth_refresh", name, "", "{}", 200, own()...)
			b.signIn("alice", mode)
			r.ask("auth_logout", name, "", "{}", 204, own()...)
			r.only(mode)
		})
	}
}

// only says of the last example that it is so in one mode.
func (r *recorder) only(mode string) { r.list[len(r.list)-1].Mode = mode }

// brokenExamples asks servers whose store is damaged, and away.
func (r *recorder) brokenExamples() {
	r.another(func(r *recorder) {
		r.breakTable("tasks")
		r.ask("tasks_list", "broken", "", "", 500)
	})
	r.another(func(r *recorder) {
		if err := r.Store.Close(); err != nil {
			r.t.Fatal(err)
		}
		r.ask("tasks_list", "away", "", "", 503)
		r.server.Close()
		r.server = nil // the store is closed already
	})
}

// throttledExample asks a server that counts.
func (r *recorder) throttledExample() {
	r.another(func(r *recorder) {
		for range 30 {
			r.do("POST", "/auth/login", `{"username":"alice","password":"wrong"}`)
		}
		r.ask("auth_login", "throttled", "", `{"username":"alice","password":"wrong"}`, 429)
	}, func(c *config.Config) { c.Throttle = "on" })
}

func TestOpenAPI_OperationsHaveExamples(t *testing.T) {
	t.Parallel()
	without := []string{"openapi_read"} // the document itself
	d := testDocument()
	for _, name := range []string{"Internal", "Unavailable", "Throttled"} {
		if len(d.Components.Responses[name].Content["application/problem+json"].Examples) == 0 {
			t.Errorf("%s has no example", name)
		}
	}
	for _, item := range d.Paths {
		for method, op := range item {
			has := true
			if op.RequestBody != nil {
				for _, body := range op.RequestBody.Content {
					has = len(body.Examples) > 0
				}
			}
			for _, answer := range op.Responses {
				for media, body := range answer.Content {
					has = has && (strings.HasPrefix(media, "text/") || strings.HasPrefix(media, "image/") || len(body.Examples) > 0)
				}
			}
			if has == slices.Contains(without, op.ID) && method != "head" && method != "options" {
				t.Errorf("%s: that it has examples is %v", op.ID, has)
			}
		}
	}
}

// What tools fill in is the first example.
func TestOpenAPI_ExamplesOfTokensComeFirst(t *testing.T) {
	t.Parallel()
	for allowed, want := range map[string]map[string]string{
		"json,one-cookie,two-cookies": {"login": "tokens two_cookies one_cookie", "refresh": "tokens two_cookies one_cookie", "logout": "session two_cookies one_cookie"},
		"one-cookie,json":             {"login": "tokens one_cookie", "refresh": "tokens one_cookie", "logout": "session one_cookie"},
		"json":                        {"login": "tokens", "refresh": "tokens", "logout": "session"},
		"two-cookies":                 {"login": "two_cookies", "refresh": "two_cookies", "logout": "two_cookies"},
	} {
		paths := testDocument(func(c *config.Config) { c.AuthModes = strings.Split(allowed, ",") }).Paths
		for path, want := range want {
			examples := paths["/auth/"+path]["post"].RequestBody.Content["application/json"].Examples
			var names []string
			for _, e := range examples {
				names = append(names, e.Name)
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("with %s the examples of %s are %s, want %s", allowed, path, got, want)
			}
			if first := `{"` + strings.Fields(want)[0] + `":`; !strings.HasPrefix(string(marshal(t, examples)), first) {
				t.Errorf("with %s those of %s are written as %s", allowed, path, marshal(t, examples))
			}
		}
	}
}
