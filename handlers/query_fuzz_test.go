package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"dueto/models"
	"dueto/services"
)

// listing is what a list's parameters are read as.
type listing struct {
	page    services.PageRequest
	tasks   services.TaskQuery
	users   services.UserQuery
	members []string
}

// fuzzedList reads parameters as the handler of a list does.
type fuzzedList struct {
	path    string
	known   []Param
	keys    []string
	members []string
	read    func(*query, *listing)
	engine  *gin.Engine
}

var (
	fuzzedPaging = Paging{Default: 50, Max: 200}
	fuzzedLists  = []fuzzedList{
		{path: "/tasks", known: taskListQuery(fuzzedPaging), keys: models.TaskSortKeys(), members: taskMemberNames, read: func(q *query, l *listing) {
			l.tasks, l.members = taskFilter(q), memberNames(pick(q, taskMembers))
		}},
		{path: "/users", known: userListQuery(fuzzedPaging), keys: models.UserSortKeys(), members: userMemberNames, read: func(q *query, l *listing) {
			l.users, l.members = userFilter(q), memberNames(pick(q, userMembers))
		}},
	}
)

func (f fuzzedList) context(raw string) *gin.Context {
	c := gin.CreateTestContextOnly(httptest.NewRecorder(), f.engine)
	c.Request = &http.Request{Method: http.MethodGet, URL: &url.URL{Path: f.path, RawQuery: raw}}
	return c
}

func (f fuzzedList) parse(c *gin.Context) (l listing, q *query, err error) {
	if err := CheckQuery(f.known, false)(c); err != nil {
		return l, nil, err
	}
	q = newQuery(c, f.known)
	f.read(q, &l)
	l.page = q.page(f.path, f.keys)
	return l, q, q.err()
}

// plain gives the one way to write a parameter's value, or tells that it is not
// one. It knows nothing of how the handlers read it.
func (f fuzzedList) plain(name, value string) (string, bool) {
	number := func(low, high int64) (string, bool) {
		n, err := strconv.ParseInt(value, 10, 64)
		return strconv.FormatInt(n, 10), err == nil && n >= low && n <= high
	}
	names := func(known []string) (list []string, ok bool) {
		for _, part := range strings.Split(value, ",") {
			part = strings.TrimSpace(part)
			if !slices.Contains(known, strings.TrimPrefix(part, "-")) {
				return nil, false
			}
			list = append(list, part)
		}
		return list, true
	}
	switch name {
	case "page_size":
		return number(1, int64(fuzzedPaging.Max))
	case "page", "person", "created_by":
		return number(1, maxID)
	case "priority", "priority_min":
		return number(0, 4)
	case "done", "overdue", "is_active", "is_staff", "never_activated":
		truth := map[string]string{"true": "true", "1": "true", "false": "false", "0": "false"}[strings.ToLower(value)]
		return truth, truth != ""
	case "due_before", "due_after", "updated_since":
		at, ok := strictTime(value)
		return at.Format(time.RFC3339Nano), ok
	case "visibility":
		return value, value == "public" || value == "private"
	case "count":
		return value, value == "exact"
	case "ordering":
		list, ok := names(f.keys)
		bare := slices.Sorted(slices.Values(strings.Split(strings.ReplaceAll(strings.Join(list, ","), "-", ""), ",")))
		return strings.Join(list, ","), ok && len(slices.Compact(bare)) == len(list)
	case "fields":
		list, ok := names(f.members)
		slices.Sort(list)
		return strings.Join(slices.Compact(list), ","), ok && !strings.Contains(value, "-")
	case "search":
		words, complaint := services.SearchWords(value)
		return strings.Join(words, " "), complaint == ""
	case "cursor":
		return value, value != ""
	}
	return "", false
}

// written gives the parameters that say what was read, in their plain form.
func (l listing) written(sent url.Values) url.Values {
	v := url.Values{}
	number := func(name string, n *int64) {
		if n != nil {
			v.Set(name, strconv.FormatInt(*n, 10))
		}
	}
	truth := func(name string, b *bool) {
		if b != nil {
			v.Set(name, strconv.FormatBool(*b))
		}
	}
	moment := func(name string, at *time.Time) {
		if at != nil {
			v.Set(name, at.Format(time.RFC3339Nano))
		}
	}
	text := func(name, s string) {
		if s != "" {
			v.Set(name, s)
		}
	}
	number("person", l.tasks.Person)
	number("created_by", l.tasks.CreatedBy)
	number("priority", l.tasks.Priority)
	number("priority_min", l.tasks.PriorityMin)
	truth("done", l.tasks.Done)
	truth("overdue", l.tasks.Overdue)
	moment("due_before", l.tasks.DueBefore)
	moment("due_after", l.tasks.DueAfter)
	moment("updated_since", l.tasks.UpdatedSince)
	if l.tasks.Private != nil {
		text("visibility", visibility(*l.tasks.Private))
	}
	truth("is_active", l.users.Active)
	truth("is_staff", l.users.Staff)
	truth("never_activated", l.users.NeverActivated)
	text("search", strings.Join(l.users.Search, " "))
	var keys []string
	for _, k := range l.page.Order {
		keys = append(keys, map[bool]string{true: "-"}[k.Desc]+k.Name)
	}
	text("ordering", strings.Join(keys, ","))
	text("cursor", l.page.Cursor)
	if l.page.Number > 0 {
		v.Set("page", strconv.Itoa(l.page.Number))
	}
	if l.page.Count {
		v.Set("count", "exact")
	}
	// What has a default is there in any case.
	if sent.Has("page_size") || l.page.Size != fuzzedPaging.Default {
		v.Set("page_size", strconv.Itoa(l.page.Size))
	}
	if sent.Has("fields") {
		v.Set("fields", strings.Join(slices.Sorted(slices.Values(l.members)), ","))
	}
	return v
}

// judge gives the parameters in their plain form, and the names of those that
// must be complained of.
func (f fuzzedList) judge(sent url.Values) (plain url.Values, wrong map[string]bool) {
	plain, wrong = url.Values{}, map[string]bool{}
	for name, list := range sent {
		value, ok := f.plain(name, list[0])
		if !ok || !slices.ContainsFunc(f.known, func(p Param) bool { return p.Name == name }) || len(list) > 1 || !utf8.ValidString(list[0]) || strings.Contains(list[0], "\x00") {
			wrong[clip(strings.ToValidUTF8(name, "\ufffd"))] = true
			continue
		}
		plain.Set(name, value)
	}
	if page, _ := strconv.ParseFloat(plain.Get("page"), 64); page > 0 {
		size := fuzzedPaging.Default
		if plain.Has("page_size") {
			size, _ = strconv.Atoi(plain.Get("page_size"))
		}
		if page*float64(size) > services.MaxOffset {
			wrong["page"] = true
		}
		if sent.Has("cursor") {
			wrong["cursor"] = true
		}
	}
	return plain, wrong
}

func FuzzListParameters(f *testing.F) {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	for _, raw := range []string{
		"", "page_size=200&page=5000", "page_size=200&page=5001", "page_size=0", "page_size=201", "priority=-1", "priority_min=5", "page=9223372036854775807", "page=1&cursor=x", "cursor=", "count=exact", "count=Exact",
		"ordering=-due_to,priority,id", "ordering=id,-id", "ordering=--id", "ordering=", "ordering=username", "fields=id,title,%20id", "fields=-id", "fields=",
		"person=1&created_by=%2B2&done=TRUE&priority=0&priority_min=4&visibility=private&overdue=0", "person=0", "person=a&person=b", "persn=1",
		"due_before=2026-10-18T19:12:01%2B02:00&due_after=0001-01-01T00:00:00Z&updated_since=2026-10-18T19:12:01.123456789z", "due_before=2026-10-18T19:12:01+02:00",
		"is_active=1&is_staff=false&never_activated=true&search=Ann%20EXAMPLE", "search=%20", "search=a+b+c+d+e+f+g+h+i+j+k", "search=me@B%C3%BCcher.example",
		"a=%zz", "a;b=1", "person=%00", "person=%ff", "%ff=1", "page_size=1_0", "page_size=0x10", "=", "&&", strings.Repeat("x", 60) + "=1",
	} {
		f.Add(raw, uint8(0))
		f.Add(raw, uint8(1))
	}
	f.Fuzz(func(t *testing.T, raw string, which uint8) {
		list := fuzzedLists[int(which)%len(fuzzedLists)]
		list.engine = engine
		sent, malformed := url.ParseQuery(raw)
		c := list.context(raw)
		got, q, err := list.parse(c)
		if malformed != nil {
			if wantRefusal(t, raw, err).Code != services.CodeMalformed {
				t.Fatalf("%q: %v, of what is no query", raw, err)
			}
			return
		}
		plain, wrong := list.judge(sent)
		if err != nil {
			for name := range wantRefusal(t, raw, err).Fields {
				if !wrong[name] {
					t.Fatalf("%q: refused for %q without need: %v", raw, name, err)
				}
			}
			return
		}
		if len(wrong) > 0 {
			t.Fatalf("%q: accepted with bad %v", raw, wrong)
		}
		if written := got.written(sent); !reflect.DeepEqual(written, plain) {
			t.Fatalf("%q: read as %v, want %v", raw, written, plain)
		}
		for _, word := range got.users.Search {
			if word == "" || strings.ContainsFunc(word, unicode.IsSpace) || len(got.users.Search) > 10 {
				t.Fatalf("%q: searched for %q", raw, got.users.Search)
			}
		}
		list.follow(t, c, q, got)
	})
}

// follow goes where the answer's Link header leads, which must be the same list.
func (f fuzzedList) follow(t *testing.T, c *gin.Context, q *query, from listing) {
	t.Helper()
	info := services.PageInfo{Next: "there", Prev: "back"}
	if from.page.Number > 0 {
		info = services.PageInfo{NextPage: min(from.page.Number+1, services.MaxOffset/from.page.Size), PrevPage: from.page.Number}
	}
	setPageHeaders(c, q, "http://dueto.test"+f.path, info)
	links := strings.Split(c.Writer.Header().Get("Link"), ", ")
	if len(links) != 2 {
		t.Fatalf("%v: links %q", q.values, links)
	}
	for i, rel := range []string{"next", "prev"} {
		target, found := strings.CutSuffix(strings.TrimPrefix(links[i], "<"), `>; rel="`+rel+`"`)
		at, err := url.Parse(target)
		if err != nil || !found || at.Path != f.path || at.Host != "dueto.test" {
			t.Fatalf("%v: the link %q: %v", q.values, links[i], err)
		}
		to, _, err := f.parse(f.context(at.RawQuery))
		if err != nil {
			t.Fatalf("%v: the link %q is refused: %v", q.values, target, err)
		}
		want := from
		want.page.Cursor, want.page.Number = []string{info.Next, info.Prev}[i], []int{info.NextPage, info.PrevPage}[i]
		if !reflect.DeepEqual(to, want) {
			t.Fatalf("%v: the link %q is read as %+v, want %+v", q.values, target, to, want)
		}
	}
}
