package tests

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dueto/routes"
)

// described is what OPTIONS answers.
type described struct {
	Name        string
	Description string
	Renders     []string
	Parses      []string
	Actions     map[string]map[string]describedField
}

type describedField struct {
	Type      string
	Required  bool
	ReadOnly  bool `json:"read_only"`
	Label     string
	Nullable  bool
	MinLength *int `json:"min_length"`
	MaxLength *int `json:"max_length"`
	MinValue  *int `json:"min_value"`
	MaxValue  *int `json:"max_value"`
	Child     *describedField
	Choices   []struct {
		Value       string
		DisplayName string `json:"display_name"`
	}
}

func (a *app) options(path string) (d described) {
	a.t.Helper()
	a.do("OPTIONS", path, nil).want(http.StatusOK).decode(&d)
	return d
}

func TestOptions_TellsWhatThePathTakes(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	r := a.do("OPTIONS", "/tasks", nil).want(http.StatusOK)
	if got := r.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("it is %s", got)
	}
	for _, want := range []string{
		`{"name":"List tasks","description":"Those that one may read: public ones, and those for or by oneself.","renders":["application/json"`,
		`"parses":["application/json"],"actions":{"POST":{"id":{"type":"integer","required":false,"read_only":true,"label":"Id",`,
		`"title":{"type":"string","required":true,"read_only":false,"label":"Title","help_text":"What is to be done. White space around it is cut.","min_length":1,"max_length":100},"description":{`,
		`"due_to":{"type":"datetime","required":false,"read_only":false,"label":"Due to","help_text":"By when; null, the default, is never.","nullable":true},"done":{"type":"boolean",`,
		`"min_value":0,"max_value":4},"tags":{"type":"list",`,
		`"max_length":20,"child":{"type":"string","required":true,"read_only":false,"min_length":1,"max_length":50}},"visibility":{"type":"choice",`,
		`"choices":[{"value":"public","display_name":"public"},{"value":"private","display_name":"private"}]},"person":{"type":"integer",`,
	} {
		if !strings.Contains(string(r.Body), want) {
			t.Errorf("it lacks %s:\n%s", want, r.Body)
		}
	}
	one := a.options("/tasks/1")
	if !one.Actions["PUT"]["title"].Required || one.Actions["PATCH"]["title"].Required || len(one.Actions) != 2 {
		t.Errorf("a task takes %v", one.Actions)
	}
	if form := a.options("/auth/password/reset/x"); !slices.Equal(form.Parses, []string{"application/x-www-form-urlencoded"}) || !slices.Contains(form.Renders, "text/html") {
		t.Errorf("the page with a form is described as %v", form)
	}
	if probe := a.options("/healthz"); len(probe.Actions) > 0 || len(probe.Parses) > 0 || probe.Name == "" {
		t.Errorf("the probe is described as %v", probe)
	}
}

// boundCase is a request that is good as it is. fields are tried in it one by
// one.
type boundCase struct {
	method, path string
	who          *person
	body         func() map[string]any // anew each time, for names are unique
	// refusedAnyway says that even a good body is refused, though not for its form.
	refusedAnyway bool
	// anew gives the case with an account of its own, which a good body changes.
	anew func() boundCase
}

// boundCases has one for each body that there is, by operation.
func boundCases(a *mailApp, boss *person) map[string]boundCase {
	count := 0
	fresh := func() string {
		count++
		return fmt.Sprintf("user%d", count)
	}
	account := func() map[string]any {
		name := fresh()
		return map[string]any{"username": name, "email": name + "@example.com", "password": password}
	}
	made := boss.do("POST", "/users", account()).want(http.StatusCreated).id()
	task := taskPath(boss.task("Bounds"))
	body := func(pairs ...any) func() map[string]any {
		return func() map[string]any {
			m := map[string]any{}
			for i := 0; i < len(pairs); i += 2 {
				m[pairs[i].(string)] = pairs[i+1]
			}
			return m
		}
	}
	own := func(method, path string, sent func() map[string]any) boundCase {
		return boundCase{anew: func() boundCase {
			return boundCase{method: method, path: path, who: a.member(fresh()), body: sent}
		}}
	}
	link := func() string {
		name := fresh()
		a.member(name)
		return a.resetLink(name)
	}
	secret := body("password", password)
	title, credentials := body("title", "Bounds"), body("username", "boss", "password", password)
	return map[string]boundCase{
		"tasks_create":         {"POST", "/tasks", boss, title, false, nil},
		"tasks_replace":        {"PUT", task, boss, title, false, nil},
		"tasks_update":         {"PATCH", task, boss, body(), false, nil},
		"users_create":         {"POST", "/users", boss, account, false, nil},
		"users_update":         {"PATCH", userPath(made), boss, body(), false, nil},
		"me_update":            {"PATCH", "/users/me", boss, body(), false, nil},
		"tokens_create":        {"POST", "/auth/tokens", boss, body("name", "bounds"), false, nil},
		"auth_register":        {"POST", "/auth/register", nil, account, false, nil},
		"auth_login":           {"POST", "/auth/login", nil, credentials, true, nil},
		"auth_activate_resend": {"POST", "/auth/activate/resend", nil, body("email", "nobody@example.com"), false, nil},
		"auth_password_reset":  {"POST", "/auth/password/reset", nil, body("email", "nobody@example.com"), false, nil},
		"auth_refresh":         {"POST", "/auth/refresh", nil, body("refresh", "x"), true, nil},
		"auth_logout":          {"POST", "/auth/logout", nil, body("refresh", "x"), true, nil},
		"auth_verify":          {"POST", "/auth/verify", nil, body("token", "x"), true, nil},

		"auth_password_change": own("POST", "/auth/password/change", body("old_password", password, "new_password", freshPassword)),
		"me_delete":            own("DELETE", "/users/me", secret),
		"users_delete": {anew: func() boundCase {
			return boundCase{method: "DELETE", path: userPath(a.member(fresh()).ID), who: boss, body: secret}
		}},
		"auth_password_reset_confirm": {anew: func() boundCase {
			return boundCase{
				method: "POST", path: "/auth/password/reset/confirm", body: body("token", tokenOf(link()), "new_password", freshPassword),
				refusedAnyway: true, // for another token
			}
		}},
		"auth_password_reset_form": {anew: func() boundCase {
			return boundCase{method: "POST", path: link(), body: body("new_password", freshPassword, "repeated", freshPassword)}
		}},
	}
}

func TestOptions_BoundsAreThoseThatTheServerKeeps(t *testing.T) {
	t.Parallel()
	a := newMailApp(t)
	boss := a.staff("boss")
	cases := boundCases(a, boss)
	tried := 0
	for _, r := range routes.Table() {
		c, ok := cases[r.ID]
		if r.Does.Body == nil || !ok {
			if r.Does.Body != nil {
				t.Errorf("%s has a body that is not tried", r.ID)
			}
			continue
		}
		path := regexp.MustCompile(`:\w+`).ReplaceAllString(r.Path, "1")
		for name, f := range a.options(path).Actions[r.Method] {
			for _, value := range boundValues(name, f) {
				if value.absent && r.Does.Cookies != 0 {
					continue // a cookie may have it
				}
				if name == "old_password" && value.good {
					continue // it is good where it is the right one
				}
				tried++
				c.try(a.app, name, value)
			}
		}
	}
	if tried < 150 {
		t.Errorf("%d values were tried", tried)
	}
}

// boundValue is a value for a field, nil for null, or the absence of one.
type boundValue struct {
	what   string
	value  any
	absent bool
	good   bool
}

// boundValues gives values at each bound of a field, and beyond it.
func boundValues(name string, f describedField) (list []boundValue) {
	add := func(what string, value any, good bool) {
		list = append(list, boundValue{what: what, value: value, good: good})
	}
	if f.ReadOnly {
		add("sent back", sample(name, f, 5), true)
		return list
	}
	list = append(list, boundValue{what: "absent", absent: true, good: !f.Required})
	add("null", nil, f.Nullable)
	if n := f.MinLength; n != nil {
		add("shortest", sample(name, f, *n), true)
		add("too short", sample(name, f, *n-1), false)
	}
	if n := f.MaxLength; n != nil {
		add("longest", sample(name, f, *n), true)
		add("too long", sample(name, f, *n+1), false)
	}
	if n := f.MinValue; n != nil {
		add("least", *n, true)
		add("too little", *n-1, false)
	}
	if n := f.MaxValue; n != nil {
		add("greatest", *n, true)
		add("too much", *n+1, false)
	}
	for _, choice := range f.Choices {
		add("choice", choice.Value, true)
	}
	if f.Type == "choice" {
		add("no choice", "neither", false)
	}
	if f.Child != nil {
		for _, of := range boundValues(name, *f.Child) {
			if !of.absent {
				add("item "+of.what, []any{of.value}, of.good && of.value != nil)
			}
		}
	}
	wrong := map[string]any{
		"string": 5, "email": 5, "url": 5, "choice": 5, "datetime": "tomorrow", "integer": "5", "boolean": "true", "list": "home",
	}
	add("wrong type", wrong[f.Type], false)
	return list
}

// sample gives a value of a length.
func sample(name string, f describedField, length int) any {
	switch {
	case f.Type == "list":
		list := []any{}
		for i := range length {
			if item := any(fmt.Sprint("item ", i)); len(f.Child.Choices) == 0 {
				list = append(list, item)
			} else {
				list = append(list, f.Child.Choices[0].Value)
			}
		}
		return list
	case f.Type == "email":
		return addressOf(length)
	case strings.Contains(name, "password"):
		return (strings.Repeat("zq7 kxw3 ", 40) + "m!")[:length]
	case length < 3:
		return strings.Repeat("x", max(0, length))
	default:
		return (rand.Text() + strings.Repeat("x", length))[:length]
	}
}

// addressOf gives an e-mail address of a length.
func addressOf(length int) string {
	local := rand.Text()[:8]
	domain := strings.Repeat(strings.Repeat("d", 49)+".", 5)
	domain = domain[len(domain)-min(len(domain), max(0, length-len(local)-5)):]
	a := local + "@" + strings.TrimLeft(domain, ".") + "test"
	return local + strings.Repeat("x", max(0, length-len(a))) + a[len(local):]
}

// try sends a body with a value in it.
func (c boundCase) try(a *app, name string, value boundValue) {
	a.t.Helper()
	if c.anew != nil {
		c = c.anew()
	}
	body := c.body()
	body[name] = value.value
	if value.absent {
		delete(body, name)
	}
	do := a.do
	if c.who != nil {
		do = c.who.do
	}
	var r *response
	if _, form := body["repeated"]; form || name == "repeated" {
		r = do(c.method, c.path, formOf(body, name), header{"Content-Type", "application/x-www-form-urlencoded"})
	} else {
		r = do(c.method, c.path, body)
	}
	good := r.Status/100 == 2 || (c.refusedAnyway && r.Status != http.StatusBadRequest)
	if good != value.good || (!good && r.Status != http.StatusBadRequest) {
		sent, _ := json.Marshal(body[name])
		a.t.Errorf("%s %s with %s %s (%.60s): %d, and it should be good is %v: %s", c.method, c.path, name, value.what, sent, r.Status, value.good, r.Body)
	}
}

// formOf gives the form of a page, in which both passwords are the one that is
// tried. There is no null in a form.
func formOf(body map[string]any, name string) string {
	form := url.Values{}
	for field := range body {
		if value := body[name]; value != nil {
			form.Set(field, fmt.Sprint(value))
		}
	}
	return form.Encode()
}
