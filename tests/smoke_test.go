package tests

import (
	"net/http"
	"testing"
)

func TestMainJob_RegisterActivateLoginKeepTasks(t *testing.T) {
	a := newApp(t)
	alice := a.user("alice")
	id := alice.task("Next one", map[string]any{"due_to": "2026-12-18T20:12:01+01:00"})
	task := a.do("GET", taskPath(id), nil).want(http.StatusOK).object()
	if task["due_to"] != "2026-12-18T19:12:01Z" || task["person"] != float64(alice.ID) || task["done_at"] != nil {
		t.Fatalf("the task came back as %v", task)
	}
	done := alice.do("PATCH", taskPath(id), map[string]any{"done": true}).want(http.StatusOK).object()
	if done["done"] != true || done["done_at"] != "2026-10-18T12:00:00Z" {
		t.Fatalf("done came back as %v", done)
	}
	a.do("DELETE", taskPath(id), nil).wantProblem(http.StatusUnauthorized, "not_authenticated")
	alice.do("DELETE", taskPath(id), nil).want(http.StatusNoContent)
	a.do("GET", taskPath(id), nil).wantProblem(http.StatusNotFound, "not_found")
}
