package main

import (
	"encoding/json"
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
}

func workloads(clients int) []workload {
	return []workload{
		{"get", "one task by id", []string{constant, floor, dueto}, clients, (*plan).gets},
		{"list", "first page of 50", []string{constant, floor, dueto}, clients, (*plan).lists},
		{"filtered", "a person's open tasks by due date", []string{floor, dueto}, clients, (*plan).filtered},
		{"deep", "cursor page deep in the list", []string{floor, dueto}, clients, (*plan).deep},
		{"conditional", "one task, not modified (304)", []string{constant, floor, dueto}, clients, (*plan).conditional},
		{"create", "create, durable", []string{constant, floor, floorGrouped, dueto}, clients, (*plan).creates},
		{"create1", "create, durable, one client", []string{constant, floor, floorGrouped, dueto}, 1, (*plan).creates},
	}
}

// plan is what is asked for: the same rows of each server.
type plan struct {
	ids     []int64
	persons []int
	places  []place
}

// place is deep in the list of tasks: the cursor that Dueto gave for it, and
// the id of the last task before it.
type place struct {
	cursor string
	after  int64
}

const variety = 500 // different requests of a kind

func makePlan(d *server, tasks int) (*plan, error) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same requests each time
	p := &plan{}
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
	return p, p.walk(d, tasks/2)
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
