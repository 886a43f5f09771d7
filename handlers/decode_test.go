package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// requestWith gives a request's context with a JSON body.
func requestWith(t testing.TB, body []byte) *gin.Context {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "/", io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return &gin.Context{Request: r}
}

// jsonFacts is what encoding/json makes of a body, and what is in it that
// readObject is there to refuse.
type jsonFacts struct {
	object map[string]json.RawMessage // nil unless the body is an object
	depth  int
	names  int  // distinct members, at every depth
	oddity bool // a NUL, or what stands for bytes or surrogates that are no character
}

func factsOf(body []byte) (f jsonFacts, valid bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil || !json.Valid(body) {
		return f, false
	}
	_ = json.Unmarshal(body, &f.object) // of anything but an object: nil
	f.walk(value, 1)
	return f, true
}

func (f *jsonFacts) walk(value any, depth int) {
	text := func(s string) { f.oddity = f.oddity || strings.ContainsAny(s, "\x00\ufffd") }
	switch v := value.(type) {
	case string:
		text(v)
	case []any:
		f.depth = max(f.depth, depth)
		for _, item := range v {
			f.walk(item, depth+1)
		}
	case map[string]any:
		f.depth = max(f.depth, depth)
		f.names += len(v)
		for name, item := range v {
			text(name)
			f.walk(item, depth+1)
		}
	}
}

// writtenMembers counts the members of a valid body, repeated ones too: each has
// a colon outside the texts.
func writtenMembers(body []byte) (n int) {
	inText := false
	for i := 0; i < len(body); i++ {
		switch {
		case inText && body[i] == '\\':
			i++
		case body[i] == '"':
			inText = !inText
		case body[i] == ':' && !inText:
			n++
		}
	}
	return n
}

// seeds are bodies on either side of what is accepted.
var seeds = []string{
	``, ` `, `{}`, ` { } `, `null`, `[]`, `"x"`, `1`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}{}`, `{"a":1} x`, "{\"a\":1}\x00",
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":{"b":1,"b":1}}`, `[{"a":[{"b":1,"b":1}]}]`, `{"a":"a","b":"a"}`, `{"a":{"a":{"a":1}}}`,
	`{"a":["b","b"],"b":["a"]}`, `{"a":"\"a\":1,\"a\":2"}`, `{"\\":1,"\"":2}`, `{"":1,"":2}`, `{"a":"\\u0000"}`, `{"a":"\u0000"}`, `{"\u0000":1}`,
	`{"a":"\ud83d\ude00"}`, `{"a":"\ud83d"}`, `{"a":"\ude00\ud83d"}`, `{"a":"\ud83d\u0041"}`, `{"a":"\uD83D\uDE00\uDE00"}`, `{"a":"\ud83d\\ude00"}`,
	`{"a":"\ufffd"}`, `{"a":"\u00"}`, `{"a":"\u00zz"}`, `{"a":"\x"}`, `{"a":"\`, "{\"a\":\"\xff\"}", "{\"\xc0\x80\":1}", "{\"a\":\"\x00\"}", "{\"a\":\"\n\"}",
	"\xef\xbb\xbf{}", `{"a":-0,"b":1e400,"c":0.1}`, `{"a":01}`, `{"a":+1}`, `{"a":NaN}`, `{'a':1}`, `{"a":1/**/}`,
	strings.Repeat(`[`, 32) + strings.Repeat(`]`, 32), strings.Repeat(`{"a":`, 32) + `1` + strings.Repeat(`}`, 32),
	strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat(`}`, 33), strings.Repeat(`[`, 20_000), `{"a":"[[[[{{{{"}`,
}

func addSeeds(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
}

func FuzzReadObject(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		sent := slices.Clone(body)
		got, err := readObject(requestWith(t, body))
		facts, valid := factsOf(sent)
		if err != nil {
			var known *services.Error
			if !errors.As(err, &known) || known.Code != services.CodeMalformed || known.Message == "" || len(known.Message) > 400 {
				t.Fatalf("%q: refused with %v", sent, err)
			}
			if valid && facts.object != nil && utf8.Valid(sent) && !facts.oddity && facts.depth <= maxDepth && facts.names == writtenMembers(sent) {
				t.Fatalf("%q: refused without need: %v", sent, err)
			}
			return
		}
		if !valid || facts.object == nil {
			t.Fatalf("%q: accepted; encoding/json takes it for no object", sent)
		}
		if !maps.EqualFunc(got, facts.object, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%q: read as %q; encoding/json has %q", sent, got, facts.object)
		}
		if n := writtenMembers(sent); n != facts.names {
			t.Fatalf("%q: accepted with %d members, %d of them different", sent, n, facts.names)
		}
		// Only a U+FFFD that was sent as such is no sign of something replaced.
		replaced := facts.oddity && !bytes.ContainsRune(sent, '\ufffd') && !bytes.Contains(bytes.ToLower(sent), []byte(`\ufffd`))
		if facts.depth > maxDepth || replaced || !utf8.Valid(sent) {
			t.Fatalf("%q: accepted at depth %d", sent, facts.depth)
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("%q: cannot be written again: %v", sent, err)
		}
		again, err := readObject(requestWith(t, written))
		if err != nil || len(again) != len(got) || !reflect.DeepEqual(view(t, written), view(t, sent)) {
			t.Fatalf("%q: written again as %q, read as %q, %v", sent, written, again, err)
		}
	})
}

func FuzzScan(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		if scan(body) != nil {
			return
		}
		facts, valid := factsOf(body)
		if !valid || !utf8.Valid(body) || facts.depth > maxDepth {
			t.Fatalf("%q: passed, at depth %d", body, facts.depth)
		}
		if _, err := splitMembers(body); (err == nil) != (facts.names == writtenMembers(body)) {
			t.Fatalf("%q: %d members, %d of them different, and %v", body, writtenMembers(body), facts.names, err)
		}
	})
}

func TestReadObject_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"":                             "The request has no body; send a JSON object.",
		" \n":                          "The request has no body; send a JSON object.",
		"null":                         "JSON parse error: the body must be an object.",
		`["a"]`:                        "JSON parse error: the body must be an object.",
		"{\"a\":\"\xff\"}":             "JSON parse error: the body is not valid UTF-8.",
		`{"a":"\u0000"}`:               "JSON parse error: a text contains a NUL character.",
		`{"a":"\udc00"}`:               "JSON parse error: a text contains half a surrogate pair.",
		`{"a":1,"b":{"c":1,"c":2}}`:    `JSON parse error: the member "c" is there twice.`,
		strings.Repeat("[", 33):        "JSON parse error: nested deeper than 32 levels.",
		"{\n  \"a\": 1,\n  \"b\" 2\n}": "JSON parse error: invalid character '2' after object key (line 3, column 7).",
		`{"a":1} {"b":2}`:              "JSON parse error: invalid character '{' after top-level value (line 1, column 9).",
		`{"a":"x` + "\t" + `y"}`:       `JSON parse error: invalid character '\t' in string literal (line 1, column 8).`,
	} {
		_, err := readObject(requestWith(t, []byte(body)))
		var known *services.Error
		if !errors.As(err, &known) || known.Code != services.CodeMalformed || known.Message != want {
			t.Errorf("%q: %v; want %q", body, err, want)
		}
	}
}
