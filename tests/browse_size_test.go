package tests

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestBrowse_OfALongAnswerThePageHasTheBeginning(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	for range 100 {
		alice.task(nasty, map[string]any{"description": strings.Repeat(`ü"'<>&`, 1600)})
	}
	const path = "/tasks?ordering=-id&page_size=100"
	program := a.do("GET", path, nil).want(http.StatusOK)
	if len(program.Body) < 1<<20 {
		t.Fatalf("the answer has %d bytes, too few", len(program.Body))
	}
	r := a.do("GET", path, nil, browserAccept)
	p := r.shown(http.StatusOK)
	shown := p.text("json")
	if !strings.HasPrefix(string(program.Body), shown) || len(shown) < 100<<10 || len(shown) > 128<<10 {
		t.Errorf("of %d bytes the page shows %d: %.200s", len(program.Body), len(shown), shown)
	}
	if len(r.Body) > 512<<10 { // a quote takes five
		t.Errorf("the page has %d bytes", len(r.Body))
	}
	whole := p.byID("whole")
	if whole == nil || attr(whole, "href") != path+"&format=json" {
		t.Fatalf("the whole of it is at %v", whole)
	}
	if all := a.do("GET", attr(whole, "href"), nil, browserAccept).want(http.StatusOK); string(all.Body) != string(program.Body) {
		t.Errorf("the link leads to %d bytes, want %d", len(all.Body), len(program.Body))
	}
	if got := attr(a.look("/tasks", http.StatusOK).byID("whole"), "href"); got != "/tasks?format=json" {
		t.Errorf("without a query the whole of it is at %q", got)
	}
	if a.look("/tasks?page_size=1", http.StatusOK).byID("whole") != nil {
		t.Error("a short answer is said to be long")
	}
}

func TestBrowse_ThePagesLengthIsThatOfThePage(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for path, status := range map[string]int{"/tasks": 200, "/nowhere": 404} {
		r := a.do("GET", path, nil, browserAccept).want(status)
		if got := r.Header.Get("Content-Length"); got != strconv.Itoa(len(r.Body)) {
			t.Errorf("%s: Content-Length %s of %d bytes", path, got, len(r.Body))
		}
	}
}
