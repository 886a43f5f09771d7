package tests

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"

	"dueto/config"
	"dueto/models"
	"dueto/services"
)

// wantSameAnswer checks that two answers cannot be told apart.
func wantSameAnswer(t testing.TB, a, b *response) {
	t.Helper()
	plain := func(r *response) string {
		return strings.ReplaceAll(string(r.Body), r.Header.Get("X-Request-Id"), "ID")
	}
	if a.Status != b.Status || plain(a) != plain(b) {
		t.Errorf("%s: answers differ:\n%d %s\n%d %s", a.What, a.Status, a.Body, b.Status, b.Body)
	}
	headers := func(r *response) map[string]string {
		h := map[string]string{}
		for name, values := range r.Header {
			if name != "X-Request-Id" && name != "Date" {
				h[name] = strings.Join(values, "\n")
			}
		}
		return h
	}
	if !maps.Equal(headers(a), headers(b)) {
		t.Errorf("%s: headers differ:\n%v\n%v", a.What, headers(a), headers(b))
	}
}

func TestLogin_TakesNameInAnyCaseAndAddress(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	a.do("POST", "/auth/register", map[string]any{"username": "Bob@Home", "email": "bob@example.com", "password": password}).
		want(http.StatusCreated)
	if err := a.Services.Accounts.ActivateByName(context.Background(), "Bob@Home"); err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]int64{
		"alice": alice.ID, "ALICE": alice.ID, "Alice": alice.ID, "alice@example.com": alice.ID, "Alice@EXAMPLE.com": alice.ID,
		"bob@home": alice.ID + 1, "Bob@Home": alice.ID + 1, "BOB@example.com": alice.ID + 1,
	} {
		r := a.loginAs(name, password).want(http.StatusOK)
		var pair struct {
			Access, Refresh string
			TokenType       string `json:"token_type"`
			ExpiresIn       int    `json:"expires_in"`
		}
		r.decode(&pair)
		if len(r.object()) != 4 || pair.TokenType != "Bearer" || pair.ExpiresIn != 300 || pair.Refresh == "" {
			t.Errorf("%s: got %s", name, r.Body)
		}
		if r.Header.Get("Cache-Control") != "no-store" || len(r.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s: headers %v", name, r.Header)
		}
		if got := a.do("GET", "/users/me", nil, bearer(pair.Access)).want(http.StatusOK).id(); got != id {
			t.Errorf("%s: signed in as %d, want %d", name, got, id)
		}
	}
}

// People sign in with a name or an address; were one person's name another's
// address, one of the two could not.
func TestUsername_ThatIsAnAddressMustBeOnesOwn(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss, alice := a.staff("boss"), a.user("alice")
	register := func(name, email string) *response {
		return a.do("POST", "/auth/register", map[string]any{"username": name, "email": email, "password": password})
	}
	register("ALICE@example.com", "mallory@example.com").wantFields("username")
	register("nobody@example.com", "mallory@example.com").wantFields("username")
	alice.do("PATCH", "/users/me", map[string]any{"username": "bob@example.com"}).wantFields("username")

	own := register("carol@example.com", "Carol@Example.com").want(http.StatusCreated).id()
	boss.do("PATCH", userPath(own), map[string]any{"is_active": true}).want(http.StatusOK)
	boss.do("PATCH", userPath(own), map[string]any{"email": "carol@home.example"}).wantFields("username")
	if p := a.login("carol@example.com"); p.ID != own {
		t.Fatalf("carol's name signs in %d", p.ID)
	}
}

func TestLogin_FailuresAreAlike(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice")
	a.user("gone")
	a.register("pending")
	if err := a.Services.Accounts.DeactivateByName(context.Background(), "gone"); err != nil {
		t.Fatal(err)
	}
	wrong := a.loginAs("alice", "not the password").wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	if got := wrong.object()["detail"]; got != "No active account found with the given credentials" {
		t.Errorf("detail %q", got)
	}
	for _, name := range []string{"nobody", "nobody@example.com", "pending", "pending@example.com", "gone", "gone@example.com", "alice@example.com"} {
		secretWord := password
		if strings.HasPrefix(name, "alice") {
			secretWord = "not the password"
		}
		wantSameAnswer(t, wrong, a.loginAs(name, secretWord))
		wantSameAnswer(t, wrong, a.loginAs(name, "not the password"))
	}
}

// atCost starts the server again with another bcrypt cost.
func (a *app) atCost(cost int) *app {
	a.t.Helper()
	a.stop()
	cfg := a.Config
	return startApp(a.t, a.Config.Database, a.Clock, func(c *config.Config) { *c = cfg; c.PasswordCost = cost })
}

func (a *app) storedHash(username string) string {
	a.t.Helper()
	u, err := models.UserByUsernameKey(a.Store.Read(context.Background()), username)
	if err != nil {
		a.t.Fatal(err)
	}
	return u.PasswordHash
}

func TestLogin_RehashesWhenTheCostChanged(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice")
	a = a.atCost(5)
	a.loginAs("alice", "not the password").want(http.StatusUnauthorized)
	if hash := a.storedHash("alice"); !strings.HasPrefix(hash, "v1$$2a$04$") {
		t.Fatalf("a failed login made the hash %.12s", hash)
	}
	a.loginAs("alice", password).want(http.StatusOK)
	hash := a.storedHash("alice")
	if !strings.HasPrefix(hash, "v1$$2a$05$") {
		t.Fatalf("after the login the hash is %.12s", hash)
	}
	a.loginAs("alice", password).want(http.StatusOK)
	if a.storedHash("alice") != hash {
		t.Error("a hash of the right cost was made anew")
	}
}

func TestLogin_ParallelAfterACostChangeAllSucceed(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.user("alice")
	a = a.atCost(5)
	answers := sendAtOnce(20, func(int) *response {
		return untilNotBusy(func() *response { return a.loginAs("alice", password) })
	})
	for _, r := range answers {
		r.want(http.StatusOK)
	}
}
