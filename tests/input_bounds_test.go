package tests

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// repeatText repeats a text.
func repeatText(n int, s string) string { return strings.Repeat(s, n) }

// inputTags makes n tags.
func inputTags(n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = fmt.Sprint("tag ", i)
	}
	return list
}

func TestTaskBounds_AreWhereTheContractHasThem(t *testing.T) {
	t.Parallel()
	const face, accented = "😀", "e\u0301" // of four bytes; of two characters
	refused := "refused"                  // in place of what is stored
	cases := map[string][]struct{ sent, stored any }{
		"title": {
			{"", refused}, {" ", refused}, {"\t\r\n\u00a0\u2003\u3000", refused}, {"x", "x"}, {" \n x y \t", "x y"}, {"\u3000x\u00a0", "x"},
			{repeatText(100, "a"), repeatText(100, "a")}, {repeatText(101, "a"), refused}, {repeatText(50, " ") + repeatText(100, "a") + repeatText(50, " "), repeatText(100, "a")},
			{repeatText(100, face), repeatText(100, face)}, {repeatText(101, face), refused}, {repeatText(50, accented), repeatText(50, accented)}, {repeatText(50, accented) + "e", refused},
			{"<b>&amp;\u2028\"\\/", "<b>&amp;\u2028\"\\/"}, {"a\u0001\u007fb", "a\u0001\u007fb"}, {"null", "null"}, {"\ufffd", "\ufffd"},
		},
		"description": {
			{"", ""}, {"  kept \n as it is ", "  kept \n as it is "}, {repeatText(10_000, "a"), repeatText(10_000, "a")}, {repeatText(10_001, "a"), refused},
			{repeatText(10_000, face), repeatText(10_000, face)}, {repeatText(10_001, face), refused}, {repeatText(5_000, accented), repeatText(5_000, accented)},
			{repeatText(5_000, accented) + "e", refused}, {repeatText(10_001, " "), refused},
		},
		"tags": {
			{[]any{}, []any{}}, {inputTags(20), inputTags(20)}, {inputTags(21), refused}, {[]any{""}, refused}, {[]any{"a", " \t"}, refused},
			{[]any{"x"}, []any{"x"}}, {[]any{repeatText(50, "a")}, []any{repeatText(50, "a")}}, {[]any{repeatText(51, "a")}, refused},
			{[]any{repeatText(50, face)}, []any{repeatText(50, face)}}, {[]any{repeatText(51, face)}, refused}, {[]any{"ok", repeatText(51, face)}, refused},
			{[]any{"b", "a", "b", " a ", "A"}, []any{"b", "a", "A"}}, {[]any{`"`, `\`, "<", "[]"}, []any{`"`, `\`, "<", "[]"}},
		},
		"priority":   {{-1, refused}, {0, 0.0}, {4, 4.0}, {5, refused}},
		"done":       {{true, true}, {false, false}},
		"visibility": {{"public", "public"}, {"private", "private"}, {"", refused}, {"PRIVATE", refused}},
		"due_to": {
			{nil, nil}, {"2016-10-18T19:12:01Z", "2016-10-18T19:12:01Z"}, {"2016-10-18T20:12:01+01:00", "2016-10-18T19:12:01Z"},
			{"2016-10-18T00:12:01-23:59", "2016-10-19T00:11:01Z"}, {"2016-10-18T19:12:01-00:00", "2016-10-18T19:12:01Z"},
			{"2016-10-18T19:12:01.5Z", "2016-10-18T19:12:01.5Z"}, {"2016-10-18T19:12:01.500000Z", "2016-10-18T19:12:01.5Z"}, {"2016-10-18T19:12:01.000Z", "2016-10-18T19:12:01Z"},
			{"2016-10-18T19:12:01.123456Z", "2016-10-18T19:12:01.123456Z"}, {"2016-10-18T19:12:01.123456999Z", "2016-10-18T19:12:01.123456Z"},
			{"1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"}, {"2016-10-18T19:12:01.0000009Z", "2016-10-18T19:12:01Z"},
			{"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"}, {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"}, {"0001-01-01T00:00:00-01:00", "0001-01-01T01:00:00Z"},
			{"0000-12-31T23:59:59-00:01", "0001-01-01T00:00:59Z"}, {"9998-12-31T23:59:59.999999999Z", "9998-12-31T23:59:59.999999Z"},
			{"9999-01-01T00:59:59+01:00", "9998-12-31T23:59:59Z"}, {"9998-12-31T23:59:59-01:00", refused}, {"9999-12-31T23:59:59-01:00", refused}, {"0000-01-01T00:00:00Z", refused},
		},
	}
	for member, list := range cases {
		t.Run(member, func(t *testing.T) {
			t.Parallel()
			w := newInputWorld(t)
			for _, c := range list {
				for _, name := range []string{"create a task", "replace a task", "change a task"} {
					d := w.door(name)
					body := map[string]any{"title": "T", member: c.sent}
					if c.stored == refused {
						w.refused(d, func() *response { return w.do(d.method, d.path, body) }).wantFields(member)
						continue
					}
					var headers []header
					if text, ok := c.sent.(string); ok && member == "title" && utf8.RuneCountInString(text) > 100 {
						headers = append(headers, beyond) // the document cannot say that what is cut does not count
					}
					id := w.do(d.method, d.path, body, headers...).want(d.status).id()
					if got := w.boss.do("GET", taskPath(id), nil).want(http.StatusOK).object()[member]; !reflect.DeepEqual(got, c.stored) {
						t.Errorf("%s: sent %.60q, stored %.60q, want %.60q", name, c.sent, got, c.stored)
					}
				}
			}
			w.do("GET", "/tasks?page_size=200&ordering=due_to", nil).want(http.StatusOK).list()
		})
	}
}

func TestTaskPerson_MustBeAnActiveAccount(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	pending, _ := w.register("pending")
	left := w.user("left")
	leftTask := w.task
	w.do("PATCH", taskPath(leftTask), map[string]any{"person": left.ID}).want(http.StatusOK)
	w.boss.do("PATCH", userPath(left.ID), map[string]any{"is_active": false}).want(http.StatusOK)
	for _, name := range []string{"create a task", "replace a task", "change a task"} {
		d := w.door(name)
		unknown := []any{0, -1, 4711, pending, int64(1<<63 - 1)}
		if name == "create a task" {
			unknown = append(unknown, left.ID)
		}
		for _, person := range unknown {
			w.refused(d, func() *response { return w.do(d.method, d.path, map[string]any{"title": "T", "person": person}) }).wantFields("person")
		}
	}
	// Whoever it was already may stay, so that GET, edit, PUT works.
	task := w.do("GET", taskPath(leftTask), nil).want(http.StatusOK).object()
	if got := w.do("PUT", taskPath(leftTask), task).want(http.StatusOK).object(); got["person"] != float64(left.ID) {
		t.Errorf("the person became %v", got["person"])
	}
	for _, name := range []string{"create a task", "replace a task", "change a task"} {
		d := w.door(name)
		for _, person := range []any{w.ID, w.boss.ID, nil} {
			got := w.do(d.method, d.path, map[string]any{"title": "T", "person": person}).want(d.status).object()["person"]
			if person != nil {
				person = float64(person.(int64))
			}
			if got != person {
				t.Errorf("%s: the person %v became %v", name, person, got)
			}
		}
	}
}

func TestUsername_Bounds(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	d := w.door("register")
	register := func(name string, headers ...header) *response {
		return w.do(d.method, d.path, map[string]any{"username": name, "email": fmt.Sprintf("mail%d@example.com", w.sent), "password": "7#Kqzw-Xp"}, headers...)
	}
	for sent, want := range map[string]string{
		"abc": "abc", repeatText(150, "n"): repeatText(150, "n"), "A.b@c+d-e_9": "A.b@c+d-e_9", "ａｎｎｅ": "anne", "ＢＥＲＴＡ３": "BERTA3", "ﬁsh": "fish", "\u212aelvin": "Kelvin",
		repeatText(75, "ﬀ"): repeatText(150, "f"), "me2": "me2", "mee": "mee", "...": "...", "x@example": "x@example", "①②③": "123",
	} {
		w.sent++
		var headers []header
		if sent != want { // as people may type it
			headers = []header{beyond}
		}
		got := register(sent, headers...).want(http.StatusCreated).object()["username"]
		if got != want {
			t.Errorf("%q is registered as %v, want %q", sent, got, want)
		}
	}
	for _, name := range []string{
		"", " ", "a", "ab", "  ab  ", repeatText(151, "o"), repeatText(76, "ﬀ"), repeatText(100_000, "x"), "with space", "with\u00a0space", "with\ttab", "with\nline", "élodie", "e\u0301lodie", "алиса",
		"愛子さん", "😀😀😀", "name!", "a/b", `a"b`, "a'b", "a\\b", "a,b", "a:b", "a;b", "<abc>", "a%20b", "alice\u200b", "\u202ealice", "ali\u00adce", "a\u0001bc", "٣٣٣", "ⅷ½",
		"me", "ME", "Me", "ｍｅ", " me ", "alice", "ALICE", "Alice", "ａｌｉｃｅ", " alice ", "ＡＬＩＣＥ", "bOsS",
	} {
		w.sent++
		w.refused(d, func() *response { return register(name) }).wantFields("username")
	}
	for _, name := range []string{"BOSS", "ｂｏｓｓ", "me", "ab", "x y", repeatText(151, "o")} {
		d := w.door("change oneself")
		w.refused(d, func() *response { return w.do(d.method, d.path, map[string]any{"username": name}) }).wantFields("username")
	}
	if got := register("bob").wantFields("username").complaintsOf("username"); !slices.Equal(got, []any{"A user with that username already exists."}) {
		t.Errorf("a name that is taken: %v", got)
	}
}

func TestEmail_Bounds(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	d := w.door("register")
	register := func(email any) *response {
		w.sent++
		return w.do(d.method, d.path, map[string]any{"username": fmt.Sprint("mailer", w.sent), "email": email, "password": password})
	}
	longDomain := repeatText(63, "b") + "." + repeatText(63, "c") + "." + repeatText(57, "d") + ".com"
	for _, email := range []string{
		"a@b.co", "first.last+tag@example.com", "Anna.B@Example.COM", "o'hara@example.com", "x_-{}|~!#$%&*/=?^`@example.com", "i@bücher.example", "j@例え.テスト", "k@xn--fsqu00a.example",
		"1@2.com", repeatText(64, "l") + "@example.com", repeatText(64, "a") + "@" + longDomain, "n@" + repeatText(63, "x") + ".com",
	} {
		if got := register(email).want(http.StatusCreated).object()["email"]; got != email {
			t.Errorf("%q is registered as %v", email, got)
		}
	}
	for _, email := range []string{
		"", " ", "plain", "@", "@example.com", "a@", "a@b", "a@example", "a@@example.com", "a@b@example.com", "Anna <a@example.com>", "<a@example.com>", `"Anna" <a@example.com>`,
		`"a b"@example.com`, `"a"@example.com`, `a\@b@example.com`, "a(c)@example.com", "a b@example.com", "a @example.com", "a@exam ple.com", "a@ example.com", "a@example.com, b@example.com",
		"a@example.com;b@example.com", "a@example.com\nBcc: b@example.com", "a\r\n@example.com", "a\u0001@example.com", "a@exam\u0001ple.com", ".a@example.com", "a.@example.com", "a..b@example.com",
		"é@example.com", "а@example.com", "a@.com", "a@example..com", "a@example.com.", "a@-example.com", "a@example-.com", "a@exam_ple.com", "a@[127.0.0.1]", "a@example.com:25", "mailto:a@example.com",
		"a@exa\u200bmple.com/x", "a@xn--zzzzzz-.com", repeatText(65, "l") + "@example.com", repeatText(64, "a") + "@" + "b" + longDomain[1:] + "m", "a@" + repeatText(64, "x") + ".com", "a@" + repeatText(100_000, "x.") + "com",
		"alice@example.com", "ALICE@EXAMPLE.COM", "alice@EXAMPLE.com", "I@BÜCHER.example", "i@xn--bcher-kva.example", "i@bu\u0308cher.example", "a@ｂ．ｃｏ", "ＡLICE@example.com", " alice@example.com ",
	} {
		w.refused(d, func() *response { return register(email) }).wantFields("email")
	}
	if got := register("Alice@Example.com").wantFields("email").complaintsOf("email"); !slices.Equal(got, []any{"A user with that email already exists."}) {
		t.Errorf("an address that is taken: %v", got)
	}
}

func TestPassword_Bounds(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	d := w.door("register")
	register := func(name, email, password string) *response {
		return w.do(d.method, d.path, map[string]any{"username": name, "email": email, "password": password})
	}
	for i, good := range []string{
		"qzw7#Kpx", repeatText(256, "z"), repeatText(8, "😀"), repeatText(256, "😀"), " leads and trails ", "\u3000unusual\u2028spaces\u3000", "e\u0301lan vital", `"';--\<>&`,
	} {
		name := fmt.Sprint("person", i)
		id := register(name, name+"@example.org", good).want(http.StatusCreated).id()
		if err := w.Services.Accounts.ActivateByName(context.Background(), name); err != nil {
			t.Fatal(err)
		}
		w.loginWith(name, good).want(http.StatusOK)
		for _, other := range []string{strings.TrimSpace(good) + "x", good + "\u3000", good[:len(good)-1] + "?", strings.ToUpper(good) + " "} {
			w.loginWith(name, other).wantProblem(http.StatusUnauthorized, "no_active_account")
		}
		if id == 0 {
			t.Errorf("%q made no account", good)
		}
	}
	for _, bad := range []string{
		"", "a", "qzw7#Kp", repeatText(7, "😀"), repeatText(257, "z"), repeatText(257, "😀"), repeatText(1025, "z"), repeatText(500_000, "z"), "qzw7\u0007#Kpx", "qzw7#Kpx\n", "\tqzw7#Kpx", "qzw7#Kpx\u007f", "qzw7#Kpx\u0085",
		"password1", "PassWord1", "12345678", "trustno1", "carol.99", "xx carol.99 xx", "XXCAROL.99XX", "mailbox.7", "aMAILBOX.7b", "mailbox.7@example.com",
	} {
		w.refused(d, func() *response { return register("carol.99", "mailbox.7@example.com", bad) }).wantFields("password")
	}
}

// loginWith signs in with a password of one's own.
func (w *inputWorld) loginWith(name, password string) *response {
	w.t.Helper()
	return w.do("POST", "/auth/login", map[string]any{"username": name, "password": password})
}
