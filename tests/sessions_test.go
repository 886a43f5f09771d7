package tests

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

func (a *app) loginAs(username, password string) *response {
	return a.do("POST", "/auth/login", map[string]any{"username": username, "password": password})
}

func (a *app) refreshWith(token string) *response {
	return a.do("POST", "/auth/refresh", map[string]any{"refresh": token})
}

func (a *app) verifyToken(token string) *response {
	return a.do("POST", "/auth/verify", map[string]any{"token": token})
}

func (a *app) logoutWith(token string) *response {
	return a.do("POST", "/auth/logout", map[string]any{"refresh": token})
}

// rotate spends the refresh token and keeps what it gives.
func (p *person) rotate() {
	p.t.Helper()
	p.setTokens(p.refreshWith(p.Refresh).want(http.StatusOK))
}

// wantSignedOut checks that neither token of the person works any more.
func (p *person) wantSignedOut(code services.Code) {
	p.t.Helper()
	wantRefusedToken(p.t, p.do("GET", "/users/me", nil), code)
	wantRefusedToken(p.t, p.refreshWith(p.Refresh), code)
	wantRefusedToken(p.t, p.verifyToken(p.Access), code)
	wantRefusedToken(p.t, p.verifyToken(p.Refresh), code)
}

// sendAtOnce sends n requests at the same moment and gives their answers.
func sendAtOnce(n int, send func(i int) *response) []*response {
	answers := make([]*response, n)
	gun := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-gun
			answers[i] = send(i)
		})
	}
	close(gun)
	wg.Wait()
	return answers
}

func TestRefresh_GivesANewPair(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	a.Clock.Advance(time.Hour) // the access token is over, the refresh token is not
	wantRefusedToken(t, alice.do("GET", "/users/me", nil), services.CodeTokenExpired)
	before := *alice
	r := a.refreshWith(alice.Refresh).want(http.StatusOK)
	alice.setTokens(r)
	o := r.object()
	if len(o) != 4 || o["token_type"] != "Bearer" || o["expires_in"] != 300.0 || alice.Access == before.Access || alice.Refresh == before.Refresh {
		t.Fatalf("got %s", r.Body)
	}
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	alice.rotate()
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestRefresh_SpentTokenGivesTheSameSuccessorWithinGrace(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	spent := alice.Refresh
	alice.rotate()
	for range 3 {
		a.Clock.Advance(3 * time.Second)
		o := a.refreshWith(spent).want(http.StatusOK).object()
		if o["refresh"] != alice.Refresh {
			t.Fatal("the spent token gave another successor")
		}
		a.do("GET", "/users/me", nil, bearer(o["access"].(string))).want(http.StatusOK)
		a.verifyToken(spent).want(http.StatusOK)
	}
	alice.rotate()
}

func TestRefresh_ReuseAfterGraceEndsTheSessionForGood(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, other := a.user("alice"), a.login("alice")
	spent := alice.Refresh
	alice.rotate()
	a.Clock.Advance(11 * time.Second)
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	wantRefusedToken(t, a.refreshWith(spent), services.CodeTokenNotValid)
	alice.wantSignedOut(services.CodeTokenNotValid)
	a = a.restart()
	alice.app, other.app = a, a
	alice.wantSignedOut(services.CodeTokenNotValid)
	wantRefusedToken(t, a.refreshWith(spent), services.CodeTokenNotValid)
	other.do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestRefresh_OlderGenerationEndsTheSessionWithinGraceToo(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	first := alice.Refresh
	alice.rotate()
	alice.rotate()
	wantRefusedToken(t, a.verifyToken(first), services.CodeTokenNotValid)
	alice.do("GET", "/users/me", nil).want(http.StatusOK) // asking is not using
	wantRefusedToken(t, a.refreshWith(first), services.CodeTokenNotValid)
	alice.wantSignedOut(services.CodeTokenNotValid)
}

func TestRefresh_WithoutGraceIsStrict(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.RefreshGrace = 0 })
	alice := a.user("alice")
	spent := alice.Refresh
	alice.rotate()
	wantRefusedToken(t, a.verifyToken(spent), services.CodeTokenNotValid)
	wantRefusedToken(t, a.refreshWith(spent), services.CodeTokenNotValid)
	alice.wantSignedOut(services.CodeTokenNotValid)
}

func TestRefresh_ParallelWithinGraceShareOneGeneration(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	successors := map[any]bool{}
	for _, r := range sendAtOnce(50, func(int) *response { return a.refreshWith(alice.Refresh) }) {
		successors[r.want(http.StatusOK).object()["refresh"]] = true
		alice.setTokens(r)
	}
	if len(successors) != 1 {
		t.Fatalf("%d successors of one token", len(successors))
	}
	if gen := draftOf(t, kindRefresh, start, alice.Refresh).claims["gen"]; gen != json.Number("2") {
		t.Fatalf("generation %v after one spent token", gen)
	}
	alice.rotate()
}

func TestRefresh_NeverOutlivesTheSession(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.SessionTTL = 2 * time.Hour })
	alice := a.user("alice")
	end := json.Number(decimalText(start.Add(2 * time.Hour).Unix()))
	for range 3 {
		if exp := draftOf(t, kindRefresh, start, alice.Refresh).claims["exp"]; exp != end {
			t.Fatalf("a refresh token lives to %v, the session to %v", exp, end)
		}
		a.Clock.Advance(39 * time.Minute)
		alice.rotate()
	}
	a.Clock.Advance(3 * time.Minute)
	wantRefusedToken(t, a.refreshWith(alice.Refresh), services.CodeTokenExpired)
	if r := alice.do("GET", "/users/me", nil); r.Status != http.StatusUnauthorized {
		t.Fatalf("the access token outlives the session: %d", r.Status)
	}
}

func TestRefresh_ExpiresAfterItsLifetime(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.RefreshTTL = time.Hour })
	alice := a.user("alice")
	a.Clock.Advance(59 * time.Minute)
	alice.rotate()
	a.Clock.Advance(59 * time.Minute)
	alice.rotate()
	a.Clock.Advance(time.Hour)
	wantRefusedToken(t, a.refreshWith(alice.Refresh), services.CodeTokenExpired)
	wantRefusedToken(t, a.verifyToken(alice.Refresh), services.CodeTokenExpired)
}

func TestLogout_EndsTheSessionAtOnce(t *testing.T) {
	t.Parallel()
	for name, spentToken := range map[string]bool{"with the live token": false, "with a spent token": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			alice, other := a.user("alice"), a.login("alice")
			token := alice.Refresh
			if spentToken {
				alice.rotate()
			}
			for range 2 { // a second time is no error
				if r := a.logoutWith(token).want(http.StatusNoContent); len(r.Body) != 0 {
					t.Fatalf("204 with the body %q", r.Body)
				}
				alice.wantSignedOut(services.CodeTokenNotValid)
			}
			other.do("GET", "/users/me", nil).want(http.StatusOK)
		})
	}
}

func TestDeactivation_BitesOnTheNextRequest(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	if err := a.Services.Accounts.DeactivateByName(context.Background(), "alice"); err != nil {
		t.Fatal(err)
	}
	alice.wantSignedOut(services.CodeUserInactive)
	wantRefusedToken(t, alice.do("GET", "/tasks", nil), services.CodeUserInactive) // a route open to all
	if err := a.Services.Accounts.ActivateByName(context.Background(), "alice"); err != nil {
		t.Fatal(err)
	}
	alice.wantSignedOut(services.CodeTokenNotValid) // the old sessions stay ended
	a.login("alice").do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestVerify_TellsTheClaimsOfATokenThatIsGood(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	for kind, token := range map[services.TokenKind]string{kindAccess: alice.Access, kindRefresh: alice.Refresh} {
		claims, _ := json.Marshal(draftOf(t, kind, start, token).claims)
		var want map[string]any
		if err := json.Unmarshal(claims, &want); err != nil {
			t.Fatal(err)
		}
		if got := a.verifyToken(token).want(http.StatusOK).object(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", kind, got, want)
		}
	}
	alice.rotate() // verifying has spent nothing
}

func TestSessions_TheOneUsedLongestAgoMakesRoom(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.AccessTTL = time.Hour })
	sessions := []*person{a.user("alice")}
	other := a.user("other")
	for range 49 {
		a.Clock.Advance(time.Second)
		sessions = append(sessions, a.login("alice"))
	}
	a.Clock.Advance(time.Second)
	sessions[0].rotate() // the oldest, but used since
	for _, s := range sessions {
		s.do("GET", "/users/me", nil).want(http.StatusOK)
	}
	a.Clock.Advance(time.Second)
	sessions = append(sessions, a.login("alice"))
	sessions[1].wantSignedOut(services.CodeTokenNotValid)
	for i, s := range sessions {
		if i != 1 {
			s.do("GET", "/users/me", nil).want(http.StatusOK)
		}
	}
	other.do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestDeletedAccount_ItsTokensDie(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	alice.do("DELETE", "/users/me", map[string]any{"password": password}).want(http.StatusNoContent)
	alice.wantSignedOut(services.CodeUserInactive)
	newcomer := a.user("alice")
	alice.wantSignedOut(services.CodeUserInactive) // nor do they become the newcomer's
	newcomer.do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestSetPassword_EndsAllSessions(t *testing.T) {
	t.Parallel()
	const changed = "a wholly different phrase"
	a := newApp(t)
	alice, second := a.user("alice"), a.login("alice")
	if err := a.Services.Accounts.SetPassword(context.Background(), "Alice", changed); err != nil {
		t.Fatal(err)
	}
	alice.wantSignedOut(services.CodeTokenNotValid)
	second.wantSignedOut(services.CodeTokenNotValid)
	a.loginAs("alice", password).wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	a.loginAs("alice", changed).want(http.StatusOK)
}
