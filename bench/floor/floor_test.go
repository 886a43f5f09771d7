package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAppendTime_IsRFC3339(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2026-11-22T07:48:06.56Z", "2016-10-18T19:12:01Z", "0001-01-01T00:00:00.000001Z", "9998-12-31T23:59:59.999999Z"} {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendTime(nil, at.UnixMicro())); got != `"`+text+`"` {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	if got := string(appendTime(nil, nil)); got != "null" {
		t.Errorf("no time is %s", got)
	}
}

func TestAppendText_IsJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", `quoted "so" \ and`, "Zoë\n\x00\u2028", "<&>"} {
		var got string
		if err := json.Unmarshal(appendText(nil, text), &got); err != nil || got != text {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

func TestPatch_SetsWhatIsThere(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		set  members
		args []any
	}{
		`{}`:                            {0, []any{int64(7)}},
		`{"title":"New","due_to":null}`: {setTitle | setDueTo, []any{"New", nil, int64(7)}},
		`{"done":true}`:                 {setDone, []any{true, true, true, int64(7), int64(7)}},
		`{"due_to":"1970-01-01T01:00:00.5+01:00","tags":["a"],"visibility":"private","priority":4,"description":""}`: {
			setDescription | setDueTo | setPriority | setTags | setPrivate, []any{"", int64(500_000), int64(4), `["a"]`, true, int64(7)},
		},
	} {
		var p patch
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(err)
		}
		set, args, err := p.arguments(7)
		if err != nil || set != want.set || !reflect.DeepEqual(args, want.args) {
			t.Errorf("%s: %b, %v, %v; want %b, %v", body, set, args, err, want.set, want.args)
		}
		if n := strings.Count(set.update(), "?"); n != len(args)+3 {
			t.Errorf("%s: %d placeholders for %d arguments", body, n, len(args)+3)
		}
	}
	for _, body := range []string{`{"title":""}`, `{"priority":5}`, `{"due_to":"tomorrow"}`} {
		var p patch
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.arguments(7); err == nil {
			t.Errorf("%s is taken", body)
		}
	}
}
