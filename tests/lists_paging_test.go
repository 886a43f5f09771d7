package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dueto/config"
)

func TestPaging_SizesAndTheirBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change        func(*config.Config)
		standard, max int
	}{
		{func(*config.Config) {}, 50, 200},
		{func(c *config.Config) { c.PageSize, c.MaxPageSize = 7, 9 }, 7, 9},
	} {
		w := newListWorld(t, 210, c.change)
		sizes := map[string]int{"": c.standard, "1": 1, strconv.Itoa(c.max): c.max}
		for size, want := range sizes {
			q := url.Values{}
			if size != "" {
				q.Set("page_size", size)
			}
			r := w.get(w.boss, q)
			wantListIDs(t, q, r.listIDs(), w.expect(w.boss, q)[:want])
			if r.Header.Get("X-Total-Count") != "" || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("page_size %q: %v", size, r.Header)
			}
		}
		for _, size := range []string{"0", "-1", strconv.Itoa(c.max + 1), "9223372036854775807", "9223372036854775808", "1.0", "1e1", ""} {
			w.get(nil, url.Values{"page_size": {size}}).wantFields("page_size")
			w.do("GET", "/users?page_size="+size, nil).wantFields("page_size")
		}
	}
}

func TestPaging_PagesByNumber(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 100)
	all := w.expect(w.boss, url.Values{"ordering": {"-title"}})
	for _, page := range []int{1, 2, 14, 15, 16, 1000} {
		q := url.Values{"page_size": {"7"}, "page": {strconv.Itoa(page)}, "ordering": {"-title"}}
		r := w.get(w.boss, q)
		from, to := min((page-1)*7, 100), min(page*7, 100)
		wantListIDs(t, q, r.listIDs(), all[from:to])
		links := r.listLinks()
		if next := links["next"]; (next != nil) != (page < 15) || (next != nil && next.Query().Get("page") != strconv.Itoa(page+1)) {
			t.Errorf("page %d: next is %v", page, next)
		}
		if prev := links["prev"]; page <= 15 && ((prev != nil) != (page > 1) || (prev != nil && prev.Query().Get("page") != strconv.Itoa(page-1))) {
			t.Errorf("page %d: prev is %v", page, prev)
		}
		if page > 15 && string(r.Body) != "[]\n" {
			t.Errorf("page %d, past the end: %q", page, r.Body)
		}
	}
}

func TestPaging_PagesFarOutNameTheCursor(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 3)
	for query, status := range map[string]int{
		"page=20000": 200, "page=20001": 400, "page=5000&page_size=200": 200, "page=5001&page_size=200": 400, "page=1000000&page_size=1": 200,
		"page=1000001&page_size=1": 400, "page=9223372036854775807&page_size=2": 400, "page=4611686018427387905&page_size=4": 400,
	} {
		for _, list := range []string{"/tasks?", "/users?"} {
			r := w.do("GET", list+query, nil).want(status)
			if status == http.StatusOK && string(r.Body) != "[]\n" {
				t.Errorf("%s: %s", query, r.Body)
			}
			if status == http.StatusBadRequest && !strings.Contains(fmt.Sprint(r.wantFields("page").complaintsOf("page")), "cursor") {
				t.Errorf("%s: %s", query, r.Body)
			}
		}
	}
	w.do("GET", "/tasks?page=9223372036854775808", nil).wantFields("page")
}

func TestPaging_LinksAreAbsoluteAndKeepTheOtherParameters(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"http://dueto.test", "https://dueto.test:8443/a/b"} {
		w := newListWorld(t, 100, func(c *config.Config) { c.PublicURL = public })
		base, err := url.Parse(public)
		if err != nil {
			t.Fatal(err)
		}
		q := url.Values{
			"page_size": {"3"}, "ordering": {"-due_to,title"}, "priority_min": {"1"}, "due_before": {"2036-01-01T00:00:00+01:00"}, "fields": {"id, title"}, "count": {"exact"},
		}
		for _, start := range []string{"", "page"} {
			q := copiedQuery(q)
			if start != "" {
				q.Set("page", "1")
			}
			first := w.do("GET", "/tasks?"+q.Encode(), nil).want(http.StatusOK)
			if first.listLinks()["prev"] != nil || first.listLinks()["next"] == nil {
				t.Fatalf("the first page has %v", first.Header["Link"])
			}
			follow := func(u *url.URL) *response {
				return w.do("GET", strings.TrimPrefix(u.String(), public), nil).want(http.StatusOK)
			}
			second := follow(first.listLinks()["next"])
			if second.Header.Get("X-Total-Count") != first.Header.Get("X-Total-Count") || first.Header.Get("X-Total-Count") == "" {
				t.Errorf("X-Total-Count %q, then %q", first.Header.Get("X-Total-Count"), second.Header.Get("X-Total-Count"))
			}
			for rel, u := range second.listLinks() {
				got := u.Query()
				for _, place := range []string{"page", "cursor"} {
					if (got.Get(place) != "") != ((place == "page") == (start == "page")) {
						t.Errorf("%s has %s=%q", rel, place, got.Get(place))
					}
					got.Del(place)
				}
				want := copiedQuery(q)
				want.Del("page")
				if u.Scheme != base.Scheme || u.Host != base.Host || u.Path != base.Path+"/tasks" || !reflect.DeepEqual(got, want) {
					t.Errorf("%s is %s; want the parameters %v", rel, u, want)
				}
			}
			if back := follow(second.listLinks()["prev"]); string(back.Body) != string(first.Body) {
				t.Errorf("back on the first page: %s, was %s", back.Body, first.Body)
			}
		}
	}
}

// copiedQuery gives a copy of a query's parameters.
func copiedQuery(q url.Values) url.Values {
	c := url.Values{}
	for name, list := range q {
		c[name] = slices.Clone(list)
	}
	return c
}

func TestPaging_HEADHasTheHeadersOfGET(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 30)
	for _, query := range []string{"page_size=5&count=exact", "page_size=5&page=2", "page=99", "page_size=0"} {
		get, head := w.do("GET", "/tasks?"+query, nil), w.do("HEAD", "/tasks/?"+query, nil)
		for _, name := range []string{"Link", "X-Total-Count", "Content-Type", "Content-Length", "Vary", "Cache-Control"} {
			if get.Status != head.Status || get.Header.Get(name) != head.Header.Get(name) || len(head.Body) != 0 {
				t.Errorf("%s: %s is %q of %d for GET, %q of %d for HEAD", query, name, get.Header.Get(name), get.Status, head.Header.Get(name), head.Status)
			}
		}
	}
}

func TestFields_OnlyThoseThatAreNamed(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("One", map[string]any{"tags": []string{"x"}})
	whole := alice.do("GET", taskPath(id), nil).want(http.StatusOK).object()
	pick := func(from map[string]any, names string) []map[string]any {
		picked := map[string]any{}
		for name := range strings.SplitSeq(names, ",") {
			if v, ok := from[strings.TrimSpace(name)]; ok {
				picked[strings.TrimSpace(name)] = v
			}
		}
		return []map[string]any{picked}
	}
	all := "id,url,title,description,due_to,done,done_at,priority,tags,visibility,person,created_by,created_at,updated_at"
	for _, names := range []string{"id", "title,id", "id,id", " id , title ", "due_to,done_at,person", all} {
		if got := a.do("GET", "/tasks?"+url.Values{"fields": {names}}.Encode(), nil).want(http.StatusOK).list(); !reflect.DeepEqual(got, pick(whole, names)) {
			t.Errorf("fields=%s: %v", names, got)
		}
	}
	if got := a.do("GET", "/tasks", nil).want(http.StatusOK).list(); !reflect.DeepEqual(got, []map[string]any{whole}) {
		t.Errorf("without fields: %v, want %v", got, whole)
	}
	for names, nearest := range map[string]string{"titel": "title", "id,Title": "title", "dueto": "due_to", "nonsense": "", "": "", "id,": "", "*": "", "person_id": "", "private": "", "version": ""} {
		got := fmt.Sprint(a.do("GET", "/tasks?"+url.Values{"fields": {names}}.Encode(), nil).wantFields("fields").complaintsOf("fields"))
		if nearest != "" && !strings.Contains(got, "did you mean "+nearest+"?") {
			t.Errorf("fields=%s: %s", names, got)
		}
	}
	me := alice.do("GET", "/users/me", nil).want(http.StatusOK).object()
	for names, who := range map[string]*person{"id,username": nil, "username,email,is_staff": alice} {
		got := a.do("GET", "/users?fields="+names, nil).want(http.StatusOK).list()
		if who != nil {
			got = who.do("GET", "/users?fields="+names, nil).want(http.StatusOK).list()
		}
		if !reflect.DeepEqual(got, pick(me, names)) {
			t.Errorf("users, fields=%s: %v", names, got)
		}
	}
	if got := a.do("GET", "/users?fields=email,last_login,permissions,username", nil).want(http.StatusOK).list(); !reflect.DeepEqual(got, pick(me, "username")) {
		t.Errorf("a stranger is shown %v", got)
	}
	a.do("GET", "/users?fields=password", nil).wantFields("fields")
	a.do("GET", "/users?fields=password_hash", nil).wantFields("fields")
}
