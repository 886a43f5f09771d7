package tests

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"dueto/services"
)

// inputWorld is a server with somebody who sends it bad input. Whatever they
// send, the task and the accounts must stay as they are.
type inputWorld struct {
	*person
	boss *person
	task int64
	sent int // good requests, to give each account another name
}

func newInputWorld(t *testing.T) *inputWorld {
	t.Helper()
	a := newApp(t)
	boss, alice := a.staff("boss"), a.user("alice")
	a.user("bob") // signs in again and again, which ends the oldest sessions
	return &inputWorld{alice, boss, alice.task("Kept"), 0}
}

// in gives the world to a subtest, which then fails for itself.
func (w *inputWorld) in(t *testing.T) *inputWorld {
	a, alice, boss := *w.app, *w.person, *w.boss
	a.t, alice.app, boss.app = t, &a, &a
	w.sent += 10_000
	return &inputWorld{&alice, &boss, w.task, w.sent}
}

// stored is what the staff see of all that may change: the first task, which
// is the one that is kept, the two eldest accounts, and how many there are.
func (w *inputWorld) stored() string {
	w.t.Helper()
	var b strings.Builder
	for _, path := range []string{"/tasks?count=exact&page_size=1", "/users?count=exact&page_size=2"} {
		r := w.boss.do("GET", path, nil).want(http.StatusOK)
		fmt.Fprintf(&b, "%s %s", r.Header.Get("X-Total-Count"), r.Body)
	}
	return b.String()
}

// inputDoor is a request that has a body, and a body that it takes.
type inputDoor struct {
	name, method, path string
	good               string // # is a number that was not there before
	status             int
}

func (w *inputWorld) doors() []inputDoor {
	return []inputDoor{
		{"create a task", "POST", "/tasks", `{"title":"Good #"}`, http.StatusCreated},
		{"replace a task", "PUT", taskPath(w.task), `{"title":"Good #"}`, http.StatusOK},
		{"change a task", "PATCH", taskPath(w.task), `{"title":"Good #"}`, http.StatusOK},
		{"register", "POST", "/auth/register", `{"username":"user#","email":"user#@example.com","password":"` + password + `"}`, http.StatusCreated},
		{"log in", "POST", "/auth/login", `{"username":"bob","password":"` + password + `"}`, http.StatusOK},
		{"change oneself", "PATCH", "/users/me", `{"username":"alice#"}`, http.StatusOK},
	}
}

func (w *inputWorld) door(name string) inputDoor {
	doors := w.doors()
	return doors[slices.IndexFunc(doors, func(d inputDoor) bool { return d.name == name })]
}

// goodBody gives a body that the door takes, another one each time.
func (w *inputWorld) goodBody(d inputDoor) string {
	w.sent++
	return strings.ReplaceAll(d.good, "#", strconv.Itoa(w.sent))
}

// refused sends what must be refused, and checks that it did nothing and that
// the next good request is served.
func (w *inputWorld) refused(d inputDoor, send func() *response) *response {
	w.t.Helper()
	before := w.stored()
	r := send()
	if r.Status < 400 || r.Status > 499 {
		w.t.Errorf("%s: status %d: %.300s", r.What, r.Status, r.Body)
	}
	if after := w.stored(); after != before {
		w.t.Errorf("%s: what is stored has changed with the answer %d", r.What, r.Status)
	}
	w.do(d.method, d.path, w.goodBody(d)).want(d.status)
	return r
}

func (w *inputWorld) refusedBody(d inputDoor, body string, headers ...header) *response {
	w.t.Helper()
	return w.refused(d, func() *response { return w.do(d.method, d.path, body, headers...) })
}

// inputEverywhere runs a test at each door.
func inputEverywhere(t *testing.T, test func(w *inputWorld, d inputDoor)) {
	w := newInputWorld(t)
	inputAt(t, w, w.doors(), test)
}

// inputAtBoth runs a test at a door for those signed in and at one for anybody.
func inputAtBoth(t *testing.T, test func(w *inputWorld, d inputDoor)) {
	w := newInputWorld(t)
	inputAt(t, w, []inputDoor{w.door("create a task"), w.door("register")}, test)
}

func inputAt(t *testing.T, w *inputWorld, doors []inputDoor, test func(w *inputWorld, d inputDoor)) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) { test(w.in(t), d) })
	}
}

// utf16LE encodes a text as Windows programs do.
func utf16LE(s string) string {
	b := []byte{0xFF, 0xFE}
	for _, unit := range utf16.Encode([]rune(s)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}

// inputMalformed makes bodies that are no JSON object, or one that parsers
// disagree on, out of a good one.
func inputMalformed(good string) map[string]string {
	open := strings.TrimSuffix(good, "}")
	with := func(rest string) string { return open + "," + rest + "}" }
	return map[string]string{
		"nothing": "", "spaces": " \r\n\t ", "null": "null", "a list": "[]", "a text": `"x"`, "a number": "1", "a boolean": "true",
		"cut short": open, "a brace more": good + "}", "two objects": good + good, "text behind": good + " x", "NUL behind": good + "\x00",
		"only NUL": "\x00", "a comma more": open + ",}", "a comment": good + "// x", "single quotes": strings.ReplaceAll(good, `"`, "'"),
		"NaN": with(`"x":NaN`), "a leading zero": with(`"x":01`), "a leading plus": with(`"x":+1`), "hexadecimal": with(`"x":0x1`),
		"a name without quotes": with(`x:1`), "byte order mark": "\xef\xbb\xbf" + good, "UTF-16": utf16LE(good),
		"form data": "title=x&username=y", "XML": "<title>x</title>",
		"invalid UTF-8": with("\"x\":\"\xff\""), "invalid UTF-8 in a name": with("\"x\xff\":1"), "an overlong encoding": with("\"x\":\"\xc0\x80\""),
		"a surrogate in UTF-8": with("\"x\":\"\xed\xa0\x80\""), "beyond Unicode": with("\"x\":\"\xf4\x90\x80\x80\""),
		"a raw NUL": with("\"x\":\"a\x00b\""), "a NUL": with(`"x":"a\u0000b"`), "a NUL in a name": with(`"x\u0000":1`),
		"a NUL deep inside": with(`"x":[{"y":["\u0000"]}]`), "a raw line end": with("\"x\":\"a\nb\""), "a bad escape": with(`"x":"\q"`),
		"half a pair": with(`"x":"\ud83d"`), "the other half": with(`"x":"\ude00"`), "a pair the wrong way": with(`"x":"\ude00\ud83d"`),
		"half a pair and a letter": with(`"x":"\ud83d\u0041"`), "half a pair in a name": with(`"\ud83d":1`),
		"every member twice":       open + "," + good[1:],
		"a member twice by escape": with(`"x":1,"\u0078":2`), "a member twice inside": with(`"x":{"a":1,"a":1}`),
		"a member twice deep inside": with(`"x":[0,{"a":[{"b":1,"c":2,"b":3}]}]`), "a read-only member twice": with(`"id":1,"id":2`),
		"33 levels of lists": with(`"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32)), "33 levels of objects": with(strings.Repeat(`"x":{`, 32) + strings.Repeat("}", 32)),
		"10,000 levels of lists": with(`"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), "10,000 levels of objects": strings.Repeat(`{"x":`, 10_000),
		"100,000 open brackets": strings.Repeat("[", 100_000), "a number without end": with(`"x":` + strings.Repeat("9", 10_000) + "."),
	}
}

func TestBody_WhatIsNoPlainObjectIsMalformed(t *testing.T) {
	t.Parallel()
	inputEverywhere(t, func(w *inputWorld, d inputDoor) {
		bodies := inputMalformed(w.goodBody(d))
		w.refused(d, func() (r *response) {
			for name, body := range bodies {
				r = w.do(d.method, d.path, body)
				if r.Status != http.StatusBadRequest || r.object()["code"] != string(services.CodeMalformed) || len(r.Body) > 1000 {
					w.t.Errorf("%s: %d %.1000s", name, r.Status, r.Body)
				}
			}
			return r
		}).wantProblem(http.StatusBadRequest, services.CodeMalformed)
		for _, body := range bodies {
			w.do(d.method, d.path, body).want(http.StatusBadRequest)
			w.do(d.method, d.path, w.goodBody(d)).want(d.status)
		}
	})
}

func TestBody_32LevelsAreReadAndTheMemberIsNamed(t *testing.T) {
	t.Parallel()
	inputAtBoth(t, func(w *inputWorld, d inputDoor) {
		open := strings.TrimSuffix(w.goodBody(d), "}")
		w.refusedBody(d, open+`,"x":`+strings.Repeat("[", 31)+strings.Repeat("]", 31)+"}").wantFields("x")
		w.refusedBody(d, open+","+strings.Repeat(`"x":{`, 31)+strings.Repeat("}", 31)+"}").wantFields("x")
		w.refusedBody(d, open+`,"x":"`+strings.Repeat("[{", 100)+`"}`).wantFields("x")
	})
}

func TestBody_MustBeJSONByItsContentType(t *testing.T) {
	t.Parallel()
	inputAtBoth(t, func(w *inputWorld, d inputDoor) {
		for _, media := range []string{
			"", "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
			"application/json-patch+json", "application/jsonx", "application/*", "*/*", ";", "application/json, text/plain",
			"application/json; charset=latin1", "application/json; charset=utf-16", "application/json; charset=utf-8; charset=latin1",
		} {
			w.refusedBody(d, w.goodBody(d), header{"Content-Type", media}).
				wantProblem(http.StatusUnsupportedMediaType, services.CodeUnsupportedMedia)
		}
		for _, media := range []string{
			"application/json", "Application/JSON", "application/json; charset=utf-8", `application/json;charset="UTF-8"`, "application/json; version=1",
		} {
			w.do(d.method, d.path, w.goodBody(d), header{"Content-Type", media}).want(d.status)
		}
	})
}

func TestBody_EncodedIsRefused(t *testing.T) {
	t.Parallel()
	inputAtBoth(t, func(w *inputWorld, d inputDoor) {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		_, _ = io.WriteString(z, w.goodBody(d))
		if err := z.Close(); err != nil {
			w.t.Fatal(err)
		}
		for _, body := range []string{zipped.String(), w.goodBody(d)} {
			for _, encoding := range []string{"gzip", "deflate", "br", "gzip, gzip"} {
				w.refusedBody(d, body, header{"Content-Encoding", encoding}).
					wantProblem(http.StatusUnsupportedMediaType, services.CodeUnsupportedMedia)
			}
		}
	})
}

// chunked sends a body without saying how long it is.
func (w *inputWorld) chunked(d inputDoor, body string) *response {
	w.t.Helper()
	req, err := http.NewRequest(d.method, w.URL+d.path, struct{ io.Reader }{strings.NewReader(body)})
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", bearer(w.Access).value)
	res, err := noRedirects.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return &response{t: w.t, What: d.method + " " + d.path + " chunked", Status: res.StatusCode, Header: res.Header, Body: read}
}

func TestBody_UpToAMebibyte(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	inputAtBoth(t, func(w *inputWorld, d inputDoor) {
		padded := func(size int) string {
			good := w.goodBody(d)
			return good + strings.Repeat(" ", size-len(good))
		}
		w.do(d.method, d.path, padded(limit)).want(d.status)
		w.chunked(d, padded(limit)).want(d.status)
		w.chunked(d, w.goodBody(d)).want(d.status)
		w.refusedBody(d, padded(limit+1)).wantProblem(http.StatusRequestEntityTooLarge, services.CodeTooLarge)
		w.refused(d, func() *response { return w.chunked(d, padded(limit+1)) }).
			wantProblem(http.StatusRequestEntityTooLarge, services.CodeTooLarge)
		w.refused(d, func() *response { return w.chunked(d, "") }).wantProblem(http.StatusBadRequest, services.CodeMalformed)
	})
}

// A body that ends before its announced length may be half of something.
func TestBody_CutOffIsRefusedThoughItReadsWell(t *testing.T) {
	t.Parallel()
	inputEverywhere(t, func(w *inputWorld, d inputDoor) {
		w.refused(d, func() *response {
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
			if err != nil {
				w.t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n%s",
				d.method, d.path, bearer(w.Access).value, w.goodBody(d))
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				w.t.Fatal(err)
			}
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				w.t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				w.t.Fatal(err)
			}
			return &response{t: w.t, What: d.name + " cut off", Status: res.StatusCode, Header: res.Header, Body: body}
		}).wantProblem(http.StatusBadRequest, services.CodeMalformed)
	})
}

// A body of members that do not exist must not cost more to refuse than to send.
func TestBody_ManyUnknownMembersGetAShorterAnswer(t *testing.T) {
	t.Parallel()
	inputAtBoth(t, func(w *inputWorld, d inputDoor) {
		var b strings.Builder
		b.WriteString(strings.TrimSuffix(w.goodBody(d), "}"))
		for i := range 20_000 {
			fmt.Fprintf(&b, `,"%x":1`, i)
		}
		b.WriteString("}")
		r := w.refusedBody(d, b.String()).wantProblem(http.StatusBadRequest, services.CodeInvalid)
		if len(r.Body) > b.Len() {
			w.t.Errorf("%d bytes are answered to %d", len(r.Body), b.Len())
		}
	})
}

func TestInput_ManyComplaintsMakeAShorterAnswer(t *testing.T) {
	t.Parallel()
	w := newInputWorld(t)
	var query, words strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&query, "&x%x", i)
		fmt.Fprintf(&words, `"%x",`, i)
	}
	path := "/tasks?" + query.String()[1:]
	r := w.do("GET", path, nil).wantProblem(http.StatusBadRequest, services.CodeInvalid)
	if len(r.Body) > len(path) {
		t.Errorf("parameters: %d bytes are answered to %d", len(r.Body), len(path))
	}
	body := `{"permissions":[` + strings.TrimSuffix(words.String(), ",") + `]}`
	r = w.boss.do("PATCH", userPath(w.ID), body).wantFields("permissions")
	if len(r.Body) > len(body) {
		t.Errorf("permissions: %d bytes are answered to %d", len(r.Body), len(body))
	}
	long := strings.Repeat("x", 100_000)
	r = w.boss.do("PATCH", userPath(w.ID), map[string]any{"permissions": []string{long}}).wantFields("permissions")
	if len(r.Body) > 2_000 {
		t.Errorf("a long word is answered with %d bytes", len(r.Body))
	}
}
