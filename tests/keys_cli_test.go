package tests

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dueto/services"
)

// withKeyFile gives a program that signs with a key file of its own.
func withKeyFile(t testing.TB, algorithm string) *program {
	t.Helper()
	p := newProgram(t)
	p.run("keys", "generate", "--algorithm", algorithm, "--out", "key.pem").want(0)
	return p.with("DUETO_JWT_ALGORITHM="+algorithm, "DUETO_JWT_SIGNING_KEY=key.pem", "DUETO_THROTTLE=off")
}

// signingKid gives the kid that signs a kind of token, as keys list tells.
func (p *program) signingKid(kind services.TokenKind) string {
	p.t.Helper()
	list := p.run("keys", "list").want(0).stdout
	row := regexp.MustCompile(`(?m)^(\S+) +\S+ +` + string(kind) + ` +signs `).FindStringSubmatch(list)
	if row == nil {
		p.t.Fatalf("no key signs %s tokens:\n%s", kind, list)
	}
	return row[1]
}

// eventually asks until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("it does not come about that %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestKeysGenerate_MakesAFileThatServeTakes(t *testing.T) {
	t.Parallel()
	for _, algorithm := range append(keyAlgorithms, "HS256") {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t)
			o := p.run("keys", "generate", "--algorithm="+algorithm, "--out", "new.key").want(0)
			if info, err := os.Stat(p.file("new.key")); err != nil || info.Mode() != 0o600 {
				t.Fatalf("mode %v, %v", info.Mode(), err)
			}
			content := readFile(t, p.file("new.key"))
			settings := regexp.MustCompile(`(?m)^DUETO_\w+=\S+$`).FindAllString(o.stdout, -1)
			if len(settings) != 2 || strings.Contains(o.stdout, strings.Split(content, "\n")[1]) && len(content) > 100 {
				t.Fatalf("printed:\n%s", o.stdout)
			}
			again := p.run("keys", "generate", "--algorithm="+algorithm, "--out", "new.key").want(1)
			if !strings.Contains(again.stderr, "new.key: file already exists") || readFile(t, p.file("new.key")) != content {
				t.Errorf("over a file that is there: %s", again.stderr)
			}
			alice := p.with(settings...).serve().app().user("alice")
			if got := headerOf(t, alice.Access)["alg"]; got != algorithm {
				t.Errorf("signed with %v", got)
			}
		})
	}
}

func TestKeys_MistakesExitTwo(t *testing.T) {
	t.Parallel()
	p := withKeyFile(t, "ES256")
	p.run("migrate").want(0)
	p.run("keys", "generate", "--algorithm", "HS512", "--out", "dueto.secret").want(0)
	key, secretText := readFile(t, p.file("key.pem")), readFile(t, p.file("dueto.secret"))
	p.write("damaged.pem", key[:100])
	p.write("open.pem", key)
	if err := os.Chmod(p.file("open.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args      []string
		env       []string
		complaint string
	}{
		{[]string{"keys", "generate"}, nil, "--out"},
		{[]string{"keys", "generate", "--algorithm=RS512", "--out=x"}, nil, `"RS512" is not one of HS256, HS384, HS512, RS256, ES256, EdDSA`},
		{[]string{"keys", "rotate", "--keep=-1"}, nil, "--keep is less than 0"},
		{[]string{"keys", "rotate", "everything"}, nil, `"everything" is neither signing-key nor secret`},
		{[]string{"keys", "rotate", "signing-key"}, []string{"DUETO_JWT_ALGORITHM=HS512", "DUETO_JWT_SIGNING_KEY="}, "with HS512 the secret signs"},
		{[]string{"keys", "rotate"}, []string{"DUETO_JWT_SIGNING_KEY=" + key}, "jwt-signing-key: the setting holds the key itself"},
		{[]string{"keys", "rotate", "secret"}, []string{"DUETO_SECRET=" + secret}, "secret: the setting holds the secret itself"},
		{[]string{"keys", "list", "--jwt-signing-key", key}, nil, "--jwt-signing-key: expected string value but got a key"},
		{[]string{"keys", "list"}, []string{"DUETO_JWT_SIGNING_KEY=missing.pem"}, "jwt-signing-key: stat missing.pem: no such file or directory"},
		{[]string{"serve"}, []string{"DUETO_JWT_SIGNING_KEY=missing.pem"}, "jwt-signing-key: stat missing.pem: no such file or directory"},
		{[]string{"serve"}, []string{"DUETO_JWT_SIGNING_KEY=open.pem"}, "jwt-signing-key: others can read open.pem (mode 0644); run: chmod 600 open.pem"},
		{[]string{"serve"}, []string{"DUETO_JWT_SIGNING_KEY=damaged.pem"}, "jwt-signing-key: damaged.pem: it has a PEM block that is damaged or cut off"},
		{[]string{"serve"}, []string{"DUETO_JWT_ALGORITHM=RS256"}, "jwt-signing-key: key.pem: block 1 (PRIVATE KEY): it is a key on the curve P-256; RS256 needs an RSA key"},
		{[]string{"serve"}, []string{"DUETO_JWT_VERIFYING_KEYS=key.pem"}, "jwt-verifying-keys: key.pem: it holds a private key"},
		{[]string{"keys", "rotate"}, []string{"DUETO_JWT_SIGNING_KEY=open.pem"}, "jwt-signing-key: others can read open.pem"},
	} {
		o := p.with("DUETO_THROTTLE=").with(tt.env...).run(tt.args...).want(2)
		if !strings.HasPrefix(o.stderr, "dueto: ") || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, tt.complaint) || o.stdout != "" {
			t.Errorf("%.30s printed %q, %q; want %q", o.what, o.stdout, o.stderr, tt.complaint)
		}
		for _, line := range strings.Split(key, "\n")[1:4] {
			if strings.Contains(o.stderr, line) {
				t.Errorf("%.30s quotes the key: %s", o.what, o.stderr)
			}
		}
	}
	if readFile(t, p.file("key.pem")) != key || readFile(t, p.file("dueto.secret")) != secretText || readFile(t, p.file("open.pem")) != key {
		t.Error("a file was changed")
	}
}

func TestKeysList_TellsWhatSignsAndNoKey(t *testing.T) {
	t.Parallel()
	p := withKeyFile(t, "ES256")
	p.write("dueto.secret", secret+"\n"+secondSecret+"\n")
	further, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.write("further.pem", publicPEM(t, further))
	first := p.signingKid(kindAccess)
	p.run("keys", "rotate").want(0)
	rows := map[string]bool{}
	o := p.with("DUETO_JWT_VERIFYING_KEYS=further.pem").run("keys", "list").want(0)
	for line := range strings.Lines(o.stdout) {
		rows[strings.Join(strings.Fields(line), " ")] = true
	}
	furtherID, _ := services.KeyID(further.Public())
	want := []string{
		"KEY ALGORITHM TOKENS STATE FROM", p.signingKid(kindAccess) + " ES256 access signs key.pem",
		first + " ES256 access verifies key.pem", furtherID + " ES256 access verifies further.pem",
	}
	for _, kind := range []services.TokenKind{kindRefresh, kindActivation} {
		_, signs := tokenKeyOf(t, secret, kind)
		_, verifies := tokenKeyOf(t, secondSecret, kind)
		want = append(want, fmt.Sprint(signs, " HS512 ", kind, " signs dueto.secret"), fmt.Sprint(verifies, " HS512 ", kind, " verifies dueto.secret"))
	}
	for _, row := range want {
		if !rows[row] {
			t.Errorf("there is no row %q:\n%s", row, o.stdout)
		}
	}
	if strings.Contains(o.stdout, secret) || strings.Contains(o.stdout, "BEGIN") {
		t.Errorf("a key is printed:\n%s", o.stdout)
	}
}

// client is somebody who works on a server without a pause.
type client struct {
	*person
	rounds atomic.Int64
}

// work reads, writes and refreshes until the context ends, and gives the first
// answer that is not what it should be.
func (c *client) work(ctx context.Context) error {
	for n := 0; ctx.Err() == nil; n++ {
		for _, r := range []*response{
			c.do("GET", "/users/me", nil), c.do("GET", "/tasks?page_size=1", nil), c.do("POST", "/tasks", map[string]any{"title": fmt.Sprint(n)}),
			c.app.do("POST", "/auth/verify", map[string]any{"token": c.Access}),
		} {
			if r.Status/100 != 2 {
				return fmt.Errorf("%s: %d %s", r.What, r.Status, r.Body)
			}
		}
		if n%3 == 2 { // the others go on with a token of before
			r := c.refreshWith(c.Refresh)
			if r.Status != http.StatusOK {
				return fmt.Errorf("refresh: %d %s", r.Status, r.Body)
			}
			c.setTokens(r)
		}
		c.rounds.Add(1)
	}
	return nil
}

func TestKeysRotate_UnderTrafficNobodyIsRefused(t *testing.T) {
	t.Parallel()
	p := withKeyFile(t, "ES256")
	a := p.serve().app()
	// These hold tokens from before the first rotation and use them after the last.
	early, unused := a.user("early"), a.user("unused")
	_, link := a.register("pending")
	clients := make([]*client, 4)
	for i := range clients {
		clients[i] = &client{person: a.user(fmt.Sprint("client", i))}
	}
	watcher := a.user("watcher")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			if err := c.work(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	noticed := func() {
		t.Helper()
		access, refresh := p.signingKid(kindAccess), p.signingKid(kindRefresh)
		eventually(t, "the server signs with the new keys", func() bool {
			watcher.setTokens(a.refreshWith(watcher.Refresh).want(http.StatusOK))
			return headerOf(t, watcher.Access)["kid"] == access && headerOf(t, watcher.Refresh)["kid"] == refresh
		})
		for _, c := range clients {
			from := c.rounds.Load()
			eventually(t, "each client goes on", func() bool { return t.Failed() || c.rounds.Load() >= from+4 })
		}
	}
	for range 2 {
		p.run("keys", "rotate").want(0)
		p.run("keys", "rotate", "secret").want(0)
		noticed()
	}
	if keys := a.keySetOf().Keys; len(keys) != 3 {
		t.Errorf("%d public keys, want 3", len(keys))
	}
	early.do("GET", "/users/me", nil).want(http.StatusOK)
	early.setTokens(a.refreshWith(early.Refresh).want(http.StatusOK))
	a.do("POST", link, nil).want(http.StatusOK)
	stop()
	wg.Wait()

	p.run("keys", "rotate", "--keep=0").want(0)
	eventually(t, "the former key is refused", func() bool { return unused.do("GET", "/users/me", nil).Status != http.StatusOK })
	wantRefusedToken(t, unused.do("GET", "/users/me", nil), services.CodeTokenNotValid)
	wantRefusedToken(t, early.do("GET", "/users/me", nil), services.CodeTokenNotValid)
	early.setTokens(a.refreshWith(early.Refresh).want(http.StatusOK))
	early.do("GET", "/users/me", nil).want(http.StatusOK)

	p.run("keys", "rotate", "secret", "--keep=0").want(0)
	refresh := p.signingKid(kindRefresh)
	eventually(t, "the new secret signs", func() bool { return headerOf(t, a.login("watcher").Refresh)["kid"] == refresh })
	wantRefusedToken(t, a.refreshWith(early.Refresh), services.CodeTokenNotValid)
	early.do("GET", "/users/me", nil).want(http.StatusOK) // its key is another
	if keys := a.keySetOf().Keys; len(keys) != 1 {
		t.Errorf("%d public keys, want 1", len(keys))
	}
}

func TestKeysRotate_OfTwoServersTheSecondTakesTheFirstsTokensAtOnce(t *testing.T) {
	t.Parallel()
	p := withKeyFile(t, "EdDSA")
	one, two := p.serve("--public-url=http://dueto.test").app(), p.serve("--public-url=http://dueto.test").app()
	one.Config.PublicURL, two.Config.PublicURL = "http://dueto.test", "http://dueto.test"
	alice := one.user("alice")
	for range 2 {
		p.run("keys", "rotate").want(0)
		p.run("keys", "rotate", "secret").want(0)
		access := p.signingKid(kindAccess)
		eventually(t, "one of them signs with the new key", func() bool {
			alice.setTokens(one.refreshWith(alice.Refresh).want(http.StatusOK))
			return headerOf(t, alice.Access)["kid"] == access
		})
		two.do("GET", "/users/me", nil, bearer(alice.Access)).want(http.StatusOK)
		alice.setTokens(two.refreshWith(alice.Refresh).want(http.StatusOK))
		one.do("GET", "/users/me", nil, bearer(alice.Access)).want(http.StatusOK)
	}
}

func TestKeys_BrokenFileWhileServingIsLoggedAndRefusedAtTheNextStart(t *testing.T) {
	t.Parallel()
	p := withKeyFile(t, "ES256")
	s := p.serve("--log-format=json")
	alice := s.app().user("alice")
	if err := os.Chmod(p.file("key.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log tells", func() bool {
		alice.do("GET", "/users/me", nil).want(http.StatusOK)
		return strings.Contains(s.stderr.String(), "the changed keys cannot be used")
	})
	alice.setTokens(s.app().refreshWith(alice.Refresh).want(http.StatusOK))
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	s.stop()
	if n := strings.Count(s.stderr.String(), "the changed keys cannot be used"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, s.stderr)
	}
	if o := p.run("serve", "--addr=127.0.0.1:0").want(2); !strings.Contains(o.stderr, "run: chmod 600 key.pem") {
		t.Errorf("printed %s", o.stderr)
	}
}

func TestKeysRotate_KeepsTheOwnerOfTheFile(t *testing.T) {
	t.Parallel()
	p := withKeyFile(t, "ES256")
	somebody, group := os.Getuid(), os.Getgid()
	if somebody == 0 { // who alone can give a file away
		somebody, group = 12345, 12345
	}
	if err := os.Chown(p.file("key.pem"), somebody, group); err != nil {
		t.Fatal(err)
	}
	p.run("keys", "rotate").want(0)
	info, err := os.Stat(p.file("key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != somebody || int(owner.Gid) != group || info.Mode() != 0o600 {
		t.Errorf("the file belongs to %d:%d and has mode %v", owner.Uid, owner.Gid, info.Mode())
	}
	wantFiles(t, p.dir, "key.pem")
}
