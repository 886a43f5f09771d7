package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dueto/services"
)

// complaintsOf gives what the answer says of one member.
func (r *response) complaintsOf(member string) []any {
	r.t.Helper()
	errs, _ := r.object()["errors"].(map[string]any)
	list, _ := errs[member].([]any)
	return list
}

// inputWith gives a good body with one member set to a JSON text.
func (w *inputWorld) inputWith(d inputDoor, member, raw string) string {
	w.t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(w.goodBody(d)), &members); err != nil {
		w.t.Fatal(err)
	}
	members[member] = json.RawMessage(raw)
	name, err := json.Marshal(members)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(name)
}

var (
	inputNoText    = []string{`5`, `1.5`, `true`, `{}`, `[]`, `["a"]`}
	inputNoBoolean = []string{`"true"`, `"yes"`, `1`, `0`, `{}`, `[]`, `""`}
	inputNoInteger = []string{`"1"`, `""`, `1.0`, `1.5`, `1e2`, `-1e0`, `9223372036854775808`, `1e400`, `true`, `{}`, `[]`, `[1]`}
	inputNoWords   = []string{`"a"`, `""`, `1`, `true`, `{}`, `[1]`, `[true]`, `["a",2]`, `[["a"]]`, `[{}]`, `[null]`}
	inputNoTime    = []string{
		`1476817921`, `1476817921.5`, `true`, `{}`, `[]`, `""`, `" "`, `"tomorrow"`, `"2026-10-18"`, `"19:12:01Z"`, `"1476817921"`,
		`"2026-10-18T19:12:01"`, `"2026-10-18 19:12:01Z"`, `"2026-10-18T19:12Z"`, `"2026-10-18T19:12:01+0100"`, `"2026-10-18T19:12:01+01"`,
		`" 2026-10-18T19:12:01Z"`, `"2026-10-18T19:12:01Z "`, `"2026-13-18T19:12:01Z"`, `"2026-02-29T19:12:01Z"`, `"2026-10-18T24:00:00Z"`,
		`"2026-10-18T23:60:00Z"`, `"2016-12-31T23:59:60Z"`, `"2026-10-18T19:12:01,5Z"`, `"2026-10-18T19:12:01.Z"`, `"26-10-18T19:12:01Z"`,
		`"+12026-10-18T19:12:01Z"`, `"2026-10-18T19:12:01+24:00"`, `"2026-10-18T19:12:01+01:60"`, `"2026-10-18T9:12:01Z"`, `"2026-W42-7T19:12:01Z"`,
		`"２０２６-10-18T19:12:01Z"`, `"2026-10-18T19:12:01Z'; DROP TABLE tasks; --"`,
	}
	inputTimeOutOfRange = []string{
		`"0000-01-01T00:00:00Z"`, `"0000-12-31T23:59:59Z"`, `"0001-01-01T00:00:00+01:00"`, `"0001-01-01T00:59:59+01:00"`,
		`"9999-01-01T00:00:00Z"`, `"9999-12-31T23:59:59-01:00"`, `"9998-12-31T23:59:59-01:00"`, `"9999-12-31T23:59:59.999999999Z"`,
	}
)

func TestMembers_WrongTypeIsNamed(t *testing.T) {
	t.Parallel()
	task := map[string][]string{
		"title": inputNoText, "description": inputNoText, "due_to": slices.Concat(inputNoTime, inputTimeOutOfRange), "done": inputNoBoolean,
		"priority": slices.Concat(inputNoInteger, []string{`-1`, `5`, `-9223372036854775808`}), "tags": inputNoWords,
		"visibility": slices.Concat(inputNoText, []string{`""`, `"Public"`, `" public"`, `"public private"`, `"secret"`}),
		"person":     slices.Concat(inputNoInteger, []string{`0`, `-1`, `9223372036854775807`, `4711`}),
	}
	account := map[string][]string{"username": inputNoText, "email": inputNoText, "password": inputNoText}
	for name, members := range map[string]map[string][]string{
		"create a task": task, "replace a task": task, "change a task": task, "register": account,
		"log in": {"username": slices.Concat(inputNoText, []string{`""`}), "password": slices.Concat(inputNoText, []string{`""`})},
		"change oneself": {
			"username": inputNoText, "email": slices.Concat(inputNoText, []string{`"x"`, `""`}), "is_active": inputNoBoolean,
			"is_staff": inputNoBoolean, "permissions": slices.DeleteFunc(slices.Clone(inputNoWords), func(raw string) bool { return raw == `[null]` }),
			"time_zone": slices.Concat(inputNoText, []string{`""`, `"Local"`, `"../../etc/passwd"`, `"/etc/localtime"`, `"Europe/Nowhere"`, `"UTC'--"`}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newInputWorld(t)
			d := w.door(name)
			for member, wrong := range members {
				for _, raw := range wrong {
					r := w.refusedBody(d, w.inputWith(d, member, raw))
					if len(r.complaintsOf(member)) == 0 {
						t.Errorf("%s: %s is answered with %d %s", member, raw, r.Status, r.Body)
						continue
					}
					r.wantFields(member)
				}
				if member == "due_to" {
					r := w.refusedBody(d, w.inputWith(d, member, `"2026-10-18T19:12:01"`))
					if got := r.complaintsOf(member); !slices.Equal(got, []any{"Enter a time with an offset, such as 2026-10-18T19:12:01Z."}) {
						t.Errorf("a time without an offset: %v", got)
					}
				}
			}
		})
	}
}

func TestMembers_NullIsRefusedWhereThereMustBeAValue(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	task := []string{"title", "description", "done", "priority", "tags", "visibility"}
	for door, members := range map[string][]string{
		"create a task": task, "replace a task": task, "change a task": task,
		"register": {"username", "email", "password"}, "log in": {"username", "password"},
		"change oneself": {"username", "email", "time_zone", "is_active", "is_staff", "permissions"},
	} {
		d := w.door(door)
		for _, member := range members {
			r := w.refusedBody(d, w.inputWith(d, member, "null")).wantFields(member)
			if got := r.complaintsOf(member); !slices.Equal(got, []any{"This field may not be null."}) {
				t.Errorf("%s, %s: %v", door, member, got)
			}
		}
	}
}

func TestMembers_RequiredOnesAreAskedFor(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	for door, members := range map[string][]string{
		"create a task": {"title"}, "replace a task": {"title"}, "register": {"username", "email", "password"}, "log in": {"username", "password"},
	} {
		r := w.refusedBody(w.door(door), `{}`).wantFields(members...)
		for _, member := range members {
			if got := r.complaintsOf(member); !slices.Equal(got, []any{"This field is required."}) {
				t.Errorf("%s, %s: %v", door, member, got)
			}
		}
	}
	for _, door := range []string{"change a task", "change oneself"} {
		d := w.door(door)
		w.do(d.method, d.path, `{}`).want(http.StatusOK)
	}
}

func TestMembers_UnknownOnesAreNamedWithTheNearest(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	task := map[string]string{
		"titel": "title", "Title": "title", "TITLE": "title", "Description": "description", "dueto": "due_to", "dueTo": "due_to", "DUE_TO": "due_to",
		"tag": "tags", "Done": "done", "nonsense": "", "constructor": "", "": "", "ｔitle": "title", "title ": "title", "title'--": "",
	}
	for door, names := range map[string]map[string]string{
		"create a task": task, "replace a task": task, "change a task": task,
		"register":       {"user_name": "username", "e-mail": "email", "Password": "password", "is_staff": "", "is_active": "", "permissions": "", "id": ""},
		"log in":         {"Username": "username", "pasword": "password", "is_staff": ""},
		"change oneself": {"timezone": "time_zone", "isStaff": "is_staff", "Is_Active": "is_active", "password": "", "activated_at": "", "version": ""},
	} {
		d := w.door(door)
		for name, nearest := range names {
			quoted, _ := json.Marshal(name)
			body := strings.TrimSuffix(w.goodBody(d), "}") + "," + string(quoted) + ":1}"
			got := fmt.Sprint(w.refusedBody(d, body).wantFields(name).complaintsOf(name))
			if suggests := strings.Contains(got, "did you mean "+nearest+"?"); suggests != (nearest != "") {
				t.Errorf("%s, %q: %s; want the suggestion %q", door, name, got, nearest)
			}
		}
		long := strings.Repeat("x", 100_000)
		r := w.refusedBody(d, strings.TrimSuffix(w.goodBody(d), "}")+`,"`+long+`":1}`).wantProblem(http.StatusBadRequest, services.CodeInvalid)
		if len(r.Body) > 1000 {
			t.Errorf("%s: a long name is answered with %d bytes", door, len(r.Body))
		}
	}
}

func TestMembers_ReadOnlyOnesMayComeBack(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	t.Run("GET, edit, PUT", func(t *testing.T) {
		w := w.in(t)
		task := w.do("GET", taskPath(w.task), nil).want(http.StatusOK).object()
		task["title"] = "Edited"
		if got := w.do("PUT", taskPath(w.task), task).want(http.StatusOK).object(); !reflect.DeepEqual(got, task) {
			t.Errorf("sent %v, got %v", task, got)
		}
	})
	garbage := `"id":99,"url":"http://evil.example/","created_at":null,"updated_at":[],"created_by":"x","done_at":"2001-01-01T00:00:00Z"`
	t.Run("values of no sense", func(t *testing.T) {
		w := w.in(t)
		was := w.do("GET", taskPath(w.task), nil).want(http.StatusOK).object()
		for _, method := range []string{"PUT", "PATCH"} {
			got := w.do(method, taskPath(w.task), `{"title":"Edited",`+garbage+`}`).want(http.StatusOK).object()
			if !reflect.DeepEqual(got, was) {
				t.Errorf("%s: %v became %v", method, was, got)
			}
		}
		created := w.do("POST", "/tasks", `{"title":"New",`+garbage+`}`).want(http.StatusCreated).object()
		if created["id"] == 99.0 || created["url"] != fmt.Sprintf("http://dueto.test/tasks/%v", created["id"]) ||
			created["created_by"] != float64(w.ID) || created["done_at"] != nil || created["created_at"] != "2026-10-18T12:00:00Z" {
			t.Errorf("created %v", created)
		}
	})
	t.Run("an account", func(t *testing.T) {
		w := w.in(t)
		me := w.do("GET", "/users/me", nil).want(http.StatusOK).object()
		if got := w.do("PATCH", "/users/me", me).want(http.StatusOK).object(); !reflect.DeepEqual(got, me) {
			t.Errorf("sent %v, got %v", me, got)
		}
		me["time_zone"], me["id"], me["date_joined"], me["last_login"], me["task_count"] = "Europe/Berlin", 1, nil, "x", -1
		got := w.do("PATCH", "/users/me", me).want(http.StatusOK).object()
		if got["id"] != float64(w.ID) || got["time_zone"] != "Europe/Berlin" || got["date_joined"] != "2026-10-18T12:00:00Z" || got["task_count"] == -1.0 {
			t.Errorf("sent %v, got %v", me, got)
		}
		alice := w.boss.do("GET", userPath(w.ID), nil).want(http.StatusOK).object()
		alice["permissions"] = []any{"tasks.change"}
		if got := w.boss.do("PATCH", userPath(w.ID), alice).want(http.StatusOK).object(); !reflect.DeepEqual(got, alice) {
			t.Errorf("staff sent %v, got %v", alice, got)
		}
	})
}

func TestMembers_EverythingWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	for name, c := range map[string]struct {
		door, body string
		fields     []string
	}{
		"a task": {"create a task", `{"title":" ","description":5,"due_to":"soon","done":"x","priority":9,"tags":[""],"visibility":"x","person":0,"nonsense":1}`,
			[]string{"title", "description", "due_to", "done", "priority", "tags", "visibility", "person", "nonsense"}},
		"a task for nobody": {"create a task", `{"title":"","person":4711}`, []string{"title", "person"}},
		"an account":        {"register", `{"username":"a","email":"x","password":"y"}`, []string{"username", "email", "password"}},
		"an account without a name": {"register", `{"email":"x","password":"y","nonsense":1}`,
			[]string{"username", "email", "password", "nonsense"}},
		"an account with a wrong type": {"register", `{"username":"a","email":"x","password":5}`, []string{"username", "email", "password"}},
		"oneself":                      {"change oneself", `{"username":"a","email":"x","time_zone":"x"}`, []string{"username", "email", "time_zone"}},
		"oneself with a wrong type":    {"change oneself", `{"username":"a","time_zone":5}`, []string{"username", "time_zone"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			w.refusedBody(w.door(c.door), c.body).wantFields(c.fields...)
		})
	}
}

func TestPath_WhatIsNoIDNamesNothing(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	ids := []string{
		"0", "-1", "-0", "9223372036854775807", "9223372036854775808", "18446744073709551617", strings.Repeat("9", 1000), "none", "ME", "null", "1e0",
		"1e3", "+1", "%2B1", "01", "001", "1.0", "0x1", "1_0", "%201", "1%20", "%091", "1%00", "%EF%BC%91", "1;", "1'--", "1%20OR%201=1", "*", "%FF",
	}
	task, account := w.door("replace a task"), w.door("change oneself")
	for _, id := range ids {
		w.refused(task, func() (r *response) {
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				r = w.boss.do(method, "/tasks/"+id, w.goodBody(task)).wantProblem(http.StatusNotFound, "not_found")
			}
			return r
		})
		w.refused(account, func() (r *response) {
			for _, method := range []string{"GET", "PATCH", "DELETE"} {
				r = w.boss.do(method, "/users/"+id, `{}`).wantProblem(http.StatusNotFound, "not_found")
			}
			return r
		})
	}
}

// hostileTexts try to be SQL, or to end a text in it.
var hostileTexts = []string{
	`'; DROP TABLE tasks; --`, `" OR ""="`, `' OR '1'='1`, `id; DELETE FROM users`, `1) UNION SELECT password_hash FROM users --`, `%`, `_`, `\'`,
	`id,(SELECT 1)`, `CASE WHEN 1 THEN id END`, `-id DESC`, `id--`, "`id`", `"id"`, `[id]`, `$1`, `?`, `:id`, `@p1`, `id/**/`, `random()`,
}

func TestSQL_InTheQueryIsRefused(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	d := w.door("create a task")
	parameters := []string{
		"page_size", "page", "cursor", "count", "ordering", "fields", "person", "created_by", "done", "priority", "priority_min", "visibility",
		"due_before", "due_after", "overdue", "updated_since",
	}
	for _, name := range parameters {
		w.refused(d, func() (r *response) {
			for _, text := range append(hostileTexts, "", " ", strings.Repeat("a", 5000)) {
				r = w.do("GET", "/tasks?"+url.Values{name: {text}}.Encode(), nil).wantFields(name)
				if slices.Contains([]string{"page_size", "page", "cursor", "count", "ordering", "fields"}, name) {
					w.do("GET", "/users?"+url.Values{name: {text}}.Encode(), nil).wantFields(name)
				}
			}
			return r
		})
	}
	w.refused(d, func() (r *response) {
		for _, text := range hostileTexts {
			name := text[:min(len(text), 40)] // longer ones are quoted in part
			r = w.do("GET", "/tasks?"+url.Values{name: {"1"}}.Encode(), nil).wantFields(name)
		}
		return r
	})
	for query, status := range map[string]int{"%zz=1": 400, "page=%": 400, "person=%00": 400, "person=%ff": 400, "%00=1": 400, "%ff=1": 400, "a;b=1": 400, "&&": 200, "=": 400} {
		w.do("GET", "/tasks?"+query, nil).want(status)
	}
}

func TestSQL_InABodyIsText(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	register, login := w.door("register"), w.door("log in")
	for i, text := range hostileTexts {
		sent := map[string]any{"title": text, "description": text, "tags": []any{text}}
		task := w.do("POST", "/tasks", sent).want(http.StatusCreated).object()
		for member, want := range sent {
			if !reflect.DeepEqual(task[member], want) {
				t.Errorf("%s: sent %v, stored %v", member, want, task[member])
			}
		}
		w.refused(register, func() *response {
			return w.do("POST", "/auth/register", map[string]any{"username": text + "'", "email": fmt.Sprintf("h%d@example.com", i), "password": password})
		}).wantFields("username")
		w.refused(login, func() *response {
			return w.do("POST", "/auth/login", map[string]any{"username": text, "password": text})
		}).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	}
}
