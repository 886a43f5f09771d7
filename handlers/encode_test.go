package handlers

import (
	"database/sql"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dueto/models"
	"dueto/services"
)

var (
	firstMoment = models.Micros(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	lastMoment  = models.Micros(time.Date(9998, 12, 31, 23, 59, 59, 999_999_000, time.UTC))
)

// values makes random values, the awkward ones often.
type values struct{ *rand.Rand }

func newValues() values { return values{rand.New(rand.NewPCG(20, 26))} }

// everyControl holds all the characters that JSON has escapes for, and their
// neighbours.
var everyControl = func() string {
	var b strings.Builder
	for r := range rune(0xA1) {
		b.WriteRune(r)
	}
	return b.String()
}()

func (v values) text() string {
	pieces := []string{
		"", "plain", everyControl, "\u2028\u2029", "</script>&amp;", `"\`, "\xff\xfe", "a\xc0\x80b", "\xed\xa0\x80", "\xf0\x9f\x98", "😀", "\ufffd",
		"e\u0301", "\u202e", string(rune(v.IntN(utf8.MaxRune + 1))), string([]byte{byte(v.IntN(256)), byte(v.IntN(256)), byte(v.IntN(256))}),
	}
	var b strings.Builder
	for range v.IntN(4) {
		b.WriteString(pieces[v.IntN(len(pieces))])
	}
	return b.String()
}

func (v values) micros() int64 {
	m := firstMoment + v.Int64N(lastMoment-firstMoment)
	unit := []int64{1, 10, 100, 1_000, 100_000, 1_000_000, 3_600_000_000}[v.IntN(7)]
	return max(firstMoment, m-m%unit)
}

func (v values) id() int64 {
	return []int64{1, 9, 10, v.Int64N(1 << 40), math.MaxInt64}[v.IntN(5)]
}

func (v values) bool() bool { return v.IntN(2) == 0 }

func (v values) null(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: v.IntN(3) > 0} }

// column makes a list of words, and the way it is stored.
func (v values) column() (words []string, column string) {
	words = []string{}
	for range v.IntN(4) {
		words = append(words, strings.ToValidUTF8(v.text(), "?"))
	}
	b, _ := json.Marshal(words)
	return words, string(b)
}

// view gives what a JSON parser reads in a text.
func view(t *testing.T, b []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber() // a float would lose the greatest ids
	if err := d.Decode(&v); err != nil || !json.Valid(b) || !utf8.Valid(b) {
		t.Fatalf("%q is no JSON: %v", b, err)
	}
	return v
}

// wantView checks an object against the same members through encoding/json.
func wantView(t *testing.T, got []byte, members map[string]any) {
	t.Helper()
	want, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(view(t, got), view(t, want)) {
		t.Fatalf("wrote\n%q; encoding/json has\n%q", got, want)
	}
	if n := writtenMembers(got); n != len(members) {
		t.Fatalf("%q has %d members, want %d", got, n, len(members))
	}
}

func stamp(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano) }

func orNull[T any](n sql.NullInt64, convert func(int64) T) any {
	if !n.Valid {
		return nil
	}
	return convert(n.Int64)
}

func same(n int64) int64 { return n }

func TestTaskMembers_AreWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	v := newValues()
	for range 2000 {
		tags, column := v.column()
		task := models.Task{
			ID: v.id(), Title: v.text(), Description: v.text(), DueTo: v.null(v.micros()), Done: v.bool(), DoneAt: v.null(v.micros()),
			Priority: v.Int64N(5), Tags: column, Private: v.bool(), PersonID: v.null(v.id()), CreatedBy: v.null(v.id()),
			CreatedAt: v.micros(), UpdatedAt: v.micros(), Version: v.id(),
		}
		base := []string{"http://dueto.test", "https://dueto.test/a/b"}[v.IntN(2)]
		wantView(t, appendObject(nil, &taskView{&task, base}, taskMembers), map[string]any{
			"id": task.ID, "url": base + "/tasks/" + strconv.FormatInt(task.ID, 10), "title": task.Title,
			"description": task.Description, "due_to": orNull(task.DueTo, stamp), "done": task.Done,
			"done_at": orNull(task.DoneAt, stamp), "priority": task.Priority, "tags": tags,
			"visibility": map[bool]string{false: "public", true: "private"}[task.Private],
			"person":     orNull(task.PersonID, same), "created_by": orNull(task.CreatedBy, same),
			"created_at": stamp(task.CreatedAt), "updated_at": stamp(task.UpdatedAt),
		})
	}
}

func TestUserMembers_AreWhatEncodingJSONWrites(t *testing.T) {
	t.Parallel()
	v := newValues()
	for range 2000 {
		permissions, column := v.column()
		user := models.User{
			ID: v.id(), Username: v.text(), UsernameKey: "secret", Email: v.text(), EmailKey: "secret", PasswordHash: "secret",
			IsStaff: v.bool(), Permissions: column, TimeZone: v.text(), DateJoined: v.micros(),
			ActivatedAt: v.null(v.micros()), DisabledAt: v.null(v.micros()), LastLogin: v.null(v.micros()),
		}
		newest := []int64{}
		for range v.IntN(3) {
			newest = append(newest, v.id())
		}
		u := &userView{
			UserView: services.UserView{User: user, Tasks: models.TaskSummary{Count: v.id(), Newest: newest}, Private: v.bool()},
			base:     []string{"http://dueto.test", `http://dueto.test/"\`}[v.IntN(2)], confirmation: v.text(),
		}
		id := strconv.FormatInt(user.ID, 10)
		want := map[string]any{
			"id": user.ID, "url": u.base + "/users/" + id, "username": user.Username, "date_joined": stamp(user.DateJoined),
			"task_count": u.Tasks.Count, "tasks": newest, "tasks_url": u.base + "/tasks?person=" + id,
		}
		wantView(t, appendObject(nil, u, publicUserMembers), want)
		maps.Copy(want, map[string]any{
			"email": user.Email, "is_active": user.ActivatedAt.Valid && !user.DisabledAt.Valid, "is_staff": user.IsStaff,
			"pending_email": nil, "permissions": permissions, "last_login": orNull(user.LastLogin, stamp), "time_zone": user.TimeZone,
		})
		wantView(t, appendObject(nil, u, userMembers), want)
		want["confirmation_url"] = u.confirmation
		wantView(t, appendObject(nil, u, registeredMembers), want)
	}
}

func TestAppendList_IsAnArrayOfTheRows(t *testing.T) {
	t.Parallel()
	number := keyed([]member[int64]{{name: "n", append: func(b []byte, n *int64) []byte { return strconv.AppendInt(b, *n, 10) }}})
	write := func(rows ...int64) string {
		return string(appendList([]byte(">"), rows, func(n *int64) int64 { return -*n }, func(*int64) []member[int64] { return number }))
	}
	for _, c := range []struct{ got, want string }{
		{write(), ">[]"},
		{write(1), `>[{"n":-1}]`},
		{write(1, 2, 3), `>[{"n":-1},{"n":-2},{"n":-3}]`},
		{string(appendIDs(nil, nil)), "[]"},
		{string(appendIDs(nil, []int64{1, math.MaxInt64})), "[1,9223372036854775807]"},
		{string(appendObject(nil, new(int64), []member[int64]{})), "{}"},
	} {
		if c.got != c.want {
			t.Errorf("wrote %s; want %s", c.got, c.want)
		}
	}
}

func TestAppendMoment_IsRFC3339InUTC(t *testing.T) {
	t.Parallel()
	check := func(micros int64) {
		t.Helper()
		want := strconv.Quote(stamp(micros))
		if got := string(appendMoment(nil, momentOf(micros))); got != want {
			t.Fatalf("%d: wrote %s, want %s", micros, got, want)
		}
	}
	for _, at := range []int64{
		firstMoment, firstMoment + 1, lastMoment, lastMoment - 1, 0, 1, -1, 10, -10, 999_999, -999_999, 1_000_000, 100_000, 120_000, 123_456,
		models.Micros(time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC)), models.Micros(time.Date(999, 12, 31, 0, 0, 0, 0, time.UTC)),
		models.Micros(time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC)), models.Micros(time.Date(1900, 2, 28, 24, 0, 0, 0, time.UTC)),
	} {
		check(at)
	}
	v := newValues()
	for range 20_000 {
		check(v.micros())
	}
	for _, absent := range []moment{{}, {Int64: 5}} {
		if got := string(appendMoment(nil, absent)); got != "null" {
			t.Errorf("an absent time is %s", got)
		}
	}
	if got := string(appendMoment(nil, momentOf(1_500_000))); got != `"1970-01-01T00:00:01.5Z"` {
		t.Errorf("a second and a half is %s", got)
	}
	for want, r := range map[string]reference{"null": {}, "7": {Int64: 7, Valid: true}} {
		if got := string(appendReference(nil, r)); got != want {
			t.Errorf("a reference is %s, want %s", got, want)
		}
	}
}

// What the server writes it takes back: a client's GET, edit, PUT.
func TestTimestamp_ReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	v := newValues()
	for range 20_000 {
		micros := v.micros()
		var read timestamp
		if err := json.Unmarshal(appendMoment(nil, momentOf(micros)), &read); err != nil || models.Micros(read.Time) != micros {
			t.Fatalf("%s came back as %v, %v", stamp(micros), read, err)
		}
		zone := time.FixedZone("", v.IntN(2*24*60-1)*60-24*60*60+60) // less than a day either way
		local := time.UnixMicro(micros).In(zone)
		if local.Year() < 1 || local.Year() > 9998 {
			continue
		}
		if err := read.parse(local.Format(time.RFC3339Nano)); err != nil || models.Micros(read.Time) != micros {
			t.Fatalf("%s was read as %v, %v", local.Format(time.RFC3339Nano), read, err)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", everyControl, `"\/`, "\u2028\u2029", "<&>", "\xff", "a\xc0\x80b", "\xed\xa0\x80", "\xf0\x9f\x98", "😀", "\ufffd", "\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString([]byte("x"), s)
		want, err := json.Marshal(s)
		if err != nil || got[0] != 'x' {
			t.Fatalf("%q: %q, %v", s, got, err)
		}
		if view(t, got[1:]) != view(t, want) {
			t.Fatalf("%q: wrote %q; encoding/json has %q", s, got[1:], want)
		}
	})
}
