package tests

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"dueto/services"
)

func TestCLI_GrantAndRevokeBiteOnTheNextRequestOfARunningServer(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	a := p.serve().app()
	helper, owner := a.user("helper"), a.user("owner")
	task := taskPath(owner.task("Before"))
	change := func() *response { return helper.do("PATCH", task, map[string]any{"title": "After"}) }
	change().wantProblem(http.StatusForbidden, services.CodePermissionDenied)

	p.run("user", "grant", "helper", "users.view", "tasks.change").want(0).prints("Permissions of helper: tasks.change, users.view.\n", "")
	change().want(http.StatusOK)
	p.run("user", "grant", "HELPER", "tasks.change", "tasks.add", "tasks.change").want(0).
		prints("Permissions of HELPER: tasks.add, tasks.change, users.view.\n", "")
	p.run("user", "revoke", "helper", "tasks.change", "tasks.delete", "tasks.add").want(0).prints("Permissions of helper: users.view.\n", "")
	change().wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	p.run("user", "revoke", "helper", "users.view").want(0).prints("Permissions of helper: none.\n", "")

	for _, verb := range []string{"grant", "revoke"} {
		p.run("user", verb, "nobody", "tasks.add").want(1).prints("", "dueto: There is no user nobody.\n")
		p.run("user", verb, "helper", "tasks.add", "everything").want(1).prints("", "dueto: The permissions are not valid.\n"+
			"  permissions: \"everything\" is not a permission. There are: "+strings.Join(services.Permissions(), ", ")+".\n")
	}
	if got := helper.do("GET", "/users/me", nil).want(http.StatusOK).object()["permissions"].([]any); len(got) != 0 {
		t.Errorf("a refused grant gave %v", got)
	}
}

func TestCLI_PromoteAndDemoteBiteOnTheNextRequestOfARunningServer(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	a := p.serve().app()
	alice := a.user("alice")
	staffOnly := func() *response { return alice.do("GET", "/users?is_staff=true", nil) }
	staffOnly().wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	for range 2 {
		p.run("user", "promote", "alice").want(0).prints("alice is staff.\n", "")
		staffOnly().want(http.StatusOK)
	}
	alice.do("PATCH", "/users/me", map[string]any{"is_staff": false}).wantProblem(http.StatusConflict, services.CodeConflict)
	p.run("user", "demote", "alice").want(0).prints("alice is not staff.\n", "") // the last one too
	staffOnly().wantProblem(http.StatusForbidden, services.CodePermissionDenied)
	for _, verb := range []string{"promote", "demote"} {
		p.run("user", verb, "nobody").want(1).prints("", "dueto: There is no user nobody.\n")
	}
}

func TestCLI_UserListPrintsATable(t *testing.T) {
	t.Parallel()
	p := newProgram(t).withEmptyDatabase()
	for _, args := range [][]string{{"list"}, {"grant", "alice", "tasks.add"}, {"promote", "alice"}} {
		o := p.run(append([]string{"user"}, args...)...).want(1)
		if !strings.HasPrefix(o.stderr, "dueto: there is no database: ") || o.stdout != "" {
			t.Errorf("%s printed %q, %q", o.what, o.stdout, o.stderr)
		}
	}
	p.wantNoDatabase() // a misspelt name leaves no database behind

	p.superuser("root")
	a := p.serve().app()
	a.user("Alice")
	a.user("bob")
	a.register("carol")
	p.run("user", "grant", "alice", "users.view", "tasks.add").want(0)
	p.run("user", "deactivate", "bob").want(0)

	const day = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`
	const head = `ID  USERNAME  E-MAIL +ACTIVE +STAFF +PERMISSIONS +JOINED +LAST LOGIN\n`
	root := `1   root      root@example\.com +yes +yes +- +` + day + `  never\n`
	alice := `2   Alice     Alice@example\.com +yes +no +tasks\.add, users\.view +` + day + `  ` + day + `\n`
	bob := `3   bob       bob@example\.com +no +no +- +` + day + `  ` + day + `\n`
	carol := `4   carol     carol@example\.com +not yet +no +- +` + day + `  never\n`
	for _, tt := range []struct {
		args []string
		rows string
	}{
		{nil, root + alice + bob + carol},
		{[]string{"--staff"}, root},
		{[]string{"--inactive"}, bob + carol},
		{[]string{"--never-activated"}, carol},
		{[]string{"--search", "EXAMPLE a"}, root + alice + bob + carol},
		{[]string{"--search", "li alice@example.com"}, alice},
		{[]string{"--inactive", "--search=bob"}, bob},
		{[]string{"--staff", "--inactive"}, ""},
	} {
		o := p.run(append([]string{"user", "list"}, tt.args...)...).want(0)
		// A column is as wide as its widest cell.
		rows := regexp.MustCompile(`(ID|[1-4]) +(\S+) +`).ReplaceAllStringFunc(o.stdout, func(s string) string {
			cells := strings.Fields(s)
			return cells[0] + strings.Repeat(" ", 4-len(cells[0])) + cells[1] + strings.Repeat(" ", max(1, 10-len(cells[1])))
		})
		if !regexp.MustCompile(`^`+head+tt.rows+`$`).MatchString(rows) || o.stderr != "" {
			t.Errorf("%s printed\n%s%s", o.what, o.stdout, o.stderr)
		}
	}
	p.run("user", "list", "--search", strings.Repeat("a ", 11)).want(2).
		prints("", "dueto: --search: Ensure this field has no more than 10 words.\n")
}
