package tests

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/models"
)

// listWorld is a server with random tasks, the same at each run, and what they
// are by a list in Go.
type listWorld struct {
	*app
	alice, bob, boss *person
	tasks            []models.Task
	random           *rand.Rand
}

func newListWorld(t *testing.T, n int, change ...func(*config.Config)) *listWorld {
	t.Helper()
	a := newApp(t, change...)
	public, err := url.Parse(a.Config.PublicURL)
	if err != nil {
		t.Fatal(err)
	}
	a.URL += public.Path
	w := &listWorld{app: a, alice: a.user("alice"), bob: a.user("bob"), boss: a.staff("boss"), random: rand.New(rand.NewPCG(7, 11))}
	err = a.Store.Write(context.Background(), func(tx models.DB) error {
		for range n {
			task := w.randomTask()
			if err := models.CreateTask(tx, &task); err != nil {
				return err
			}
			w.tasks = append(w.tasks, task)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// listMoments are few, so that many tasks share one; the clock shows the middle one.
var listMoments = func() (list []time.Time) {
	for _, d := range []time.Duration{-48 * time.Hour, -time.Second, -time.Microsecond, 0, time.Microsecond, time.Millisecond, time.Hour, 9000 * time.Hour} {
		list = append(list, start.Add(d))
	}
	return list
}()

func (w *listWorld) randomTask() models.Task {
	titles := []string{"a", "B", "b", "Ab", "ä", "z", "Z", "😀", "\ufffd", "10", "9", "a b", "a'b"}
	moment := func() int64 { return models.Micros(listMoments[w.random.IntN(len(listMoments))]) }
	maybe := func(n int64) (v sql.NullInt64) {
		if w.random.IntN(3) > 0 {
			v = sql.NullInt64{Int64: n, Valid: true}
		}
		return v
	}
	someone := func() int64 { return []int64{w.alice.ID, w.bob.ID}[w.random.IntN(2)] }
	return models.Task{
		Title: titles[w.random.IntN(len(titles))], Tags: "[]", DueTo: maybe(moment()), Done: w.random.IntN(2) == 0, Priority: w.random.Int64N(5),
		Private: w.random.IntN(3) == 0, PersonID: maybe(someone()), CreatedBy: maybe(someone()), CreatedAt: moment(), UpdatedAt: moment(),
	}
}

// listKeys compares two tasks by each sort key, ascending; what is missing is
// last in both directions.
var listKeys = map[string]func(a, b models.Task) int{
	"id":         func(a, b models.Task) int { return cmp.Compare(a.ID, b.ID) },
	"priority":   func(a, b models.Task) int { return cmp.Compare(a.Priority, b.Priority) },
	"title":      func(a, b models.Task) int { return cmp.Compare(a.Title, b.Title) },
	"created_at": func(a, b models.Task) int { return cmp.Compare(a.CreatedAt, b.CreatedAt) },
	"updated_at": func(a, b models.Task) int { return cmp.Compare(a.UpdatedAt, b.UpdatedAt) },
	"due_to":     func(a, b models.Task) int { return cmp.Compare(a.DueTo.Int64, b.DueTo.Int64) },
}

// listOrder sorts as ?ordering= does.
func listOrder(tasks []models.Task, ordering string) []models.Task {
	sorted := slices.Clone(tasks)
	slices.SortFunc(sorted, func(a, b models.Task) int {
		for key := range strings.SplitSeq(ordering, ",") {
			name, desc := strings.CutPrefix(key, "-")
			if name == "due_to" && a.DueTo.Valid != b.DueTo.Valid {
				if a.DueTo.Valid {
					return -1
				}
				return 1
			}
			if compare, ok := listKeys[name]; ok {
				if c := compare(a, b); c != 0 && desc {
					return -c
				} else if c != 0 {
					return c
				}
			}
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return sorted
}

// listMatches tells whether a task passes one filter.
func listMatches(t models.Task, name, value string, now int64) bool {
	number, _ := strconv.ParseInt(value, 10, 64)
	at, _ := time.Parse(time.RFC3339Nano, value)
	moment := models.Micros(at)
	overdue := !t.Done && t.DueTo.Valid && t.DueTo.Int64 < now
	switch name {
	case "person":
		return t.PersonID.Valid && t.PersonID.Int64 == number
	case "created_by":
		return t.CreatedBy.Valid && t.CreatedBy.Int64 == number
	case "done":
		return strconv.FormatBool(t.Done) == value
	case "priority":
		return t.Priority == number
	case "priority_min":
		return t.Priority >= number
	case "visibility":
		return t.Private == (value == "private")
	case "due_before":
		return t.DueTo.Valid && t.DueTo.Int64 < moment
	case "due_after":
		return t.DueTo.Valid && t.DueTo.Int64 >= moment
	case "updated_since":
		return t.UpdatedAt >= moment
	case "overdue":
		return strconv.FormatBool(overdue) == value
	}
	return true
}

// expect gives the ids that a query should list, all pages together, for one of
// the callers; nil is nobody.
func (w *listWorld) expect(who *person, q url.Values) []int64 {
	now := models.Micros(w.Clock.Now())
	ids := []int64{}
	for _, task := range listOrder(w.tasks, q.Get("ordering")) {
		own := who != nil && ((task.PersonID.Valid && task.PersonID.Int64 == who.ID) || (task.CreatedBy.Valid && task.CreatedBy.Int64 == who.ID))
		ok := !task.Private || own || who == w.boss
		for name := range q {
			ok = ok && listMatches(task, name, q.Get(name), now)
		}
		if ok {
			ids = append(ids, task.ID)
		}
	}
	return ids
}

// get asks for a list as one of the callers; nil is nobody.
func (w *listWorld) get(who *person, q url.Values) *response {
	w.t.Helper()
	path := "/tasks?" + q.Encode()
	if who == nil {
		return w.do("GET", path, nil)
	}
	return who.do("GET", path, nil)
}

// listIDs gives the ids of a list that is answered.
func (r *response) listIDs() []int64 {
	r.t.Helper()
	var rows []struct {
		ID int64 `json:"id"`
	}
	r.want(http.StatusOK).decode(&rows)
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids
}

// wantListIDs checks a list, and shows where it begins to differ.
func wantListIDs(t *testing.T, query any, got, want []int64) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	show := func(ids []int64) []int64 { return ids[max(0, min(i-2, len(ids))):min(i+8, len(ids))] }
	t.Errorf("%v: %d rows, ...%v...; want %d, ...%v... (from the %dth on)", query, len(got), show(got), len(want), show(want), i+1)
}

var listLinkForm = regexp.MustCompile(`^<(https?://[^<>" ]+)>; rel="(next|prev)"$`)

// listLinks reads the Link header, strictly.
func (r *response) listLinks() map[string]*url.URL {
	r.t.Helper()
	found := map[string]*url.URL{}
	for _, field := range r.Header.Values("Link") {
		for link := range strings.SplitSeq(field, ", ") {
			m := listLinkForm.FindStringSubmatch(link)
			if m == nil || found[m[2]] != nil {
				r.t.Fatalf("%s: Link %q", r.What, field)
			}
			u, err := url.Parse(m[1])
			if err != nil {
				r.t.Fatal(err)
			}
			found[m[2]] = u
		}
	}
	return found
}

var listOrderings = []string{
	"", "id", "-id", "due_to", "-due_to", "priority", "-priority", "title", "-title", "created_at", "-created_at", "updated_at", "-updated_at",
	"priority,due_to", "-priority,due_to", "priority,-due_to", "-due_to,-priority,title", "title,-created_at,updated_at", "-updated_at,-id",
	"priority,-id", "due_to,-title,-id,priority", "created_at,updated_at,priority,title,due_to,id",
}

// callers are those whose eyes lists are read with; nil is nobody.
func (w *listWorld) callers() []*person { return []*person{nil, w.alice, w.boss} }

func TestListTasks_OrderingsAreTheReference(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 190)
	for _, ordering := range listOrderings {
		q := url.Values{"page_size": {"200"}}
		if ordering != "" {
			q.Set("ordering", ordering)
		}
		for _, who := range w.callers() {
			wantListIDs(t, q, w.get(who, q).listIDs(), w.expect(who, q))
		}
	}
	for _, wrong := range []string{"nonsense", "-nonsense", "Title", "--title", "+title", "title,", ",title", "title,title", "title,-title", "title;id", "title desc", "done", "tags"} {
		w.get(nil, url.Values{"ordering": {wrong}}).wantFields("ordering")
	}
}

// listFilters are values of each filter that some tasks pass and some do not.
func (w *listWorld) listFilters() map[string][]string {
	person := []string{strconv.FormatInt(w.alice.ID, 10), strconv.FormatInt(w.bob.ID, 10), "4711"}
	var times []string
	for _, m := range listMoments {
		times = append(times, m.Format(time.RFC3339Nano), m.Add(time.Microsecond).In(time.FixedZone("", 5400)).Format(time.RFC3339Nano))
	}
	levels := []string{"0", "1", "2", "3", "4"}
	return map[string][]string{
		"person": person, "created_by": person, "done": {"true", "false"}, "overdue": {"true", "false"}, "visibility": {"public", "private"},
		"priority": levels, "priority_min": levels, "due_before": times, "due_after": times, "updated_since": times,
	}
}

func TestListTasks_EachFilterIsTheReference(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 190)
	for name, values := range w.listFilters() {
		for _, value := range values {
			q := url.Values{name: {value}, "page_size": {"200"}, "count": {"exact"}}
			for _, who := range w.callers() {
				r := w.get(who, q)
				want := w.expect(who, q)
				wantListIDs(t, q, r.listIDs(), want)
				if got := r.Header.Get("X-Total-Count"); got != strconv.Itoa(len(want)) {
					t.Errorf("%s=%s: X-Total-Count %s, want %d", name, value, got, len(want))
				}
			}
		}
	}
}

func TestListTasks_FiltersTogetherPageByPageAreTheReference(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 190)
	filters := w.listFilters()
	names := slices.Sorted(maps.Keys(filters))
	for range 60 {
		q := url.Values{"count": {"exact"}}
		for range 1 + w.random.IntN(3) {
			name := names[w.random.IntN(len(names))]
			q.Set(name, filters[name][w.random.IntN(len(filters[name]))])
		}
		if ordering := listOrderings[w.random.IntN(len(listOrderings))]; ordering != "" {
			q.Set("ordering", ordering)
		}
		who := w.callers()[w.random.IntN(3)]
		want := w.expect(who, q)
		size := 5 + w.random.IntN(40)
		q.Set("page_size", strconv.Itoa(size))
		got := []int64{}
		for page := 1; ; page++ {
			q.Set("page", strconv.Itoa(page))
			r := w.get(who, q)
			ids := r.listIDs()
			got = append(got, ids...)
			next, more := r.listLinks()["next"]
			if r.Header.Get("X-Total-Count") != strconv.Itoa(len(want)) || more != (page*size < len(want)) {
				t.Fatalf("%v: X-Total-Count %s, next %v; want %d", q, r.Header.Get("X-Total-Count"), next, len(want))
			}
			if !more {
				break
			}
		}
		wantListIDs(t, q, got, want)
	}
}

func TestListTasks_DueAfterIncludesItsMomentAndDueBeforeDoesNot(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("Due", map[string]any{"due_to": "2026-10-18T12:00:00Z"})
	alice.task("Some day")
	for query, listed := range map[string]bool{
		"due_after=2026-10-18T12:00:00Z": true, "due_after=2026-10-18T12:00:00.000001Z": false, "due_after=2026-10-18T14:00:00%2B02:00": true,
		"due_before=2026-10-18T12:00:00Z": false, "due_before=2026-10-18T12:00:00.000001Z": true, "due_before=9998-12-31T23:59:59Z": true,
		"due_after=0001-01-01T00:00:00Z": true, "due_after=2026-10-18T12:00:00Z&due_before=2026-10-18T12:00:00.000001Z": true, "overdue=true": false,
		"updated_since=2026-10-18T12:00:00Z&ordering=due_to&page_size=1": true, "updated_since=2026-10-18T12:00:00.000001Z": false,
	} {
		want := []int64{}
		if listed {
			want = append(want, id)
		}
		if got := a.do("GET", "/tasks?"+query, nil).listIDs(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	a.Clock.Advance(time.Microsecond)
	if got := a.do("GET", "/tasks?overdue=true", nil).listIDs(); !slices.Equal(got, []int64{id}) {
		t.Errorf("overdue just after: %v", got)
	}
}

func TestListTasks_WrongFilterValuesAreNamedAllAtOnce(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 3)
	numbers := []string{"", "x", "1.0", "1e2", "-1", "9223372036854775808", "1 "}
	times := []string{"", "x", "2026-10-18", "2026-10-18T12:00:00", "2026-10-18 12:00:00Z", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00Z", "1476817921"}
	words := []string{"", "x", "maybe", "2", "public,private"}
	all := url.Values{}
	for name, values := range map[string][]string{
		"person": append(numbers, "0"), "created_by": append(numbers, "0"), "priority": append(numbers, "5"), "priority_min": append(numbers, "5"),
		"done": words, "overdue": words, "visibility": append(words, "Public"), "due_before": times, "due_after": times, "updated_since": times,
		"count": {"", "x", "Exact", "true"}, "fields": {"", "x", "id,", "id,x", "ID"}, "page_size": append(numbers, "0", "201"), "page": append(numbers, "0"),
	} {
		for _, value := range values {
			w.get(nil, url.Values{name: {value}}).wantFields(name)
		}
		all.Set(name, values[1])
	}
	w.get(nil, all).wantFields(slices.Collect(maps.Keys(all))...)
}

func TestListTasks_UnknownAndRepeatedParametersAreNamed(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 3)
	for name, nearest := range map[string]string{
		"pagesize": "page_size", "page-size": "page_size", "Page_Size": "page_size", "orderin": "ordering", "ORDERING": "ordering", "persons": "person",
		"due_befor": "due_before", "counts": "count", "limit": "", "offset": "", "order_by": "", "nonsense": "",
	} {
		r := w.get(nil, url.Values{name: {"1"}, "page_size": {"2"}}).wantFields(name)
		if got := fmt.Sprint(r.complaintsOf(name)); strings.Contains(got, "did you mean "+nearest+"?") != (nearest != "") {
			t.Errorf("%s: %s; want the suggestion %q", name, got, nearest)
		}
	}
	for _, name := range []string{"page_size", "page", "count", "ordering", "fields", "person", "done", "priority", "due_before", "cursor"} {
		w.get(nil, url.Values{name: {"1", "1"}}).wantFields(name)
	}
	w.do("GET", "/tasks/1?page_size=1", nil).wantFields("page_size")
	w.do("GET", "/users?person=1", nil).wantFields("person")
	w.boss.do("DELETE", "/tasks/1?force=true", nil).wantFields("force")
}
