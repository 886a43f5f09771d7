package tests

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

// actor is who the rules take the person for, as the request's check left it.
func (p *person) actor() services.Actor {
	p.t.Helper()
	auth := services.NewAuthenticator(p.Services.Sessions, p.Services.APITokens)
	actor, err := auth.Authenticate(context.Background(), services.Credential{Token: p.Access})
	if err != nil {
		p.t.Fatal(err)
	}
	return actor
}

// What was true when a request was let in may not be when it writes: passwords
// are hashed in between. The actor is taken first here, and used afterwards.
func TestWrites_DoNotOutliveTheAuthorityThatTheyBeganWith(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		take func(boss, rogue *person)
		want *services.Error
	}{
		"deactivated": {func(boss, rogue *person) {
			boss.do("PATCH", userPath(rogue.ID), map[string]any{"is_active": false}).want(http.StatusOK)
		}, services.ErrUserInactive},
		"deleted": {func(boss, rogue *person) {
			boss.do("DELETE", userPath(rogue.ID), nil).want(http.StatusNoContent)
		}, services.ErrTokenNotValid},
		"session ended": {func(_, rogue *person) {
			rogue.do("DELETE", "/auth/sessions?all=true", nil).want(http.StatusNoContent)
		}, services.ErrTokenNotValid},
		"forced to reset": {func(boss, rogue *person) {
			boss.do("POST", userPath(rogue.ID)+"/password/reset", nil).want(http.StatusAccepted)
		}, services.ErrTokenNotValid},
		"demoted": {func(boss, rogue *person) {
			boss.do("PATCH", userPath(rogue.ID), map[string]any{"is_staff": false}).want(http.StatusOK)
		}, services.ErrPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			boss, rogue, alice := a.staff("boss"), a.staff("rogue"), a.user("alice")
			actor := rogue.actor()
			test.take(boss, rogue)
			ctx := context.Background()
			_, created := a.Services.Users.Create(ctx, actor, services.NewAccount{Username: "mallory", Email: "mallory@example.com", Password: password, Active: true, Staff: true})
			_, changed := a.Services.Users.Update(ctx, actor, alice.ID, services.UserPatch{Staff: services.SetTo(true)}, services.Expected{})
			for what, err := range map[string]error{
				"create": created, "change": changed,
				"delete": a.Services.Users.Delete(ctx, actor, alice.ID, services.DeleteUser{}, services.Expected{}),
				"reset":  a.Services.Users.ForceReset(ctx, actor, alice.ID),
			} {
				if got := services.Public(err); err == nil || got.Code != test.want.Code {
					t.Errorf("%s: %v, want %s", what, err, test.want.Code)
				}
			}
			_, _, minted := a.Services.APITokens.Create(ctx, actor, services.NewAPIToken{Name: "mine"})
			if (minted == nil) != (name == "demoted") {
				t.Errorf("an API token: %v", minted)
			}
			if o := boss.do("GET", userPath(alice.ID), nil).want(http.StatusOK).object(); o["is_staff"] != false || o["username"] != "alice" {
				t.Errorf("alice is %v", o)
			}
			boss.do("GET", "/users?search=mallory", nil).want(http.StatusOK)
			if list := boss.do("GET", "/users?search=mallory", nil).list(); len(list) != 0 {
				t.Errorf("there is %v", list)
			}
		})
	}
}

func TestUsername_IsNobodyElsesAddressNorOneThatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	for _, body := range []map[string]any{
		{"username": "ceo@corp.example"},
		{"username": "ceo@corp.example", "email": "ceo@corp.example"},
	} {
		alice.do("PATCH", "/users/me", body).wantFields("username")
	}
	alice.do("PATCH", "/users/me", map[string]any{"email": "ceo@corp.example"}).want(http.StatusOK)
	alice.do("PATCH", "/users/me", map[string]any{"username": "ceo@corp.example"}).wantFields("username")
	alice.do("PATCH", "/users/me", map[string]any{"username": "alice@example.com"}).want(http.StatusOK)
	// With the old address for a name the new one cannot be asked for.
	alice.do("PATCH", "/users/me", map[string]any{"email": "new@example.com"}).wantFields("username")
}

func TestPendingEmail_IsTakenBackByNullAndByNothingElse(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	pending := func(body any) any {
		return alice.do("PATCH", "/users/me", body).want(http.StatusOK).object()["pending_email"]
	}
	if got := pending(map[string]any{"email": "new@example.com"}); got != "new@example.com" {
		t.Fatalf("pending is %v", got)
	}
	same := alice.do("GET", "/users/me", nil).object()
	if got := pending(same); got != "new@example.com" {
		t.Errorf("what was read and is sent back makes it %v", got)
	}
	if got := pending(map[string]any{"pending_email": "other@example.com"}); got != "new@example.com" {
		t.Errorf("it was set to %v", got)
	}
	if got := pending(map[string]any{"pending_email": nil}); got != nil {
		t.Errorf("it is %v still", got)
	}
}

func TestPasswordReset_EndsAPITokensAndForgivesWhatOthersGuessed(t *testing.T) {
	t.Parallel()
	mails := newMailServer(t)
	a := newApp(t, func(c *config.Config) {
		c.Throttle, c.TrustedProxies = "on", []string{"127.0.0.1"}
		c.SMTPURL, c.MailFrom = config.ServerURL(mails.URL()), "todo@example.com"
	})
	boss := a.staff("boss")
	boss.do("POST", "/users", map[string]any{"username": "alice", "email": "alice@example.com", "password": password}).want(http.StatusCreated)
	alice := a.login("alice")
	key, _ := alice.do("POST", "/auth/tokens", map[string]any{"name": "mine"}).want(http.StatusCreated).object()["key"].(string)
	from := func(n int) header { return header{"X-Forwarded-For", fmt.Sprintf("203.0.113.%d", n)} }
	login := func(n int, username, password string) *response {
		return a.do("POST", "/auth/login", map[string]any{"username": username, "password": password}, from(n))
	}
	for n := range 12 {
		login(n, "alice", "wrong wrong wrong")
		login(n, "alice@example.com", "wrong wrong wrong")
	}
	login(50, "alice", password).wantProblem(http.StatusTooManyRequests, services.CodeThrottled)
	a.do("POST", "/auth/password/reset", map[string]any{"email": "alice@example.com"}, from(50)).want(http.StatusAccepted)
	link := mails.waitFor("alice@example.com", 1)[0].links()[0]
	token := link[strings.LastIndexByte(link, '/')+1:]
	a.do("POST", "/auth/password/reset/confirm", map[string]any{"token": token, "new_password": "quite another phrase"}, from(50)).want(http.StatusNoContent)
	a.do("GET", "/users/me", nil, header{"Authorization", "Token " + key}).wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
	login(50, "alice", "quite another phrase").want(http.StatusOK)
	login(51, "alice@example.com", "quite another phrase").want(http.StatusOK)
}

func TestMailLimits_HoldForOneRecipientHoweverManyAsk(t *testing.T) {
	t.Parallel()
	a, mails := throttledMail(t)
	boss := a.staff("boss")
	for _, name := range []string{"alice", "bobby"} {
		boss.do("POST", "/users", map[string]any{"username": name, "email": name + "@example.com", "password": password}).want(http.StatusCreated)
	}
	alice, bob := a.login("alice"), a.login("bobby")
	alice.do("PATCH", "/users/me", map[string]any{"email": "victim@example.com"}).want(http.StatusOK)
	bob.do("PATCH", "/users/me", map[string]any{"email": "victim@example.com"}).wantProblem(http.StatusTooManyRequests, services.CodeThrottled)
	// What anybody asks for does not keep staff from what they must do.
	a.do("POST", "/auth/password/reset", map[string]any{"email": "alice@example.com"}).want(http.StatusAccepted)
	boss.do("POST", userPath(alice.ID)+"/password/reset", nil).want(http.StatusAccepted)
	boss.do("POST", userPath(alice.ID)+"/password/reset", nil).wantProblem(http.StatusTooManyRequests, services.CodeThrottled)
	for range 3 { // to a stranger's address and away again
		boss.do("PATCH", userPath(bob.ID), map[string]any{"email": "stranger@example.com"}).want(http.StatusOK)
		boss.do("PATCH", userPath(bob.ID), map[string]any{"email": "away@example.com"}).want(http.StatusOK)
	}
	a.Clock.Advance(time.Minute)
	boss.do("PATCH", userPath(bob.ID), map[string]any{"email": "last@example.com"}).want(http.StatusOK)
	mails.waitFor("away@example.com", 2)
	if n := len(mails.inbox("stranger@example.com")); n != 1 {
		t.Errorf("a stranger has %d messages", n)
	}
}

func TestUpdateUser_StaffConfirmTheirOwnAddressToo(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	for _, path := range []string{"/users/me", userPath(boss.ID)} {
		o := boss.do("PATCH", path, map[string]any{"email": "new@example.com"}).want(http.StatusOK).object()
		if o["email"] != "boss@example.com" || o["pending_email"] != "new@example.com" {
			t.Errorf("%s: %v", path, o)
		}
	}
}

func TestCookies_OfBothModesAtOnceAreRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, mallory := a.user("alice"), a.user("mallory")
	both := header{"Cookie", "jwt_access_token=" + alice.Access + "; jwt_access=" + mallory.Access}
	a.do("GET", "/users/me", nil, both).wantProblem(http.StatusBadRequest, services.CodeMalformed)
	a.do("GET", "/users/me", nil, header{"Cookie", "jwt_access_token=" + alice.Access}).want(http.StatusOK)
}

func TestServe_ChecksKeysBeforeItMakesAnything(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.write("key.pem", "no key")
	o := p.run("serve", "--addr=127.0.0.1:0", "--jwt-algorithm=ES256", "--jwt-signing-key=key.pem").want(2)
	if !strings.Contains(o.stderr, "jwt-signing-key: key.pem") {
		t.Errorf("it says %s", o.stderr)
	}
	wantFiles(t, p.dir, "key.pem")
}

func TestCLI_ANameThatIsAnothersAddressIsNotActedOn(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	p.superuser("other")
	execSQL(t, p.database, "UPDATE users SET username = 'root@example.com', username_key = 'root@example.com' WHERE username = 'other'")
	o := p.run("user", "promote", "root@example.com").want(1)
	if !strings.Contains(o.stderr, "root@example.com is the name of one account and the address of another") {
		t.Errorf("it says %s", o.stderr)
	}
	p.run("user", "promote", "root").want(0)
}

func TestLinks_TakeWhateverMailProgramsAdd(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, link := a.register("alice")
	a.do("GET", link+"?utm_source=mail&utm_source=again", nil, header{"Accept", "text/html"}).want(http.StatusOK)
	a.do("POST", link+"?utm_source=mail", nil).want(http.StatusOK)
	a.do("GET", "/auth/password/reset/x?fbclid=1", nil).wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
	a.do("POST", "/auth/login?utm_source=mail", map[string]any{"username": "alice", "password": password}).wantFields("utm_source")
}

func TestThrottle_OptionsDoNotUseUpWhatTheyTellOf(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.Throttle = "on" })
	for range 15 {
		a.do("OPTIONS", "/auth/register", nil).want(http.StatusOK)
	}
	a.register("alice")
}

func TestLoginThrottle_KnowsAnAddressAfterItsSessionsAreGone(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.Throttle, c.TrustedProxies = "on", []string{"127.0.0.1"} })
	boss := a.staff("boss")
	boss.do("POST", "/users", map[string]any{"username": "alice", "email": "alice@example.com", "password": password}).want(http.StatusCreated)
	login := func(from, password string) *response {
		return a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password}, header{"X-Forwarded-For", from})
	}
	first := &person{app: a}
	first.setTokens(login("203.0.113.1", password).want(http.StatusOK))
	first.do("DELETE", "/auth/sessions?all=true", nil).want(http.StatusNoContent)
	login("203.0.113.2", password).want(http.StatusOK) // removes the rows of sessions that are over
	for n := range 12 {
		login(fmt.Sprintf("198.51.100.%d", n), "wrong wrong wrong")
	}
	login("203.0.113.3", password).wantProblem(http.StatusTooManyRequests, services.CodeThrottled)
	login("203.0.113.1", password).want(http.StatusOK)
}

func TestMailLimits_DoNotCountWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	a, mails := throttledMail(t)
	boss := a.staff("boss")
	boss.do("POST", "/users", map[string]any{"username": "alice", "email": "alice@example.com", "password": password}).want(http.StatusCreated)
	heal := refuse(t, a.Config.Database, "BEFORE INSERT ON outbox")
	reset := map[string]any{"email": "alice@example.com"}
	a.do("POST", "/auth/password/reset", reset).want(http.StatusInternalServerError)
	heal()
	a.do("POST", "/auth/password/reset", reset).want(http.StatusAccepted)
	mails.waitFor("alice@example.com", 1)
}

func TestCookies_AreTakenAwayWhereTheSessionEnds(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		path string
		body any
	}{
		"all sessions": {"/auth/sessions?all=true", nil},
		"this session": {"/auth/sessions/2", nil},
		"the account":  {"/users/me", map[string]any{"password": password}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			a.user("alice")
			login := a.do("POST", "/auth/login", map[string]any{"username": "alice", "password": password, "mode": "one-cookie"}).want(http.StatusOK)
			values := map[string]string{}
			for _, c := range (&http.Response{Header: login.Header}).Cookies() {
				values[c.Name] = c.Value
			}
			r := a.do("DELETE", end.path, end.body, header{"Cookie", "jwt_access=" + values["jwt_access"]}, header{"X-CSRFToken", values["csrftoken"]}).want(http.StatusNoContent)
			if gone := (&http.Response{Header: r.Header}).Cookies(); len(gone) != 5 || gone[0].MaxAge >= 0 {
				t.Errorf("the cookies are %v", r.Header["Set-Cookie"])
			}
		})
	}
}

func TestTokenCreate_QuietPrintsTheKeyAlone(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.superuser("root")
	o := p.run("token", "create", "root", "--quiet").want(0)
	if key, ok := strings.CutSuffix(o.stdout, "\n"); !ok || !strings.HasPrefix(key, "dueto_") || strings.ContainsAny(key, " \n") {
		t.Errorf("it prints %q", o.stdout)
	}
}
