package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// The servers, in the order of the columns.
const (
	constant     = "constant"
	floor        = "floor"
	floorGrouped = "floor-grouped"
	dueto        = "dueto"
)

// workload is one kind of request, sent to some of the servers.
type workload struct {
	name    string
	title   string
	servers []string
	clients int
	// requests makes what a server is sent.
	requests func(*plan, *server) ([][]byte, error)
	// chained are requests that come of one another, in place of them.
	chained func(*plan) []source
}

func (w workload) called() string { return w.name }

func (w workload) sources(p *plan, s *server) ([]source, error) {
	if w.chained != nil {
		return w.chained(p)[:w.clients], nil
	}
	requests, err := w.requests(p, s)
	return inTurn(requests, w.clients), err
}

func workloads(clients int) []workload {
	return []workload{
		{"get", "one task by id", []string{constant, floor, dueto}, clients, (*plan).gets, nil},
		{"list", "first page of 50", []string{constant, floor, dueto}, clients, (*plan).lists, nil},
		{"filtered", "a person's open tasks by due date", []string{floor, dueto}, clients, (*plan).filtered, nil},
		{"deep", "page 50,000 rows deep, by cursor", []string{floor, dueto}, clients, (*plan).deep, nil},
		{"conditional", "one task, not modified (304)", []string{constant, floor, dueto}, clients, (*plan).conditional, nil},
		{"create", "create, durable", []string{floor, floorGrouped, dueto}, clients, (*plan).creates, nil},
		{"change", "change, durable", []string{floor, floorGrouped, dueto}, clients, (*plan).changes, nil},
		{"create1", "create, durable, one client", []string{floor, floorGrouped, dueto}, 1, (*plan).creates, nil},
		{"refresh", "token refresh", []string{dueto}, clients, nil, (*plan).refreshes},
	}
}

// plan is what is asked for: the same rows of each server.
type plan struct {
	ids     []int64
	own     []int64 // of the account that signs in
	others  int64   // somebody else's, for all to read
	persons []int
	places  []place
	chains  []source // of refresh tokens
}

// place is deep in the list of tasks: the cursor that Dueto gave for it, and
// the id of the last task before it.
type place struct {
	cursor string
	after  int64
}

const (
	variety = 500    // different requests of a kind
	depth   = 50_000 // of the deep pages, in rows, or half of all where there are fewer
)

func makePlan(d *server, tasks int) (_ *plan, err error) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same requests each time
	p := &plan{own: ownTasks(tasks)}
	if p.others, err = foreign(d); err != nil {
		return nil, err
	}
	for range variety {
		p.persons = append(p.persons, 1+random.IntN(accounts))
	}
	for len(p.ids) < variety {
		id := 1 + random.Int64N(int64(tasks))
		status, _, _, err := call(d, http.MethodGet, taskPath(id), "")
		if err != nil {
			return nil, err
		}
		if status == http.StatusOK { // a private task is not there for nobody
			p.ids = append(p.ids, id)
		}
	}
	if p.chains, err = signInAll(d); err != nil {
		return nil, err
	}
	return p, p.walk(d, min(depth, tasks/2))
}

// foreign gives a task that is neither for nor by the first account.
func foreign(d *server) (int64, error) {
	status, _, body, err := call(d, http.MethodGet, "/tasks?page_size=200", "")
	if err != nil {
		return 0, err
	}
	var page []struct {
		ID        int64 `json:"id"`
		Person    int64 `json:"person"`
		CreatedBy int64 `json:"created_by"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return 0, fmt.Errorf("GET /tasks was answered %d: %w", status, err)
	}
	for _, task := range page {
		if task.Person != 1 && task.CreatedBy != 1 {
			return task.ID, nil
		}
	}
	return 0, errors.New("every task is the first account's")
}

var nextCursor = regexp.MustCompile(`<[^>]*[?&]cursor=([^&>]*)[^>]*>; rel="next"`)

// walk follows Dueto's Link headers to a depth and keeps the last places.
func (p *plan) walk(d *server, depth int) error {
	path := "/tasks?page_size=200"
	for seen := 0; seen < depth; {
		status, header, body, err := call(d, http.MethodGet, path, "")
		if err != nil {
			return err
		}
		var page []struct {
			ID int64 `json:"id"`
		}
		link := nextCursor.FindStringSubmatch(header.Get("Link"))
		if err := json.Unmarshal(body, &page); err != nil || status != http.StatusOK || link == nil || len(page) == 0 {
			return fmt.Errorf("GET %s: status %d, Link %q: no way on", path, status, header.Get("Link"))
		}
		cursor, err := url.QueryUnescape(link[1])
		if err != nil {
			return err
		}
		p.places = append(p.places, place{cursor, page[len(page)-1].ID})
		seen += len(page)
		path = "/tasks?page_size=200&cursor=" + url.QueryEscape(cursor)
	}
	p.places = p.places[max(0, len(p.places)-50):]
	return nil
}

func taskPath(id int64) string { return "/tasks/" + strconv.FormatInt(id, 10) }

func (p *plan) gets(s *server) (list [][]byte, err error) {
	for _, id := range p.ids {
		list = append(list, request(s, http.MethodGet, taskPath(id), ""))
	}
	return list, nil
}

func (p *plan) lists(s *server) ([][]byte, error) {
	return [][]byte{request(s, http.MethodGet, "/tasks", "")}, nil
}

func personPath(person int) string {
	return "/tasks?person=" + strconv.Itoa(person) + "&done=false&ordering=due_to"
}

func (p *plan) filtered(s *server) (list [][]byte, err error) {
	for _, person := range p.persons {
		list = append(list, request(s, http.MethodGet, personPath(person), ""))
	}
	return list, nil
}

func (p place) path(s *server) string {
	if s.name == dueto {
		return "/tasks?cursor=" + url.QueryEscape(p.cursor)
	}
	return "/tasks?after=" + strconv.FormatInt(p.after, 10)
}

func (p *plan) deep(s *server) (list [][]byte, err error) {
	for _, at := range p.places {
		list = append(list, request(s, http.MethodGet, at.path(s), ""))
	}
	return list, nil
}

func (p *plan) conditional(s *server) (list [][]byte, err error) {
	for _, id := range p.ids {
		_, header, _, err := call(s, http.MethodGet, taskPath(id), "")
		if err != nil {
			return nil, err
		}
		list = append(list, request(s, http.MethodGet, taskPath(id), "", "If-None-Match: "+header.Get("ETag")))
	}
	return list, nil
}

func (p *plan) creates(s *server) (list [][]byte, err error) {
	for i := range variety {
		list = append(list, request(s, http.MethodPost, "/tasks", newTask(i), "Authorization: Bearer "+s.token))
	}
	return list, nil
}

// changes tick a task off, or not, and every other time give it another text
// and date.
func (p *plan) changes(s *server) (list [][]byte, err error) {
	for i, id := range p.own {
		list = append(list, request(s, http.MethodPatch, taskPath(id), changedTask(i), "Authorization: Bearer "+s.token))
	}
	return list, nil
}

func changedTask(i int) string {
	if i%2 == 0 {
		return fmt.Sprintf(`{"done":%t}`, i%4 == 0)
	}
	return fmt.Sprintf(`{"title":"Look at number %d again","due_to":"2031-%02d-%02dT%02d:00:00Z"}`, i, 1+i%12, 1+i%28, i%24)
}

func (p *plan) refreshes() []source { return p.chains }

func newTask(i int) string {
	return fmt.Sprintf(`{"title":"Write down number %d","description":"As agreed on the phone.","due_to":"2030-%02d-%02dT%02d:30:00+01:00","priority":%d,"tags":["work","phone"]}`,
		i, 1+i%12, 1+i%28, i%24, i%5)
}

// request makes the bytes of a request.
func request(s *server, method, path, body string, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n", method, path, s.addr())
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return []byte(b.String() + "\r\n" + body)
}
