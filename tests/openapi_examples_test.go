package tests

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/routes"
)

// recordedExample is a request and its answer, as the description has them.
type recordedExample struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Request json.RawMessage `json:"request,omitempty"`
	Status  int             `json:"status"`
	Answer  json.RawMessage `json:"answer,omitempty"`
	Code    string          `json:"code,omitempty"`
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
		e.Request = withoutSecrets([]byte(body))
	}
	r.list = append(r.list, e)
	return res
}

func TestOpenAPI_ExamplesAreWhatTheServerAnswers(t *testing.T) {
	t.Parallel()
	r := &recorder{app: newApp(t, func(c *config.Config) { c.PublicURL = "http://127.0.0.1:8000" })}
	r.accountExamples()
	r.taskExamples()
	r.sessionExamples()
	r.userExamples()
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
}

// throttledExample asks a server that counts.
func (r *recorder) throttledExample() {
	counting := &recorder{app: newApp(r.t, func(c *config.Config) { c.Throttle = "on" })}
	for range 30 {
		counting.do("POST", "/auth/login", `{"username":"alice","password":"wrong"}`)
	}
	counting.ask("auth_login", "throttled", "", `{"username":"alice","password":"wrong"}`, 429)
	r.list = append(r.list, counting.list...)
}

func TestOpenAPI_OperationsHaveExamples(t *testing.T) {
	t.Parallel()
	// Links that came by mail, the document itself, and what another takes or
	// gives too.
	without := []string{
		"auth_activate_link", "auth_email_check", "auth_email_confirm", "auth_password_reset_confirm", "auth_password_reset_page",
		"auth_password_reset_form", "openapi_read", "auth_logout", "users_delete",
	}
	for _, item := range testDocument().Paths {
		for method, op := range item {
			has := op.RequestBody == nil || len(op.RequestBody.Content["application/json"].Examples) > 0
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
