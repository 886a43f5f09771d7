package web

import (
	"bytes"
	"encoding/json"
	"html/template"
	neturl "net/url"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"dueto/openapi"
)

func TestShellWord_IsReadBackByAShell(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"http://127.0.0.1:8000/tasks", "a b", "it's", "''", "'", `"`, `\`, "$HOME", "$(id)", "`id`", "a;b", "a&b", "a|b", "!x", "~", "~root", "#x", "*", "?", "[a]", "{a,b}",
		"-n", "line\nline", "tab\t", "ü€", "%20", "<>", "(x)", "a?b=c&d=%PATH%", "^a", "\x00",
	} {
		url := "http://dueto.test/" + text
		escaped := escapeURL(url)
		got, err := exec.Command("sh", "-c", "printf %s "+shellWord(escaped)).Output()
		if err != nil || string(got) != escaped {
			t.Errorf("%q is quoted as %s, and read as %q: %v", text, shellWord(escaped), got, err)
		}
		if meant, err := neturl.PathUnescape(escaped); err == nil && !strings.Contains(text, "%") && meant != url {
			t.Errorf("%q stands for %q", escaped, meant)
		}
	}
}

func TestEscapeURL_LeavesNothingThatAShellReadsOtherwise(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"a=1&b=%20+c": "a=1&b=%20+c", "a b": "a%20b", "<>\"": "%3C%3E%22", "[1-3]{a,b}": "%5B1-3%5D%7Ba,b%7D", "ü": "%C3%BC", "\xff\x00\n": "%FF%00%0A",
		`\|^` + "`": "%5C%7C%5E%60", "it's": "it%27s", "%zz": "%zz", "$(id)!;*#": "%24%28id%29%21%3B%2A%23", "-._~/:?=&%+,@": "-._~/:?=&%+,@",
	} {
		if got := escapeURL(raw); got != want {
			t.Errorf("%q becomes %q, want %q", raw, got, want)
		}
	}
}

// pieces gives the text of what was marked up, and its elements.
func pieces(t *testing.T, markup template.HTML) (text string, elements []piece) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(string(markup)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
		case n.Data == "a", n.Data == "span":
			made := piece{element: n.Data}
			for _, a := range n.Attr {
				switch a.Key {
				case "class":
					made.class = a.Val
				case "href":
					made.href = a.Val
				default:
					t.Errorf("%s has the attribute %s", n.Data, a.Key)
				}
			}
			if n.FirstChild != nil {
				made.text = n.FirstChild.Data
			}
			elements = append(elements, made)
		case n.Type == html.ElementNode && n.Data != "html" && n.Data != "head" && n.Data != "body":
			t.Errorf("%s has a %s", markup, n.Data)
		}
	}
	return b.String(), elements
}

type piece struct{ element, class, text, href string }

func TestHighlight_MarksButChangesNothing(t *testing.T) {
	t.Parallel()
	p := NewPages(NewAssets(), "http://dueto.test/api")
	for _, body := range []string{
		`{}`, `[]`, `null`, `"x"`, `-1.5e+10`, `true`, `{"a":[1,2,{"b":"c\"d\\"}],"e":null,"f":false,"":"","g":"{[:,]}"}`, `{"a":"\u003cb\u003e\ud83d\ude00","b":"ü\u2028"}`,
		"[12345678901234567890,1.0,1e5]", `[[],[[]],{}]`, "\"a:b\"\n", `{"url":"http://dueto.test/api/tasks/1"}`,
		`{"<b>":"</code></pre><script>alert(1)</script>","'":"<img src=x onerror=alert(1)>","&amp;":"&lt;"}`, `["http://dueto.test/api/x?a='&b=%22","http://dueto.test/api/\" onclick=\"x"]`,
	} {
		var want bytes.Buffer
		if err := json.Indent(&want, bytes.TrimSpace([]byte(body)), "", "  "); err != nil {
			t.Fatal(err)
		}
		text, elements := pieces(t, p.highlight([]byte(body)))
		if text != want.String() {
			t.Errorf("%s is shown as %s", body, text)
		}
		for _, made := range elements {
			if !json.Valid([]byte(made.text)) {
				t.Errorf("%s has the piece %q of class %s", body, made.text, made.class)
			}
		}
	}
	_, elements := pieces(t, p.highlight([]byte(`{"k":["s",1,true,"http://dueto.test/api/tasks?a='b'\u0026c=1","http://dueto.test/api/\""]}`)))
	want := []piece{
		{"span", "key", `"k"`, ""}, {"span", "string", `"s"`, ""}, {"span", "number", "1", ""}, {"span", "word", "true", ""},
		{"a", "string", `"http://dueto.test/api/tasks?a='b'\u0026c=1"`, "/api/tasks?a='b'&c=1"}, {"span", "string", `"http://dueto.test/api/\""`, ""},
	}
	if !reflect.DeepEqual(elements, want) {
		t.Errorf("the pieces are %+v, want %+v", elements, want)
	}
	if got := p.highlight([]byte("{not JSON<\xff")); got != "{not JSON&lt;\ufffd" {
		t.Errorf("what is no JSON is shown as %s", got)
	}
}

func TestCut_EndsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for before := range 4 {
		body := []byte(strings.Repeat("x", maxShown-before) + "\U0001f600")
		beginning, long := cut(body)
		switch {
		case !long:
			t.Errorf("%d bytes are shown whole", len(body))
		case !bytes.Equal(beginning, body[:maxShown-before]):
			t.Errorf("%d bytes are cut to %d", len(body), len(beginning))
		}
	}
	if beginning, long := cut(make([]byte, maxShown)); long || len(beginning) != maxShown {
		t.Errorf("what fits is cut to %d bytes", len(beginning))
	}
}

func TestLocal_TakesOwnURLsOnly(t *testing.T) {
	t.Parallel()
	for site, prefix := range map[string]string{"https://dueto.test": "", "https://dueto.test/a%20b": "/a%20b"} {
		p := NewPages(NewAssets(), site)
		for rest, want := range map[string]string{
			"": "/", "/": "/", "/tasks": "/tasks", "/tasks?a=b&c=%20#d": "/tasks?a=b&c=%20#d", "x": "", "//evil": "", `/\evil`: "", "/\t/evil": "", "/ü": "", "/a b": "", "/a\\b": "",
			":8000/": "", "@evil/": "", ".evil/": "",
		} {
			if want != "" {
				want = prefix + want
			}
			if got := p.local(site + rest); got != want {
				t.Errorf("%q leads to %q, want %q", site+rest, got, want)
			}
		}
		for _, other := range []string{"", "/tasks", "http://dueto.test/tasks", "javascript:alert(1)", "https://DUETO.test/tasks", " " + site + "/"} {
			if got := p.local(other); got != "" {
				t.Errorf("%q leads to %q", other, got)
			}
		}
	}
}

func TestNewForm_MakesAFieldOfEachKindOfSchema(t *testing.T) {
	t.Parallel()
	types := func(list ...string) openapi.Types { return list }
	body := &openapi.Schema{Type: types(openapi.Object), Required: []string{"title"}, Properties: openapi.Properties{
		{Name: "id", Schema: &openapi.Schema{Type: types(openapi.Integer), ReadOnly: true}},
		{Name: "title", Schema: &openapi.Schema{Type: types(openapi.String), MinLength: new(int64(1)), MaxLength: new(int64(100))}},
		{Name: "text", Schema: &openapi.Schema{Title: "Words", Type: types(openapi.String), MaxLength: new(int64(201))}},
		{Name: "due_to", Schema: &openapi.Schema{Type: types(openapi.String, openapi.Null), Format: "date-time"}},
		{Name: "level", Schema: &openapi.Schema{Type: types(openapi.Integer), Minimum: new(int64(0)), Maximum: new(int64(4)), Default: 2}},
		{Name: "done", Schema: &openapi.Schema{Type: types(openapi.Boolean)}},
		{Name: "seen", Schema: &openapi.Schema{Type: types(openapi.String, openapi.Null), Enum: []any{"a", "b", nil}}},
		{Name: "tags", Schema: &openapi.Schema{Type: types(openapi.Array), MaxItems: new(int64(20)), Items: &openapi.Schema{Type: types(openapi.String)}}},
		{Name: "ids", Schema: &openapi.Schema{Type: types(openapi.Array), Items: &openapi.Schema{Type: types(openapi.Integer)}}},
		{Name: "rest", Schema: &openapi.Schema{Type: types(openapi.Object)}},
		{Name: "password", Schema: &openapi.Schema{Type: types(openapi.String), Format: "password"}},
		{Name: "key", Schema: &openapi.Schema{Type: types(openapi.String), MinLength: new(int64(1))}},
		{Name: "mark", Schema: &openapi.Schema{Type: types(openapi.String), MinLength: new(int64(0)), MaxLength: new(int64(1))}},
		{Name: "phrase", Schema: &openapi.Schema{Type: types(openapi.String), MinLength: new(int64(8))}},
	}}
	object := map[string]json.RawMessage{}
	const shown = `{"id":1,"title":"a\nb","text":"<b>","due_to":null,"level":0,"done":false,"seen":"b","tags":["x","y z"],"ids":[1,9223372036854775807],"rest":{"a":[1]}}`
	if err := json.Unmarshal([]byte(shown), &object); err != nil {
		t.Fatal(err)
	}
	type brief struct {
		kind, element, value string
		null                 bool
	}
	briefs := func(v formView) map[string]brief {
		found := map[string]brief{}
		for _, f := range v.Fields {
			b := brief{f.Kind, f.Type, f.Value, f.Null}
			switch {
			case len(f.Options) > 0:
				b.element, b.value = "select", "nothing"
				for _, o := range f.Options {
					if o.Selected {
						b.value = o.Value
					}
				}
			case f.Rows > 0:
				b.element = "textarea"
			}
			found[f.Name] = b
		}
		return found
	}
	changed := newForm(Form{Method: "PATCH", Body: body}, "/things/1", `"v1"`, object)
	want := map[string]brief{
		"title": {"text", "textarea", "a\nb", false}, "text": {"text", "textarea", "<b>", false}, "due_to": {"time", "text", "", true}, "level": {"integer", "number", "0", false},
		"done": {"boolean", "select", "false", false}, "seen": {"text", "select", "b", false}, "tags": {"texts", "textarea", "x\ny z", false},
		"ids": {"integers", "textarea", "1\n9223372036854775807", false}, "rest": {"json", "textarea", `{"a":[1]}`, false}, "password": {"text", "password", "", false},
		"key": {"text", "text", "", false}, "mark": {"text", "text", "", false}, "phrase": {"text", "text", "", false},
	}
	if got := briefs(changed); !reflect.DeepEqual(got, want) || changed.ETag != `"v1"` {
		t.Errorf("PATCH has %v, want %v", got, want)
	}
	made := newForm(Form{Method: "POST", Body: body}, "/things", "", object)
	fresh := map[string]brief{
		"title": {"text", "text", "", false}, "text": {"text", "textarea", "", false}, "due_to": {"time", "text", "", false}, "level": {"integer", "number", "", false},
		"done": {"boolean", "select", "", false}, "seen": {"text", "select", "", false}, "tags": {"texts", "textarea", "", false},
		"ids": {"integers", "textarea", "", false}, "rest": {"json", "textarea", "", false}, "password": {"text", "password", "", false},
		"key": {"text", "text", "", false}, "mark": {"text", "text", "", false}, "phrase": {"text", "text", "", false},
	}
	if got := briefs(made); !reflect.DeepEqual(got, fresh) {
		t.Errorf("POST has %v, want %v", got, fresh)
	}
	help := map[string]string{}
	for _, f := range made.Fields {
		help[f.Label] = strings.Join(f.Help, " ")
	}
	for label, want := range map[string]string{
		"Title": "1 to 100 characters.", "Text": "Up to 201 characters.", "Level": "0 to 4. By default 2.", "Tags": "One a line, at most 20.", "Ids": "One a line.", "Rest": "As JSON.",
		"Password": "", "Due to": "A time with an offset, such as 2026-10-18T19:12:01Z.", "Seen": "", "Done": "",
		"Key": "At least 1 character.", "Mark": "0 to 1 character.", "Phrase": "At least 8 characters.",
	} {
		if got, ok := help[label]; !ok || got != want {
			t.Errorf("%s is explained as %q, want %q", label, got, want)
		}
	}
}
