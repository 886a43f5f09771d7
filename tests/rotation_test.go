package tests

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"dueto/config"
	"dueto/services"
)

// secretFile is a server's secret file that a test rewrites.
type secretFile struct {
	t    testing.TB
	name string
}

func newSecretFile(t testing.TB, secrets ...string) *secretFile {
	t.Helper()
	f := &secretFile{t, filepath.Join(t.TempDir(), "secret")}
	f.write(secrets...)
	return f
}

// write puts another file in the place of the old one, as a rotation does.
func (f *secretFile) write(secrets ...string) {
	f.t.Helper()
	if err := os.WriteFile(f.name+".new", []byte(strings.Join(secrets, "\n")+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(f.name+".new", f.name); err != nil {
		f.t.Fatal(err)
	}
}

func (f *secretFile) use(c *config.Config) { c.SecretFile = f.name }

var secondSecret = strings.ToUpper(secret) + "second"

func TestRotation_WhatTheFormerSecretSignedGoesOnWorking(t *testing.T) {
	t.Parallel()
	f := newSecretFile(t, secret)
	a := newApp(t, f.use)
	alice, tokens := issuedTokens(a)
	_, stale := a.register("later")
	for range 3 {
		alice.task("Mine")
	}
	next := func() string {
		links := a.do("GET", "/tasks?page_size=1", nil).want(http.StatusOK).Header.Get("Link")
		url, _, _ := strings.Cut(strings.TrimPrefix(links, "<http://dueto.test"), ">")
		return url
	}
	cursor, oldAccess, oldRefresh := next(), alice.Access, alice.Refresh

	f.write(secondSecret, secret)
	a.Clock.Advance(5 * time.Second)
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	a.do("GET", cursor, nil).want(http.StatusOK)
	alice.setTokens(a.refreshWith(alice.Refresh).want(http.StatusOK))
	for token, old := range map[string]string{alice.Access: oldAccess, alice.Refresh: oldRefresh} {
		if headerOf(t, token)["kid"] == headerOf(t, old)["kid"] {
			t.Fatalf("still signed with %v", headerOf(t, old)["kid"])
		}
		a.do("POST", "/auth/verify", map[string]any{"token": token}).want(http.StatusOK)
	}
	a.refreshWith(oldRefresh).want(http.StatusOK) // within the grace
	a.do("POST", "/auth/activate/"+tokens[kindActivation], nil).want(http.StatusOK)
	newCursor := next()
	if newCursor == cursor {
		t.Fatal("cursors are still made with the former secret")
	}

	f.write(secondSecret)
	a.Clock.Advance(5 * time.Second)
	for _, r := range []*response{
		a.do("GET", "/users/me", nil, bearer(oldAccess)), a.refreshWith(oldRefresh), a.do("POST", stale, nil),
	} {
		wantRefusedToken(t, r, services.CodeTokenNotValid)
	}
	a.do("GET", cursor, nil).wantFields("cursor")
	a.do("GET", newCursor, nil).want(http.StatusOK)
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
	a.refreshWith(alice.Refresh).want(http.StatusOK)
}

func TestRotation_LinkOfTheFormerSecretIsStillBoundToItsAccount(t *testing.T) {
	t.Parallel()
	f := newSecretFile(t, secret)
	a := newApp(t, f.use)
	_, link := a.register("pending")
	f.write(secondSecret, secret)
	a.Clock.Advance(5 * time.Second)
	if err := a.Services.Accounts.SetPassword(t.Context(), "pending", "another long password"); err != nil {
		t.Fatal(err)
	}
	wantRefusedToken(t, a.do("POST", link, nil), services.CodeTokenNotValid)
}

func TestRotation_AnotherProcessMayNoticeItFirst(t *testing.T) {
	t.Parallel()
	f := newSecretFile(t, secret)
	first := newApp(t, f.use)
	alice := first.user("alice")
	for range 3 {
		alice.task("Mine")
	}
	second := startApp(t, first.Config.Database, &clock{now: start.Add(4 * time.Second)}, f.use) // it has just read the file
	rotate := func(secrets ...string) (cursor string) {
		t.Helper()
		f.write(secrets...)
		first.Clock.Advance(5 * time.Second)
		link := first.do("GET", "/tasks?page_size=1", nil).want(http.StatusOK).Header.Get("Link")
		cursor, _, _ = strings.Cut(strings.TrimPrefix(link, "<http://dueto.test"), ">")
		return cursor
	}
	rotate(secondSecret, secret)
	first.Clock.Advance(-time.Second) // what it signs must not be from the other's future
	alice = first.login("alice")
	if _, want := tokenKeyOf(t, secondSecret, kindAccess); headerOf(t, alice.Access)["kid"] != want {
		t.Fatal("the first has not noticed it")
	}
	second.do("GET", "/users/me", nil, bearer(alice.Access)).want(http.StatusOK)

	cursor := rotate(secondSecret+"third", secondSecret, secret)
	second.do("GET", cursor, nil).want(http.StatusOK) // it has met no token of the third secret
}

func TestReload_BrokenFileKeepsTheKeysAndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	f := newSecretFile(t, secret)
	a := newApp(t, f.use)
	alice := a.user("alice")
	said := func() int { return strings.Count(a.Log.String(), "the changed keys cannot be used") }
	for i, content := range []string{"short", ""} {
		f.write(content)
		for range 6 {
			a.Clock.Advance(5 * time.Second)
			alice.do("GET", "/users/me", nil).want(http.StatusOK)
			wantRefusedToken(t, a.do("GET", "/users/me", nil, bearer(resign(t, alice.Access, jwt.SigningMethodHS512, []byte("x"),
				func(h, _ map[string]any) { h["kid"] = "deadbeef" }))), services.CodeTokenNotValid)
		}
		if said() != i+1 {
			t.Fatalf("logged %d times, want %d:\n%s", said(), i+1, a.Log.String())
		}
	}
	if log := a.Log.String(); !strings.Contains(log, "secret-file: "+f.name+": it has 5 bytes") || strings.Contains(log, secret) {
		t.Errorf("the log does not say why, or says too much:\n%s", log)
	}
	f.write(secondSecret, secret)
	a.Clock.Advance(5 * time.Second)
	kid := headerOf(t, a.login("alice").Access)["kid"]
	if _, want := tokenKeyOf(t, secondSecret, kindAccess); kid != want || said() != 2 {
		t.Errorf("signed with %v, want %s; logged %d times", kid, want, said())
	}
}
