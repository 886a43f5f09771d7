package tests

import (
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/routes"
	"dueto/services"
)

// csrfWorld is a server with the browser of a staff account, and another staff
// account that makes what the browser is to change.
type csrfWorld struct {
	*browser
	name   string
	keeper *person
	made   int
}

func newCSRFWorld(t *testing.T, mode string) *csrfWorld {
	t.Helper()
	a := newApp(t)
	w := &csrfWorld{keeper: a.staff("keeper"), browser: &browser{app: a, mode: mode}}
	w.anew()
	return w
}

// anew signs another staff account in.
func (w *csrfWorld) anew() {
	w.t.Helper()
	w.made++
	w.name = fmt.Sprintf("boss%d", w.made)
	w.staffAccount(w.name)
	w.browser = w.signedIn(w.name, w.mode)
}

// person makes an account and gives its path.
func (w *csrfWorld) person() string {
	w.t.Helper()
	return userPath(w.keeper.do("POST", "/users", w.account()).want(http.StatusCreated).id())
}

func (w *csrfWorld) account() map[string]any {
	w.made++
	name := fmt.Sprintf("user%d", w.made)
	return map[string]any{"username": name, "email": name + "@example.com", "password": password}
}

// csrfGoodRequests are what makes each route that a browser's cookies open do
// its work: the path, the body, and the answer's status.
var csrfGoodRequests = map[string]func(w *csrfWorld) (path string, body any, status int){
	"POST /auth/refresh": func(*csrfWorld) (string, any, int) { return "/auth/refresh", nil, 200 },
	"POST /auth/verify":  func(*csrfWorld) (string, any, int) { return "/auth/verify", nil, 200 },
	"POST /auth/logout":  func(*csrfWorld) (string, any, int) { return "/auth/logout", nil, 204 },
	"POST /auth/password/change": func(*csrfWorld) (string, any, int) {
		return "/auth/password/change", map[string]any{"old_password": password, "new_password": "another " + password}, 204
	},
	"DELETE /auth/sessions": func(*csrfWorld) (string, any, int) { return "/auth/sessions", nil, 204 },
	"DELETE /auth/sessions/:id": func(w *csrfWorld) (string, any, int) {
		w.loginAs(w.name, password).want(http.StatusOK)
		list := w.do("GET", "/auth/sessions", nil).want(http.StatusOK).list()
		other := slices.IndexFunc(list, func(s map[string]any) bool { return s["current"] == false })
		return fmt.Sprintf("/auth/sessions/%v", list[other]["id"]), nil, 204
	},
	"POST /auth/tokens": func(*csrfWorld) (string, any, int) { return "/auth/tokens", map[string]any{"name": "ci"}, 201 },
	"DELETE /auth/tokens/:id": func(w *csrfWorld) (string, any, int) {
		return fmt.Sprintf("/auth/tokens/%d", w.page("POST", "/auth/tokens", map[string]any{"name": "ci"}).want(http.StatusCreated).id()), nil, 204
	},
	"POST /users": func(w *csrfWorld) (string, any, int) { return "/users", w.account(), 201 },
	"PATCH /users/me": func(*csrfWorld) (string, any, int) {
		return "/users/me", map[string]any{"time_zone": "Europe/Oslo"}, 200
	},
	"DELETE /users/me": func(*csrfWorld) (string, any, int) { return "/users/me", map[string]any{"password": password}, 204 },
	"PATCH /users/:id": func(w *csrfWorld) (string, any, int) {
		return w.person(), map[string]any{"time_zone": "Europe/Oslo"}, 200
	},
	"DELETE /users/:id":              func(w *csrfWorld) (string, any, int) { return w.person(), nil, 204 },
	"POST /users/:id/password/reset": func(w *csrfWorld) (string, any, int) { return w.person() + "/password/reset", nil, 202 },
	"POST /tasks":                    func(*csrfWorld) (string, any, int) { return "/tasks", map[string]any{"title": "One"}, 201 },
	"PUT /tasks/:id": func(w *csrfWorld) (string, any, int) {
		return taskPath(w.keeper.task("One")), map[string]any{"title": "Two"}, 200
	},
	"PATCH /tasks/:id": func(w *csrfWorld) (string, any, int) {
		return taskPath(w.keeper.task("One")), map[string]any{"title": "Two"}, 200
	},
	"DELETE /tasks/:id": func(w *csrfWorld) (string, any, int) { return taskPath(w.keeper.task("One")), nil, 204 },
}

// eachCookieRoute calls a function for each route that changes something, or may,
// on the word of a cookie.
func eachCookieRoute(t *testing.T, visit func(r routes.Route, good func(w *csrfWorld) (path string, body any, status int))) {
	t.Helper()
	visited := 0
	for _, r := range routes.Table() {
		name := r.Method + " " + r.Path
		byCookie := r.Access != routes.Credentials || slices.Contains([]string{"/auth/refresh", "/auth/verify", "/auth/logout"}, r.Path)
		if r.Method == "GET" || !byCookie {
			continue
		}
		good, ok := csrfGoodRequests[name]
		if !ok {
			t.Errorf("%s: there is no good request to try the attacks with", name)
			continue
		}
		visited++
		visit(r, good)
	}
	if visited != len(csrfGoodRequests) {
		t.Errorf("%d routes of %d were tried", visited, len(csrfGoodRequests))
	}
}

// contents gives all that is stored but the events, which are kept a moment
// later.
func (a *app) contents() string {
	a.t.Helper()
	db := openDatabase(a.t, a.Config.Database)
	defer func() { _ = db.Close() }()
	var b strings.Builder
	for _, table := range []string{"users", "sessions", "tasks", "api_tokens", "outbox", "reserved_names"} {
		if err := writeRows(&b, db, table); err != nil {
			a.t.Fatal(err)
		}
	}
	return b.String()
}

func writeRows(b *strings.Builder, db *sql.DB, table string) error {
	rows, err := db.Query("SELECT * FROM " + table)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row, places := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		places[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(places...); err != nil {
			return err
		}
		fmt.Fprintln(b, table, row)
	}
	return rows.Err()
}

// wantCSRFRefused checks the refusal in full.
func (r *response) wantCSRFRefused() *response {
	r.t.Helper()
	r.wantProblem(http.StatusForbidden, services.CodeCSRF)
	if detail, _ := r.object()["detail"].(string); !strings.HasPrefix(detail, "CSRF Failed: ") || len(r.setCookies()) != 0 {
		r.t.Fatalf("%s: %q, and cookies %v", r.What, detail, r.setCookies())
	}
	return r
}

func TestCSRF_NoRouteIsOpenToForgedRequests(t *testing.T) {
	t.Parallel()
	for _, mode := range cookieModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newCSRFWorld(t, mode)
			stranger := w.signedIn("keeper", mode)
			eachCookieRoute(t, func(r routes.Route, good func(*csrfWorld) (string, any, int)) {
				w.anew()
				other, ended := w.signedIn(w.name, mode), w.signedIn(w.name, mode)
				stale := ended.cookie("csrftoken")
				ended.page("POST", "/auth/logout", nil).want(http.StatusNoContent)
				path, body, status := good(w)
				token := w.cookie("csrftoken")
				right := csrfToken(token)
				before := w.contents()
				for what, headers := range map[string][]header{
					"no token":                    nil,
					"an empty token":              {csrfToken(" ")},
					"a made-up token":             {csrfToken(strings.Repeat("A", len(token)))},
					"nearly the token":            {csrfToken(token[:len(token)-1])},
					"the token and more":          {csrfToken(token + "A")},
					"the token quoted":            {csrfToken(`"` + token + `"`)},
					"two tokens in one":           {csrfToken(token + ", " + token)},
					"another case":                {csrfToken(strings.ToUpper(token))},
					"another header":              {{"X-CSRF-Token", token}, {"X-XSRF-TOKEN", token}, {"CSRFToken", token}},
					"another account's token":     {csrfToken(stranger.cookie("csrftoken"))},
					"an ended session's token":    {csrfToken(stale)},
					"another session's token":     {csrfToken(other.cookie("csrftoken"))},
					"its cookie swapped too":      {csrfToken("known"), cookies("csrftoken=known")},
					"another site":                {right, {"Origin", "https://evil.example"}},
					"another site, marked":        {right, {"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}},
					"a name that begins alike":    {right, {"Origin", "http://dueto.test.evil.example"}},
					"another scheme":              {right, {"Origin", "https://dueto.test"}},
					"another port":                {right, {"Origin", "http://dueto.test:8080"}},
					"another port of the machine": {right, {"Origin", "http://127.0.0.1:1"}},
					"no origin":                   {right, {"Origin", "null"}},
					"no origin, marked":           {right, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}},
					"marked cross-site":           {right, {"Sec-Fetch-Site", "cross-site"}},
					"marked same-site":            {right, {"Sec-Fetch-Site", "same-site"}},
					"marked as nothing known":     {right, {"Sec-Fetch-Site", "same-world"}},
					"marked same-site, our host":  {right, {"Origin", w.URL}, {"Sec-Fetch-Site", "same-site"}},
					"same origin without token":   {{"Origin", w.URL}, {"Sec-Fetch-Site", "same-origin"}},
					"public URL without token":    {{"Origin", "http://dueto.test"}},
				} {
					res := w.do(r.Method, path, body, headers...)
					if res.Status != http.StatusForbidden {
						t.Errorf("%s %s, %s: %d %s", r.Method, r.Path, what, res.Status, res.Body)
						continue
					}
					res.wantCSRFRefused()
				}
				if after := w.contents(); after != before {
					t.Errorf("%s %s: a refused request has changed\n%s\nto\n%s", r.Method, r.Path, before, after)
				}
				w.page(r.Method, path, body).want(status)
				if changed := w.contents() != before; changed == (r.Path == "/auth/verify") {
					t.Errorf("%s %s: the good request changed something: %v", r.Method, r.Path, changed)
				}
			})
		})
	}
}

func TestCSRF_TheRightTokenPassesFromPagesOfOurs(t *testing.T) {
	t.Parallel()
	for _, mode := range cookieModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newCSRFWorld(t, mode)
			for what, headers := range map[string][]header{
				"no browser":                     nil,
				"same-origin":                    {{"Sec-Fetch-Site", "same-origin"}},
				"typed in":                       {{"Sec-Fetch-Site", "none"}},
				"the public URL":                 {{"Origin", "http://dueto.test"}},
				"the public URL, marked":         {{"Origin", "http://dueto.test"}, {"Sec-Fetch-Site", "same-origin"}},
				"where it listens":               {{"Origin", w.URL}},
				"where it listens, marked":       {{"Origin", w.URL}, {"Sec-Fetch-Site", "same-origin"}},
				"behind a proxy that spells out": {{"Origin", "http://dueto.test"}, {"X-Forwarded-Host", "evil.example"}},
			} {
				w.anew()
				eachCookieRoute(t, func(r routes.Route, good func(*csrfWorld) (string, any, int)) {
					path, body, status := good(w)
					res := w.do(r.Method, path, body, append(headers, csrfToken(w.cookie("csrftoken")))...)
					if res.Status != status {
						t.Errorf("%s %s, %s: %d, want %d: %s", r.Method, r.Path, what, res.Status, status, res.Body)
					}
					if r.Path == "/auth/logout" || r.Path == "/auth/password/change" || r.Method+" "+r.Path == "DELETE /users/me" {
						w.anew()
					}
				})
			}
		})
	}
}

func TestCSRF_TokenIsOneSessionsForAsLongAsItLasts(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b, other := alice.signedIn("alice", mode), alice.signedIn("alice", mode)
		token := b.cookie("csrftoken")
		if other.cookie("csrftoken") == token || len(token) < 22 {
			t.Fatalf("the tokens of two sessions are %q and %q", token, other.cookie("csrftoken"))
		}
		for range 3 {
			b.Clock.Advance(20 * time.Hour)
			b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
			if got := b.cookie("csrftoken"); got != token {
				t.Fatalf("a refresh makes another token: %q, then %q", token, got)
			}
			b.wantSignedIn(alice.ID)
		}
		_, access := cookiesOf(mode)
		gone := cookies("jwt_refresh="+b.cookie("jwt_refresh"), access+"="+b.access())
		b.page("POST", "/auth/logout", nil).want(http.StatusNoContent)
		wantRefusedToken(t, alice.app.do("POST", "/tasks", map[string]any{"title": "One"}, gone, csrfToken(token)), services.CodeTokenNotValid)
		wantRefusedToken(t, alice.app.do("POST", "/auth/refresh", nil, gone, csrfToken(token)), services.CodeTokenNotValid)

		b.signIn("alice", mode)
		if b.cookie("csrftoken") == token {
			t.Error("the next session has the same token")
		}
		b.do("POST", "/tasks", map[string]any{"title": "One"}, csrfToken(token)).wantCSRFRefused()
		b.wantSignedIn(alice.ID)
	})
}

func TestCSRF_TokenOutlivesTheSecretItWasMadeWith(t *testing.T) {
	t.Parallel()
	f := newSecretFile(t, secret)
	a := newApp(t, f.use)
	alice := a.user("alice")
	b := a.signedIn("alice", oneCookie)
	old := b.cookie("csrftoken")
	f.write(secondSecret, secret)
	a = a.restart()
	b.app, alice.app = a, a
	b.wantSignedIn(alice.ID)
	b.page("POST", "/auth/refresh", nil).want(http.StatusOK)
	if b.cookie("csrftoken") == old {
		t.Error("the token is still made with the retired secret")
	}
	b.wantSignedIn(alice.ID)
	b.do("POST", "/tasks", map[string]any{"title": "One"}, csrfToken(old)).want(http.StatusCreated) // a tab that has not seen the new one
}

func TestCSRF_ReadingNeedsNone(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		for _, headers := range [][]header{
			nil, {csrfToken("nonsense")}, {{"Sec-Fetch-Site", "cross-site"}}, {{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}},
		} {
			b.do("GET", "/users/me", nil, headers...).want(http.StatusOK)
			b.do("HEAD", "/users/me", nil, headers...).want(http.StatusOK)
			b.do("OPTIONS", "/users/me", nil, headers...).want(http.StatusOK)
		}
	})
}

func TestCSRF_IsJudgedAfterTheCookieAndBeforeAllElse(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		a := alice.app
		b := a.signedIn("alice", mode)
		_, name := cookiesOf(mode)
		task := map[string]any{"title": "One"}
		wantRefusedToken(t, a.do("POST", "/tasks", task, cookies(name+"=nonsense")), services.CodeTokenNotValid)
		for what, r := range map[string]*response{
			"no such path":         b.do("POST", "/nowhere", task),
			"no such method":       b.do("DELETE", "/tasks", nil),
			"no such task":         b.do("PATCH", "/tasks/999", task),
			"no such method at it": b.do("BREW", "/tasks", nil),
			"not JSON":             b.do("POST", "/tasks", "x", header{"Content-Type", "text/plain"}),
			"bad JSON":             b.do("POST", "/tasks", "{"),
			"a form":               b.do("POST", "/tasks", "title=One", header{"Content-Type", "application/x-www-form-urlencoded"}),
			"the token in a form": b.do("POST", "/tasks", "title=One&csrfmiddlewaretoken="+b.cookie("csrftoken"),
				header{"Content-Type", "application/x-www-form-urlencoded"}),
			"the token in the body":  b.do("POST", "/tasks", map[string]any{"title": "One", "csrftoken": b.cookie("csrftoken")}),
			"the token in the query": b.do("POST", "/tasks?csrftoken="+b.cookie("csrftoken"), task),
		} {
			if r.Status != http.StatusForbidden {
				t.Errorf("%s: %d %s", what, r.Status, r.Body)
				continue
			}
			r.wantCSRFRefused()
		}
		// A client whose token is over has to hear that, not that it lacks another.
		b.Clock.Advance(5 * time.Minute)
		wantRefusedToken(t, b.do("POST", "/tasks", task), services.CodeTokenExpired)
		if got := a.do("GET", "/tasks", nil).want(http.StatusOK).list(); len(got) != 0 {
			t.Errorf("there are tasks: %v", got)
		}
	})
}

// No browser sends an Authorization field by itself: pages of other origins may,
// where CORS lets them.
func TestCSRF_TokensInTheHeaderNeedNone(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	a.user("bob")
	bob := a.signedIn("bob", oneCookie)
	key, _ := alice.do("POST", "/auth/tokens", map[string]any{"name": "ci"}).want(http.StatusCreated).object()["key"].(string)
	for _, credential := range []header{bearer(alice.Access), {"Authorization", "JWT " + alice.Access}, {"Authorization", "Token " + key}} {
		for _, headers := range [][]header{
			{{"Origin", "https://evil.example"}}, {{"Origin", "null"}}, {{"Sec-Fetch-Site", "cross-site"}}, {{"Sec-Fetch-Site", "same-site"}},
			{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, cookies("jwt_access=" + bob.access())},
			{cookies("jwt_access=" + bob.access()), csrfToken(bob.cookie("csrftoken"))},
			{cookies("jwt_access=nonsense", "jwt_access=nonsense"), csrfToken("nonsense")},
		} {
			headers = append(headers, credential)
			task := a.do("POST", "/tasks", map[string]any{"title": "One"}, headers...).want(http.StatusCreated)
			if got := task.object()["created_by"]; got != float64(alice.ID) {
				t.Errorf("%v: the task is made by %v", headers, got)
			}
			a.do("DELETE", taskPath(task.id()), nil, headers...).want(http.StatusNoContent)
		}
	}
}

func TestCSRF_OriginsThatCORSAllowsNeedTheTokenWithCookies(t *testing.T) {
	t.Parallel()
	const friend = "https://app.example.com"
	a := newApp(t, func(c *config.Config) { c.CORSOrigins = []string{friend} })
	alice := a.user("alice")
	task := map[string]any{"title": "One"}
	from := []header{{"Origin", friend}, {"Sec-Fetch-Site", "cross-site"}}
	alice.do("POST", "/tasks", task, from...).want(http.StatusCreated)
	a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password}, from...).want(http.StatusOK)
	for _, mode := range cookieModes {
		b := a.signedIn("alice", mode)
		b.do("POST", "/tasks", task, from...).wantCSRFRefused()
		b.do("POST", "/tasks", task, append(from, csrfToken("nonsense"))...).wantCSRFRefused()
		b.do("POST", "/auth/refresh", nil, from...).wantCSRFRefused()
		b.do("POST", "/auth/logout", nil, from...).wantCSRFRefused()
		right := csrfToken(b.cookie("csrftoken"))
		b.do("POST", "/tasks", task, append(from, right)...).want(http.StatusCreated)
		for _, origin := range []string{"https://evil.example", "http://app.example.com", "https://app.example.com:8443", "null"} {
			b.do("POST", "/tasks", task, header{"Origin", origin}, header{"Sec-Fetch-Site", "cross-site"}, right).wantCSRFRefused()
		}
		r := b.do("OPTIONS", "/tasks", nil, append(from, header{"Access-Control-Request-Method", "POST"}, header{"Access-Control-Request-Headers", "content-type,x-csrftoken"})...)
		if got := r.Header.Get("Access-Control-Allow-Credentials"); got != "" {
			t.Errorf("a preflight allows credentials: %q", got)
		}
		if got := r.Header.Get("Access-Control-Allow-Headers"); strings.Contains(strings.ToLower(got), "csrf") {
			t.Errorf("a preflight allows %q", got)
		}
	}
}

func TestCSRF_OtherSitesCannotSignAnybodyInOrOut(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	_, activation := a.register("pending")
	good := []struct {
		path   string
		body   any
		status int
	}{
		{"/auth/register", map[string]any{"username": "bob", "email": "bob@example.com", "password": password}, 201},
		{"/auth/verify", map[string]any{"token": alice.Access}, 200},
		{"/auth/refresh", map[string]any{"refresh": alice.Refresh}, 200},
		{"/auth/logout", map[string]any{"refresh": alice.Refresh}, 204},
		{"/auth/password/reset", map[string]any{"email": "alice@example.com"}, 202},
		{"/auth/activate/resend", map[string]any{"email": "pending@example.com"}, 202},
		{activation, nil, 200},
	}
	before := a.contents()
	for _, site := range [][]header{
		{{"Origin", "https://evil.example"}}, {{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}},
		{{"Origin", "null"}}, {{"Sec-Fetch-Site", "same-site"}},
	} {
		for _, mode := range []string{"json", oneCookie, twoCookies} {
			a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password, "mode": mode}, site...).wantCSRFRefused()
		}
		for _, g := range good {
			a.do("POST", g.path, g.body, site...).wantCSRFRefused()
		}
		for _, r := range routes.Table() {
			if r.Method != "GET" {
				a.do(r.Method, routePath(r.Path, 1), nil, site...).wantCSRFRefused()
			}
		}
	}
	if after := a.contents(); after != before {
		t.Errorf("refused requests have changed\n%s\nto\n%s", before, after)
	}
	for _, g := range good { // nothing else was wrong with them
		a.do("POST", g.path, g.body).want(g.status)
	}
}

func TestCSRF_NoHeaderOrMemberChangesTheMethod(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		b := alice.signedIn("alice", mode)
		path := taskPath(alice.task("Mine"))
		csrf := csrfToken(b.cookie("csrftoken"))
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			b.do("GET", path, nil, header{name, "DELETE"}, beyond).want(http.StatusOK)
			b.do("POST", path, nil, header{name, "DELETE"}, csrf).wantProblem(http.StatusMethodNotAllowed, services.CodeMethodNotAllowed)
			b.do("DELETE", path, nil, header{name, "GET"}).wantCSRFRefused()
		}
		b.do("GET", path+"?_method=DELETE", nil).wantFields("_method")
		b.do("POST", path, "_method=DELETE", header{"Content-Type", "application/x-www-form-urlencoded"}, csrf).
			wantProblem(http.StatusMethodNotAllowed, services.CodeMethodNotAllowed)
		b.do("POST", "/tasks?_method=GET", map[string]any{"title": "One"}).wantCSRFRefused()
		b.do("GET", path, nil).want(http.StatusOK)
	})
}
