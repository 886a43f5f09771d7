package tests

import (
	"context"
	"encoding/base64"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dueto/models"
	"dueto/routes"
)

// follow asks for what a link names, as one of the callers.
func (w *listWorld) follow(who *person, u *url.URL) *response {
	w.t.Helper()
	return w.get(who, u.Query())
}

// walk follows one kind of link to its end and gives the pages, the first one
// included.
func (w *listWorld) walk(who *person, from *response, rel string) (pages []*response) {
	w.t.Helper()
	pages = append(pages, from)
	for link := from.listLinks()[rel]; link != nil; link = pages[len(pages)-1].listLinks()[rel] {
		if pages = append(pages, w.follow(who, link)); len(pages) > 1000 {
			w.t.Fatalf("no end of pages: %s", link)
		}
	}
	return pages
}

func TestCursor_ThereAndBackVisitsEachRowOnceInOrder(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 7} {
		t.Run("page_size "+strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			w := newListWorld(t, 22)
			for i, ordering := range listOrderings {
				q := url.Values{"page_size": {strconv.Itoa(size)}}
				if ordering != "" {
					q.Set("ordering", ordering)
				}
				who := w.callers()[i%3]
				want := w.expect(who, q)
				there := w.walk(who, w.get(who, q), "next")
				back := w.walk(who, there[len(there)-1], "prev")
				slices.Reverse(back)
				for direction, pages := range map[string][]*response{"there": there, "back": back} {
					got := []int64{}
					for n, page := range pages {
						ids := page.listIDs()
						if len(ids) > size || (n < len(pages)-1 && len(ids) != size && direction == "there") {
							t.Errorf("%s, ordering %q: page %d has %d rows", direction, ordering, n, len(ids))
						}
						got = append(got, ids...)
					}
					wantListIDs(t, direction+" by "+ordering, got, want)
				}
				if there[0].listLinks()["prev"] != nil || there[len(there)-1].listLinks()["next"] != nil || back[0].listLinks()["prev"] != nil {
					t.Errorf("ordering %q: there is a page before the first or after the last", ordering)
				}
			}
		})
	}
}

func TestCursor_HoldsWithFiltersAndForgetsNothingElse(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 80)
	filters := w.listFilters()
	names := slices.Sorted(maps.Keys(filters))
	for range 25 {
		q := url.Values{"page_size": {strconv.Itoa(1 + w.random.IntN(9))}}
		for range 1 + w.random.IntN(2) {
			name := names[w.random.IntN(len(names))]
			q.Set(name, filters[name][w.random.IntN(len(filters[name]))])
		}
		if ordering := listOrderings[w.random.IntN(len(listOrderings))]; ordering != "" {
			q.Set("ordering", ordering)
		}
		got := []int64{}
		for _, page := range w.walk(w.alice, w.get(w.alice, q), "next") {
			got = append(got, page.listIDs()...)
		}
		wantListIDs(t, q, got, w.expect(w.alice, q))
	}
}

// shuffle removes tasks behind the server's back, and adds others in front
// of every place and behind it.
func (w *listWorld) shuffle(gone ...int64) {
	w.t.Helper()
	err := w.Store.Write(context.Background(), func(tx models.DB) error {
		for _, id := range gone {
			if err := models.DeleteTask(tx, id); err != nil {
				return err
			}
		}
		for _, title := range []string{"", "!", "~~~~"} {
			task := w.randomTask()
			task.Title, task.Private = title+task.Title, false
			if err := models.CreateTask(tx, &task); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.tasks = slices.DeleteFunc(w.tasks, func(t models.Task) bool { return slices.Contains(gone, t.ID) })
}

func TestCursor_StableWhileRowsComeAndGo(t *testing.T) {
	t.Parallel()
	for _, ordering := range []string{"id", "-id", "title", "-due_to", "due_to", "priority,-updated_at"} {
		t.Run(ordering, func(t *testing.T) {
			t.Parallel()
			w := newListWorld(t, 60)
			q := url.Values{"page_size": {"5"}, "ordering": {ordering}}
			original := w.expect(w.boss, q)
			page := w.get(w.boss, q)
			seen, gone := []int64{}, []int64{}
			for {
				ids := page.listIDs()
				for _, id := range ids {
					if slices.Contains(original, id) {
						seen = append(seen, id)
					} else if ordering == "id" && slices.Contains(seen, id) {
						t.Errorf("row %d came twice", id)
					}
				}
				next := page.listLinks()["next"]
				if next == nil {
					break
				}
				// The row that the cursor stands on goes, one that was seen, and one to come.
				lost := []int64{ids[len(ids)-1], ids[0]}
				if rest := slices.DeleteFunc(slices.Clone(original), func(id int64) bool {
					return slices.Contains(seen, id) || slices.Contains(gone, id)
				}); len(rest) > 6 {
					lost = append(lost, rest[5])
				}
				gone = append(gone, lost...)
				w.shuffle(lost...)
				if page = w.follow(w.boss, next); len(seen) > 2*len(original) {
					t.Fatal("no end of pages")
				}
			}
			want := slices.DeleteFunc(slices.Clone(original), func(id int64) bool { return slices.Contains(gone, id) && !slices.Contains(seen, id) })
			wantListIDs(t, ordering, seen, want)
		})
	}
}

func TestCursor_PrevFromADeletedRow(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 20)
	q := url.Values{"page_size": {"5"}}
	all := w.expect(w.boss, q)
	second := w.follow(w.boss, w.get(w.boss, q).listLinks()["next"])
	wantListIDs(t, "the second page", second.listIDs(), all[5:10])
	w.shuffle(all[5], all[3])
	wantListIDs(t, "the page before", w.follow(w.boss, second.listLinks()["prev"]).listIDs(), slices.Concat(all[:3], all[4:5]))
	w.shuffle(slices.Concat(all[:3], all[4:5])...)
	wantListIDs(t, "no page before", w.follow(w.boss, second.listLinks()["prev"]).listIDs(), []int64{})
}

func TestCursor_ShowsNobodyMoreThanTheyMaySee(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 60)
	q := url.Values{"page_size": {"9"}, "ordering": {"-priority"}}
	first := w.get(w.boss, q)
	at := slices.Index(w.expect(w.boss, q), first.listIDs()[8])
	public := w.expect(nil, q)
	want := []int64{}
	for _, id := range w.expect(w.boss, q)[at+1:] {
		if slices.Contains(public, id) && len(want) < 9 {
			want = append(want, id)
		}
	}
	wantListIDs(t, "a cursor of the staff's, used by nobody", w.follow(nil, first.listLinks()["next"]).listIDs(), want)
}

func TestCursor_SurvivesARestartAndAnotherPageSize(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 40)
	q := url.Values{"page_size": {"5"}, "ordering": {"title"}, "done": {"false"}}
	want := w.expect(nil, q)
	next := w.get(nil, q).listLinks()["next"].Query()
	w.app = w.restart()
	wantListIDs(t, "after the restart", w.get(nil, next).listIDs(), want[5:10])
	next.Set("page_size", "3")
	next.Set("fields", "id")
	next.Set("count", "exact")
	wantListIDs(t, "with another page_size", w.get(nil, next).listIDs(), want[5:8])
	reversed := "cursor=" + next.Get("cursor") + "&done=false&ordering=title&page_size=2"
	wantListIDs(t, "parameters in another order", w.do("GET", "/tasks?"+reversed, nil).listIDs(), want[5:7])
}

// anotherSecret starts a server with another secret over the same store.
func (w *listWorld) anotherSecret() *listWorld {
	w.t.Helper()
	if onPostgres { // where it would be refused
		execSQL(w.t, w.Config.Database, "DELETE FROM secret_fingerprints")
	}
	handler, err := routes.New(routes.Deps{
		Config: w.Config, Secret: []byte(strings.ToUpper(secret)), Store: w.Store, Logger: slog.New(slog.DiscardHandler), Now: w.Clock.Now,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	w.t.Cleanup(server.Close)
	describe(w.t, server.URL, describedBy(w.Config))
	a, other := *w.app, *w
	a.URL, other.app = server.URL, &a
	return &other
}

func TestCursor_ForgedOrForeignIsRefused(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 60)
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	q := url.Values{"page_size": {"5"}, "ordering": {"title"}}
	good := w.get(nil, q).listLinks()["next"].Query().Get("cursor")
	want := w.expect(nil, q)[5:10]
	bad := map[string]string{
		"empty": "", "a space": " ", "a word": "next", "a number": "5", "not base64": "!!!!", "NUL": "\x00", "not UTF-8": "\xff", "longer": good + "A", "much longer": good + strings.Repeat("A", 10_000),
		"huge": strings.Repeat("QUFB", 3000), "padded": good + "=", "a line end": good + "\n", "a space before": " " + good, "twice": good + good, "SQL": "' OR 1=1 --", "JSON": `{"v":["a",1]}`,
		"JSON in base64": base64.RawURLEncoding.EncodeToString([]byte(`{"v":["a",1]}`)), "zeros": base64.RawURLEncoding.EncodeToString(make([]byte, 40)), "16 zeros": base64.RawURLEncoding.EncodeToString(make([]byte, 16)),
	}
	for i := range good {
		bad["cut to "+strconv.Itoa(i)] = good[:i]
		for shift := 1; shift < 64; shift *= 2 {
			if other := alphabet[strings.IndexByte(alphabet, good[i])^shift]; i%4 == 0 || i == len(good)-1 {
				bad["bit "+strconv.Itoa(shift)+" of letter "+strconv.Itoa(i)] = good[:i] + string(other) + good[i+1:]
			}
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	bad["another alphabet"] = strings.TrimRight(base64.StdEncoding.EncodeToString(append(slices.Clone(raw), 0xFB, 0xFF)), "=")
	for name, foreign := range map[string]url.Values{
		"no ordering": {}, "another ordering": {"ordering": {"-title"}}, "one key more": {"ordering": {"title,id"}}, "a filter more": {"ordering": {"title"}, "done": {"false"}},
		"another filter": {"ordering": {"title"}, "visibility": {"public"}}, "a time": {"ordering": {"title"}, "due_after": {"2000-01-01T00:00:00Z"}},
	} {
		foreign.Set("page_size", "1")
		bad[name] = w.get(nil, foreign).listLinks()["next"].Query().Get("cursor")
	}
	bad["of accounts"] = w.do("GET", "/users?page_size=1&ordering=id", nil).want(http.StatusOK).listLinks()["next"].Query().Get("cursor")
	bad["of a server with another secret"] = w.anotherSecret().get(nil, q).listLinks()["next"].Query().Get("cursor")

	for name, cursor := range bad {
		at := copiedQuery(q)
		at.Set("cursor", cursor)
		r := w.get(nil, at)
		if r.Status != http.StatusBadRequest || len(r.complaintsOf("cursor")) == 0 {
			t.Errorf("%s: %d %.300s", name, r.Status, r.Body)
			continue
		}
		r.wantFields("cursor")
		at.Set("cursor", good)
		wantListIDs(t, "the good one after "+name, w.get(nil, at).listIDs(), want)
	}
	w.do("GET", "/users?page_size=5&ordering=title&cursor="+good, nil).wantFields("ordering")
	w.do("GET", "/users?page_size=5&cursor="+good, nil).wantFields("cursor")
	w.get(nil, url.Values{"cursor": {good}, "ordering": {"title"}, "page": {"1"}}).wantFields("cursor")
	w.get(nil, url.Values{"cursor": {good, good}, "ordering": {"title"}}).wantFields("cursor")
}

func TestCursor_UsersThereAndBack(t *testing.T) {
	t.Parallel()
	w := newListWorld(t, 3)
	for _, name := range []string{"Zoe", "adam", "Bert", "ZOe2", "_x_"} {
		w.user(name)
	}
	for ordering, want := range map[string]string{
		"": "alice bob boss Zoe adam Bert ZOe2 _x_", "-id": "_x_ ZOe2 Bert adam Zoe boss bob alice", "username": "_x_ adam alice Bert bob boss Zoe ZOe2",
		"-username": "ZOe2 Zoe boss bob Bert alice adam _x_", "date_joined": "alice bob boss Zoe adam Bert ZOe2 _x_", "-date_joined": "alice bob boss Zoe adam Bert ZOe2 _x_",
	} {
		for _, size := range []string{"1", "3", "8"} {
			q := url.Values{"page_size": {size}}
			if ordering != "" {
				q.Set("ordering", ordering)
			}
			page := w.do("GET", "/users?"+q.Encode(), nil)
			pages := []*response{page}
			for link := page.listLinks()["next"]; link != nil; link = page.listLinks()["next"] {
				page = w.do("GET", link.RequestURI(), nil)
				pages = append(pages, page)
			}
			for link := page.listLinks()["prev"]; link != nil; link = page.listLinks()["prev"] {
				page = w.do("GET", link.RequestURI(), nil)
				pages = append(pages, page)
			}
			there := (len(pages) + 1) / 2
			for direction, part := range map[string][]*response{"there": pages[:there], "back": slices.Clone(pages[there-1:])} {
				var names []string
				if direction == "back" {
					slices.Reverse(part)
				}
				for _, p := range part {
					for _, u := range p.want(http.StatusOK).list() {
						names = append(names, u["username"].(string))
					}
				}
				if got := strings.Join(names, " "); got != want {
					t.Errorf("%s by %q, %s a page: %s\nwant %s", direction, ordering, size, got, want)
				}
			}
		}
	}
}
