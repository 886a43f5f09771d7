package tests

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dueto/services"
)

// taskLedger is what the server has acknowledged to one writer.
type taskLedger struct {
	owner   *person
	kept    map[int64]string // titles by id
	deleted []int64
	writes  int
}

// work makes, changes or deletes a task of one's own, and books what was
// acknowledged.
func (l *taskLedger) work(random *rand.Rand, title string) error {
	var id int64
	for id = range l.kept {
		if random.IntN(4) == 0 {
			break
		}
	}
	choice := random.IntN(10)
	l.writes++
	switch {
	case id == 0 || choice < 4:
		r := l.owner.do("POST", "/tasks", map[string]any{"title": title})
		if r.Status != http.StatusCreated {
			return fmt.Errorf("POST /tasks: %d %s", r.Status, r.Body)
		}
		l.kept[r.id()] = title
	case choice < 8:
		r := l.owner.do("PATCH", taskPath(id), map[string]any{"title": title})
		if r.Status != http.StatusOK || r.object()["title"] != title {
			return fmt.Errorf("PATCH %s: %d %s", taskPath(id), r.Status, r.Body)
		}
		l.kept[id] = title
	default:
		if r := l.owner.do("DELETE", taskPath(id), nil); r.Status != http.StatusNoContent {
			return fmt.Errorf("DELETE %s: %d %s", taskPath(id), r.Status, r.Body)
		}
		delete(l.kept, id)
		l.deleted = append(l.deleted, id)
	}
	return nil
}

var followingLink = regexp.MustCompile(`<([^>]+)>; rel="next"`)

// followingPath gives the path of the next page, or "".
func (r *response) followingPath(a *app) string {
	found := followingLink.FindStringSubmatch(r.Header.Get("Link"))
	if found == nil {
		return ""
	}
	return strings.TrimPrefix(found[1], a.Config.PublicURL)
}

// browseTasks reads what a client reads, and checks that each answer is whole.
func browseTasks(a *app, random *rand.Rand, newest int64) error {
	switch random.IntN(4) {
	case 0:
		id := 1 + random.Int64N(newest)
		r := a.do("GET", taskPath(id), nil)
		if r.Status != http.StatusNotFound && (r.Status != http.StatusOK || r.id() != id) {
			return fmt.Errorf("GET %s: %d %s", taskPath(id), r.Status, r.Body)
		}
	case 1:
		r := a.do("GET", "/users?page_size=5&count=exact", nil)
		if r.Status != http.StatusOK || len(r.list()) != 5 {
			return fmt.Errorf("GET /users: %d %s", r.Status, r.Body)
		}
	default:
		last := 0.0
		for path, pages := "/tasks?page_size=7", 0; path != "" && pages < 4; pages++ {
			r := a.do("GET", path, nil)
			if r.Status != http.StatusOK {
				return fmt.Errorf("GET %s: %d %s", path, r.Status, r.Body)
			}
			for _, task := range r.list() {
				if id := task["id"].(float64); id <= last {
					return fmt.Errorf("GET %s: task %v after %v", path, id, last)
				} else {
					last = id
				}
			}
			path = r.followingPath(a)
		}
	}
	return nil
}

func TestConcurrency_NothingAcknowledgedIsLost(t *testing.T) {
	a := newApp(t)
	const owners, writers, readers = 10, 50, 50
	people := make([]*person, owners)
	for i := range people {
		people[i] = a.user(fmt.Sprintf("owner%d", i))
	}
	ledgers := make([]*taskLedger, writers)
	var newest atomic.Int64
	newest.Store(1)
	stop := time.Now().Add(3 * time.Second)
	var wg sync.WaitGroup
	for i := range ledgers {
		ledgers[i] = &taskLedger{owner: people[i%owners], kept: map[int64]string{}}
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for n := 0; time.Now().Before(stop); n++ {
				if err := ledgers[i].work(random, fmt.Sprintf("task %d of writer %d", n, i)); err != nil {
					t.Error(err)
					return
				}
				newest.Add(1)
			}
		})
	}
	for i := range readers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for time.Now().Before(stop) {
				if err := browseTasks(a, random, newest.Load()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	checkTaskLedgers(t, a, ledgers)
	checkTaskLedgers(t, a.restart(), ledgers)
}

// checkTaskLedgers compares everything that was acknowledged with what is there.
func checkTaskLedgers(t *testing.T, a *app, ledgers []*taskLedger) {
	t.Helper()
	want, counts, writes := map[int64]string{}, map[int64]int{}, 0
	for _, l := range ledgers {
		maps.Copy(want, l.kept)
		counts[l.owner.ID] += len(l.kept)
		writes += l.writes
	}
	if writes < len(ledgers) {
		t.Fatalf("%d writes by %d writers", writes, len(ledgers))
	}
	got := map[int64]string{}
	for path := "/tasks?page_size=200&count=exact"; path != ""; {
		r := a.do("GET", path, nil).want(http.StatusOK)
		if total := r.Header.Get("X-Total-Count"); total != strconv.Itoa(len(want)) {
			t.Fatalf("X-Total-Count %s, want %d", total, len(want))
		}
		for _, task := range r.list() {
			got[int64(task["id"].(float64))] = task["title"].(string)
		}
		path = r.followingPath(a)
	}
	if !maps.Equal(got, want) {
		t.Errorf("%d tasks are there, %d were acknowledged, or they differ", len(got), len(want))
	}
	for id, n := range counts {
		if o := a.do("GET", userPath(id), nil).want(http.StatusOK).object(); o["task_count"] != float64(n) {
			t.Errorf("user %d has task_count %v, want %d", id, o["task_count"], n)
		}
	}
	for _, l := range ledgers {
		for _, id := range l.deleted[:min(3, len(l.deleted))] {
			a.do("GET", taskPath(id), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
		}
	}
}

// untilNotBusy repeats a request that was turned away for want of a slot to
// hash in, as Retry-After invites to.
func untilNotBusy(send func() *response) *response {
	for {
		r := send()
		if r.Status != http.StatusServiceUnavailable || r.object()["code"] != string(services.CodeBusy) || r.Header.Get("Retry-After") == "" {
			return r
		}
	}
}

func TestConcurrency_RegistrationsOfOneNameOrAddressMakeOneAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		username, email string // each with a number
		errors          map[string]any
	}{
		"name":    {"alice", "alice%d@example.com", map[string]any{"username": []any{"A user with that username already exists."}}},
		"address": {"alice%d", "alice@example.com", map[string]any{"email": []any{"A user with that email already exists."}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			numbered := func(s string, i int) string { return strings.ReplaceAll(s, "%d", strconv.Itoa(i)) }
			answers := sendAtOnce(100, func(i int) *response {
				return untilNotBusy(func() *response {
					return a.do("POST", "/auth/register", map[string]any{
						"username": numbered(c.username, i), "email": numbered(c.email, i), "password": password,
					})
				})
			})
			made := 0
			for _, r := range answers {
				if r.Status == http.StatusCreated {
					made++
					continue
				}
				r.wantProblem(http.StatusBadRequest, services.CodeInvalid)
				if got := r.object()["errors"]; !reflect.DeepEqual(got, c.errors) {
					t.Fatalf("got the errors %v", got)
				}
			}
			if made != 1 {
				t.Fatalf("%d accounts were made", made)
			}
			root := a.staff("root")
			if total := root.do("GET", "/users?count=exact", nil).want(http.StatusOK).Header.Get("X-Total-Count"); total != "2" {
				t.Fatalf("%s accounts are there, root among them", total)
			}
		})
	}
}

// tallyStatuses counts answers by status.
func tallyStatuses(answers []*response) map[int]int {
	counts := map[int]int{}
	for _, r := range answers {
		counts[r.Status]++
	}
	return counts
}

func TestConcurrency_OnePatchOfManyWithOneVersionWins(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("Contended")
	match := header{"If-Match", a.do("GET", taskPath(id), nil).Header.Get("ETag")}
	answers := sendAtOnce(20, func(i int) *response {
		return alice.do("PATCH", taskPath(id), map[string]any{"title": fmt.Sprintf("Attempt %d", i)}, match)
	})
	if got := tallyStatuses(answers); !maps.Equal(got, map[int]int{http.StatusOK: 1, http.StatusPreconditionFailed: 19}) {
		t.Fatalf("answers by status: %v", got)
	}
	for _, r := range answers {
		if r.Status == http.StatusPreconditionFailed {
			r.wantProblem(http.StatusPreconditionFailed, services.CodePrecondition)
		} else if now := a.do("GET", taskPath(id), nil).object(); now["title"] != r.object()["title"] {
			t.Errorf("the task is %v, the winner was told %v", now["title"], r.object()["title"])
		}
	}
}

func TestConcurrency_OneOfManyDeletesWins(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("Contended")
	answers := sendAtOnce(20, func(int) *response { return alice.do("DELETE", taskPath(id), nil) })
	if got := tallyStatuses(answers); !maps.Equal(got, map[int]int{http.StatusNoContent: 1, http.StatusNotFound: 19}) {
		t.Fatalf("answers by status: %v", got)
	}
}

func TestConcurrency_OneActivationOfManyWins(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, link := a.register("alice")
	answers := sendAtOnce(20, func(i int) *response { return a.do([]string{"GET", "POST"}[i%2], link, nil) })
	if got := tallyStatuses(answers); !maps.Equal(got, map[int]int{http.StatusOK: 1, http.StatusConflict: 19}) {
		t.Fatalf("answers by status: %v", got)
	}
	a.login("alice")
}

func TestConcurrency_RenamesToOneNameMakeOneHolder(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	people := make([]*person, 10)
	for i := range people {
		people[i] = a.user(fmt.Sprintf("person%d", i))
	}
	answers := sendAtOnce(len(people), func(i int) *response {
		return people[i].do("PATCH", "/users/me", map[string]any{"username": "Contended"})
	})
	if got := tallyStatuses(answers); !maps.Equal(got, map[int]int{http.StatusOK: 1, http.StatusBadRequest: 9}) {
		t.Fatalf("answers by status: %v", got)
	}
	for _, r := range answers {
		if r.Status == http.StatusBadRequest {
			r.wantFields("username")
		}
	}
}

func TestConcurrency_LogoutBeatsParallelRefreshes(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	answers := sendAtOnce(20, func(i int) *response {
		if i == 10 {
			return a.logoutWith(alice.Refresh)
		}
		return a.refreshWith(alice.Refresh)
	})
	answers[10].want(http.StatusNoContent)
	for i, r := range answers {
		switch {
		case i == 10:
		case r.Status == http.StatusOK: // it came before the logout
			gained := &person{app: a}
			gained.setTokens(r)
			gained.wantSignedOut(services.CodeTokenNotValid)
		default:
			wantRefusedToken(t, r, services.CodeTokenNotValid)
		}
	}
}
