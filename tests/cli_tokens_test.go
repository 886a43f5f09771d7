package tests

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

var generatedToken = regexp.MustCompile(`^Generated token (dueto_[a-z2-7]{59}) for user (\S+)\n$`)

// createToken runs dueto token create and gives the key that it prints.
func (p *program) createToken(a *app, user string, args ...string) *apiToken {
	p.t.Helper()
	o := p.run(append([]string{"token", "create", user}, args...)...).want(0)
	printed := generatedToken.FindStringSubmatch(o.stdout)
	if printed == nil || printed[2] != user || o.stderr != "" {
		p.t.Fatalf("%s printed %q, %q", o.what, o.stdout, o.stderr)
	}
	return &apiToken{app: a, Key: printed[1]}
}

func TestCLI_TokenCreatePrintsAKeyThatARunningServerTakesAtOnce(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	a := p.serve().app()
	alice := a.user("alice")
	token := p.createToken(a, "alice")
	if got := token.do("GET", "/users/me", nil).want(http.StatusOK).id(); got != alice.ID {
		t.Errorf("it speaks for %d", got)
	}
	made := alice.do("GET", apiTokenPath(1), nil).want(http.StatusOK).object()
	if made["name"] != "cli" || made["permissions"] != nil || made["last_four"] != token.Key[61:] || made["last_used_at"] == nil {
		t.Errorf("it is %v", made)
	}
	lasts := func(id int64) time.Duration {
		t.Helper()
		o := alice.do("GET", apiTokenPath(id), nil).want(http.StatusOK).object()
		created, err := time.Parse(time.RFC3339, o["created_at"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if o["expires_at"] == nil {
			return 0
		}
		expires, err := time.Parse(time.RFC3339, o["expires_at"].(string))
		if err != nil {
			t.Fatal(err)
		}
		return expires.Sub(created).Round(time.Minute)
	}
	if got := lasts(1); got != 90*24*time.Hour {
		t.Errorf("it lasts %v", got)
	}
	p.createToken(a, "ALICE", "--name=a name of words", "--permission=tasks.view", "--permission", "tasks.add", "--permission=tasks.view", "--expires=12h")
	limited := alice.do("GET", apiTokenPath(2), nil).want(http.StatusOK)
	if o := limited.object(); o["name"] != "a name of words" || !strings.Contains(string(limited.Body), `"permissions":["tasks.add","tasks.view"]`) {
		t.Errorf("it is %v", o)
	}
	p.createToken(a, "alice", "--expires", "30d")
	p.createToken(a, "alice", "--expires=never")
	for id, want := range map[int64]time.Duration{2: 12 * time.Hour, 3: 30 * 24 * time.Hour, 4: 0} {
		if got := lasts(id); got != want {
			t.Errorf("token %d lasts %v, want %v", id, got, want)
		}
	}
	p.run("token", "create", "alice", "--name= ", "--permission=everything").want(1).prints("", "dueto: The token is not valid.\n"+
		"  name: This field may not be blank.\n"+
		"  permissions: \"everything\" is not a permission. There are: "+strings.Join(services.Permissions(), ", ")+".\n")
	p.run("token", "create", "nobody").want(1).prints("", "dueto: There is no user nobody.\n")
	for _, expires := range []string{"tomorrow", "-1d"} { // the table is beside the code
		p.run("token", "create", "alice", "--expires="+expires).want(2).
			prints("", `dueto: --expires "`+expires+`" is no time such as 12h or 90d, nor never`+"\n")
	}
	p.run("token", "create").want(2)
	if n := len(alice.do("GET", "/auth/tokens", nil).want(http.StatusOK).listIDs()); n != 4 {
		t.Errorf("%d tokens, want 4", n)
	}
}

func TestCLI_TokenCreateWithResetReplacesThoseOfTheSameName(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	a := p.serve().app()
	a.user("alice")
	a.user("bob")
	first, second := p.createToken(a, "alice", "--name=script"), p.createToken(a, "alice", "--name=script")
	other, bobs := p.createToken(a, "alice", "--name=other"), p.createToken(a, "bob", "--name=script")
	third := p.createToken(a, "alice", "--name=script", "--reset")
	for _, gone := range []*apiToken{first, second} {
		wantRefusedToken(t, gone.do("GET", "/users/me", nil), services.CodeTokenNotValid)
	}
	for _, kept := range []*apiToken{other, bobs, third} {
		kept.do("GET", "/users/me", nil).want(http.StatusOK)
	}
	p.run("token", "create", "alice", "--name=script", "--reset", "--permission=everything").want(1)
	p.run("token", "create", "alice", "--name=script", "--reset", "--expires=soon").want(2)
	third.do("GET", "/users/me", nil).want(http.StatusOK) // a refused one replaces nothing
	fresh := p.createToken(a, "alice", "--name=unheard of", "--reset")
	fresh.do("GET", "/users/me", nil).want(http.StatusOK)
	third.do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestCLI_TokenListAndRevoke(t *testing.T) {
	t.Parallel()
	p := newProgram(t).withEmptyDatabase()
	for _, args := range [][]string{{"create", "alice"}, {"list"}, {"revoke", "1"}} {
		o := p.run(append([]string{"token"}, args...)...).want(1)
		if !strings.HasPrefix(o.stderr, "dueto: there is no database: ") || o.stdout != "" {
			t.Errorf("%s printed %q, %q", o.what, o.stdout, o.stderr)
		}
	}
	p.wantNoDatabase()
	a := p.serve().app()
	alice, bob := a.user("alice"), a.user("bob")
	tokens := []*apiToken{
		p.createToken(a, "alice", "--expires=never"), p.createToken(a, "bob", "--name=the script", "--permission=tasks.view", "--permission=tasks.add"),
		alice.apiToken("none", []string{}),
	}
	tokens[0].do("GET", "/tasks", nil).want(http.StatusOK)

	const day = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`
	const head = `ID +USER +NAME +ENDS IN +PERMISSIONS +CREATED +EXPIRES +LAST USED\n`
	last := func(i int) string { return tokens[i].Key[61:] }
	rows := []string{
		`1 +1 +cli +` + last(0) + ` +all +` + day + ` +never +` + day + `\n`,
		`2 +2 +the script +` + last(1) + ` +tasks\.add, tasks\.view +` + day + ` +` + day + ` +never\n`,
		`3 +1 +none +` + last(2) + ` +none +` + day + ` +` + day + ` +never\n`,
	}
	for _, tt := range []struct {
		args []string
		rows string
	}{
		{nil, rows[0] + rows[1] + rows[2]}, {[]string{"alice"}, rows[0] + rows[2]}, {[]string{"BOB"}, rows[1]},
	} {
		o := p.run(append([]string{"token", "list"}, tt.args...)...).want(0)
		if !regexp.MustCompile(`^`+head+tt.rows+`$`).MatchString(o.stdout) || o.stderr != "" {
			t.Errorf("%s printed\n%s%s", o.what, o.stdout, o.stderr)
		}
		if strings.Contains(o.stdout, "dueto_") || strings.Contains(o.stdout, tokens[0].Key[6:20]) {
			t.Errorf("%s prints a key:\n%s", o.what, o.stdout)
		}
	}
	p.run("token", "list", "nobody").want(1).prints("", "dueto: There is no user nobody.\n")

	p.run("token", "revoke", "2").want(0).prints("Token 2 is revoked.\n", "")
	wantRefusedToken(t, tokens[1].do("GET", "/tasks", nil), services.CodeTokenNotValid)
	tokens[0].do("GET", "/tasks", nil).want(http.StatusOK)
	for _, id := range []string{"2", "99"} {
		p.run("token", "revoke", id).want(1).prints("", "dueto: There is no API token "+id+".\n")
	}
	if o := p.run("token", "revoke", "x").want(2); !strings.Contains(o.stderr, `"x"`) || o.stdout != "" {
		t.Errorf("%s printed %q, %q", o.what, o.stdout, o.stderr)
	}
	if got := bob.do("GET", "/auth/tokens", nil).want(http.StatusOK).listIDs(); len(got) != 0 {
		t.Errorf("bob has %v", got)
	}
}
