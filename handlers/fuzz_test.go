package handlers

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dueto/models"
	"dueto/services"
)

// wantRefusal checks that a client is told what is wrong, and gives the
// complaints.
func wantRefusal(t *testing.T, what any, err error) *services.Error {
	t.Helper()
	var known *services.Error
	if !errors.As(err, &known) || (known.Code != services.CodeMalformed && known.Code != services.CodeInvalid) || known.Message == "" {
		t.Fatalf("%q: refused with %v", what, err)
	}
	if (known.Code == services.CodeInvalid) != (len(known.Fields) > 0) {
		t.Fatalf("%q: %s with complaints about %v", what, known.Code, known.Fields)
	}
	for name, complaints := range known.Fields {
		if len(complaints) == 0 || slices.Contains(complaints, "") {
			t.Fatalf("%q: %q is complained of by %q", what, name, complaints)
		}
	}
	return known
}

// taskFits tells, member by member, what a task takes, without the code that
// says so to clients.
var taskFits = map[string]func(json.RawMessage) bool{
	"title":       func(raw json.RawMessage) bool { return textFits(raw, strings.TrimSpace, 1, 100) },
	"description": func(raw json.RawMessage) bool { return textFits(raw, strings.Clone, 0, 10_000) },
	"done":        func(raw json.RawMessage) bool { return !isNull(raw) && json.Unmarshal(raw, new(bool)) == nil },
	"priority":    func(raw json.RawMessage) bool { return numberFits(raw, 0, 4) },
	"person":      func(raw json.RawMessage) bool { return isNull(raw) || numberFits(raw, 1, maxID) },
	"visibility":  func(raw json.RawMessage) bool { return textIs(raw, "public") || textIs(raw, "private") },
	"due_to": func(raw json.RawMessage) bool {
		var s string
		fits := json.Unmarshal(raw, &s) == nil
		if fits {
			_, fits = strictTime(s)
		}
		return isNull(raw) || fits
	},
	"tags": func(raw json.RawMessage) bool {
		var tags []json.RawMessage
		return !isNull(raw) && json.Unmarshal(raw, &tags) == nil && len(tags) <= 20 && !slices.ContainsFunc(tags, func(tag json.RawMessage) bool {
			return !textFits(tag, strings.TrimSpace, 1, 50)
		})
	},
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func textIs(raw json.RawMessage, want string) bool {
	var s string
	return json.Unmarshal(raw, &s) == nil && s == want
}

func textFits(raw json.RawMessage, clean func(string) string, low, high int) bool {
	var s string
	n := func() int { return utf8.RuneCountInString(clean(s)) }
	return !isNull(raw) && json.Unmarshal(raw, &s) == nil && n() >= low && n() <= high
}

func numberFits(raw json.RawMessage, low, high int64) bool {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	return err == nil && n >= low && n <= high
}

func FuzzTaskBody(f *testing.F) {
	for _, s := range []string{
		`{"title":" a "}`, `{}`, `{"title":null}`, `{"title":""}`, `{"title":"\u00a0"}`, `{"titel":"a"}`, `{"id":7,"url":"x","title":"a"}`,
		`{"title":"a","description":"b","due_to":"2026-10-18T19:12:01.5+02:00","done":true,"priority":4,"tags":["x"," x ","y"],"visibility":"private","person":1}`,
		`{"title":"a","due_to":null,"person":null}`, `{"title":"a","tags":[null]}`, `{"title":"a","tags":["",1]}`, `{"title":"a","priority":5}`, `{"title":"a","priority":-1,"person":0}`,
		`{"title":"a","priority":1.0}`, `{"title":"a","priority":-0}`, `{"title":"a","person":9223372036854775808}`, `{"title":"a","visibility":"Public"}`,
		`{"title":"` + strings.Repeat("é", 101) + `"}`, `{"title":1,"done":"yes","tags":"x"}`, `{"title":"a","due_to":"2026-10-18"}`,
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, partial bool) {
		sent, unreadable := readObject(requestWith(t, slices.Clone(body)))
		req, err := bindTask(requestWith(t, slices.Clone(body)), partial, nil)
		if unreadable != nil {
			if err == nil || err.Error() != unreadable.Error() {
				t.Fatalf("%q: %v; but %v", body, err, unreadable)
			}
			return
		}
		wrong := map[string]bool{}
		for name, raw := range sent {
			if fits, known := taskFits[name]; (known && !fits(raw)) || (!known && !slices.Contains(taskMemberNames, name)) {
				wrong[clip(name)] = true
			}
		}
		if _, ok := sent["title"]; !ok && !partial {
			wrong["title"] = true
		}
		if err != nil {
			known := wantRefusal(t, body, err)
			for name := range known.Fields {
				if !wrong[name] {
					t.Fatalf("%q: refused for %q without need: %v", body, name, known.Fields)
				}
			}
			if len(known.Fields) < min(len(wrong), 40) {
				t.Fatalf("%q: complaints of %v only, not of all in %v", body, known.Fields, wrong)
			}
			return
		}
		if len(wrong) > 0 {
			t.Fatalf("%q: accepted with bad %v", body, wrong)
		}
		again := taskJSON(t, req)
		back, err := bindTask(requestWith(t, again), true, nil)
		if err != nil || !reflect.DeepEqual(back, req) {
			t.Fatalf("%q: read as %+v; written as %q and read again as %+v, %v", body, req, again, back, err)
		}
	})
}

// taskJSON writes what was read of a body.
func taskJSON(t *testing.T, r *taskRequest) []byte {
	t.Helper()
	members := map[string]any{}
	set := func(name string, is, null bool, value any) {
		if null {
			value = nil
		}
		if is {
			members[name] = value
		}
	}
	set("title", r.Title.Set, r.Title.Null, r.Title.Value)
	set("description", r.Description.Set, r.Description.Null, r.Description.Value)
	set("due_to", r.DueTo.Set, r.DueTo.Null, json.RawMessage(appendMoment(nil, momentOf(models.Micros(r.DueTo.Value.Time)))))
	set("done", r.Done.Set, r.Done.Null, r.Done.Value)
	set("priority", r.Priority.Set, r.Priority.Null, r.Priority.Value)
	set("tags", r.Tags.Set, r.Tags.Null, r.Tags.Value)
	set("visibility", r.Visibility.Set, r.Visibility.Null, r.Visibility.Value)
	set("person", r.Person.Set, r.Person.Null, r.Person.Value)
	b, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// strictTime reads a time of RFC 3339, 5.6, through Go's parser: what that
// passes and is not the same when it is printed was not of the grammar.
func strictTime(s string) (time.Time, bool) {
	s = strings.NewReplacer("t", "T", "z", "Z").Replace(s)
	at, err := time.Parse(time.RFC3339, s)
	whole := s
	if len(s) > 19 && s[19] == '.' {
		whole = s[:19] + strings.TrimLeft(s[20:], "0123456789")
	}
	if zone, utc := strings.CutSuffix(whole, "Z"); utc {
		whole = zone + "+00:00"
	} else if zone, utc := strings.CutSuffix(whole, "-00:00"); utc {
		whole = zone + "+00:00"
	}
	_, offset := at.Zone()
	inRange := at.UTC().Year() >= 1 && at.UTC().Year() <= 9998 && max(offset, -offset) < 24*60*60
	return at.UTC().Truncate(time.Microsecond), err == nil && inRange && at.Format("2006-01-02T15:04:05-07:00") == whole
}

func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{
		"2026-10-18T19:12:01Z", "2026-10-18t19:12:01.123456789z", "2026-10-18T19:12:01.000001+05:30", "2026-10-18T19:12:01-00:00", "2026-10-18T19:12:01",
		"2026-10-18 19:12:01Z", "2026-10-18T19:12:60Z", "2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01",
		"9998-12-31T23:59:59.9999999Z", "9998-12-31T23:59:59-00:01", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "2026-10-18T9:12:01Z", "2026-10-18T19:12:01,5Z",
		"2026-10-18T19:12:01.Z", "2026-10-18T19:12:01+24:00", "2026-10-18T19:12:01+23:59", "2026-10-18T19:12:01+0200", "2026-10-18T24:00:00Z", "20261018T191201Z",
		"+2026-10-18T19:12:01Z", "2026-10-18T19:12:01Z ", "", "Z", "２026-10-18T19:12:01Z",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got timestamp
		err := got.parse(s)
		want, fits := strictTime(s)
		if (err == nil) != fits {
			t.Fatalf("%q: read as %v, %v; want it taken: %t", s, got, err, fits)
		}
		quoted, _ := json.Marshal(s)
		var inBody timestamp
		if errBody := json.Unmarshal(quoted, &inBody); utf8.ValidString(s) && ((errBody == nil) != fits || inBody != got) {
			t.Fatalf("%q: read as %v, %v; in a body as %v, %v", s, got, err, inBody, errBody)
		}
		if err != nil {
			return
		}
		if !got.Equal(want) || got.Location() != time.UTC {
			t.Fatalf("%q: read as %v, want %v", s, got, want)
		}
		printed := appendMoment(nil, momentOf(models.Micros(got.Time)))
		var back timestamp
		if err := json.Unmarshal(printed, &back); err != nil || back != got {
			t.Fatalf("%q: printed as %s and read again as %v, %v", s, printed, back, err)
		}
	})
}

func FuzzMoment(f *testing.F) {
	for _, micros := range []int64{0, 1, -1, 500_000, -999_999, firstMoment, firstMoment + 1, lastMoment, lastMoment - 1, 951_782_400_000_000, 1_792_351_921_000_010} {
		f.Add(micros, int16(0))
		f.Add(micros, int16(-23*60-59))
		f.Add(micros, int16(330))
	}
	f.Fuzz(func(t *testing.T, micros int64, minutes int16) {
		if micros < firstMoment || micros > lastMoment {
			return
		}
		at := time.UnixMicro(micros).UTC()
		printed := appendMoment([]byte("x"), momentOf(micros))
		if want := `x"` + at.Format(time.RFC3339Nano) + `"`; string(printed) != want {
			t.Fatalf("%d: printed as %s, want %s", micros, printed, want)
		}
		local := at.In(time.FixedZone("", int(minutes)%(24*60)*60))
		if local.Year() < 0 || local.Year() > 9999 {
			return
		}
		for _, text := range []string{at.Format(time.RFC3339Nano), local.Format("2006-01-02T15:04:05.999999999-07:00")} {
			var back timestamp
			if err := back.parse(text); err != nil || models.Micros(back.Time) != micros {
				t.Fatalf("%d: %s was read as %v, %v", micros, text, back, err)
			}
		}
	})
}

const maxID = 1<<63 - 1
