package tests

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"dueto/services"
)

// strangers gives addresses that nobody has signed in from.
func strangers() func() header {
	var n atomic.Int32
	return func() header {
		i := n.Add(1)
		return from(fmt.Sprintf("198.51.%d.%d", i/250, i%250))
	}
}

func (a *app) loginFrom(address header, username, password string) *response {
	return a.do("POST", "/auth/login", map[string]any{"username": username, "password": password}, address)
}

// guessed fails so often as is free, each time from another address.
func (a *app) guessed(stranger func() header, username string) {
	a.t.Helper()
	for range 10 {
		a.loginFrom(stranger(), username, "not the password").wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	}
}

func TestLogin_FailuresDelayTheNextAlikeForAllNames(t *testing.T) {
	t.Parallel()
	a, stranger := throttledApp(t), strangers()
	a.user("alice")
	a.register("pending")
	names := []string{"alice", "alice@example.com", "pending", "nobody", "nobody@example.com"}
	// all tries each name, and wants the same answer for all.
	all := func() *response {
		t.Helper()
		first := a.loginFrom(stranger(), names[0], "not the password")
		for _, name := range names[1:] {
			wantSameAnswer(t, first, a.loginFrom(stranger(), name, "not the password"))
		}
		return first
	}
	for range 10 {
		all().wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	}
	for _, delay := range []time.Duration{30, 60, 120, 240, 480, 900, 900} {
		delay *= time.Second
		all().wantThrottled(delay)
		a.Clock.Advance(delay - time.Second)
		all().wantThrottled(time.Second)
		a.Clock.Advance(time.Second)
		all().wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	}
	a.loginFrom(stranger(), "somebody-else", "not the password").wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
}

func TestLogin_DelayHoldsForTheRightPasswordToo(t *testing.T) {
	t.Parallel()
	a, stranger := throttledApp(t), strangers()
	alice := a.user("alice")
	a.guessed(stranger, "alice")
	before := len(a.securityEvents())
	a.loginFrom(stranger(), "alice", password).wantThrottled(30 * time.Second)
	events := a.securityEvents()[before:]
	if len(events) != 1 || events[0]["event"] != "login throttled" || events[0]["user_id"] != float64(alice.ID) {
		t.Errorf("recorded: %v", events)
	}
	a.Clock.Advance(30 * time.Second)
	a.loginFrom(stranger(), "alice", password).want(http.StatusOK)
	a.guessed(stranger, "alice") // the success cleared the count
	a.loginFrom(stranger(), "alice", password).wantThrottled(30 * time.Second)
}

func TestLogin_NamesThatMeanTheSameCountAsOne(t *testing.T) {
	t.Parallel()
	for name, forms := range map[string][]string{
		"a name":               {"alice", "ALICE", " Alice ", "ａｌｉｃｅ"},
		"an address":           {"alice@example.com", "Alice@EXAMPLE.com", "alice@example。com", " alice@example.com"},
		"an address with IDNA": {"alice@bücher.example", "alice@xn--bcher-kva.example", "ALICE@BÜCHER.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, stranger := throttledApp(t), strangers()
			a.user("alice")
			for i := range 10 {
				a.loginFrom(stranger(), forms[i%len(forms)], "not the password").want(http.StatusUnauthorized)
			}
			for _, form := range forms {
				a.loginFrom(stranger(), form, "not the password").wantThrottled(30 * time.Second)
			}
		})
	}
}

func TestLogin_FailuresKeepNobodyOutWhereTheySignedInBefore(t *testing.T) {
	t.Parallel()
	a, stranger := throttledApp(t), strangers()
	a.user("alice")
	home, network, later := from("192.0.2.1"), from("2001:db8::1"), from("2001:db8::2")
	a.loginFrom(network, "alice", password).want(http.StatusOK)
	refresh := a.loginFrom(home, "alice", password).want(http.StatusOK).object()["refresh"].(string)
	a.logoutWith(refresh).want(http.StatusNoContent) // an ended session is a sign as well
	a.guessed(stranger, "alice")
	a.loginFrom(stranger(), "alice", "not the password").wantThrottled(30 * time.Second)

	a.loginFrom(home, "alice", "not the password").wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	a.loginFrom(stranger(), "alice", "not the password").wantThrottled(30 * time.Second)
	a.loginFrom(later, "alice", "not the password").wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
	a.loginFrom(home, "alice", password).want(http.StatusOK)
	a.guessed(stranger, "alice") // the success cleared the count
	a.loginFrom(stranger(), "alice", "not the password").wantThrottled(30 * time.Second)

	a.guessed(stranger, "bob") // an address is one account's, not everybody's
	a.loginFrom(home, "bob", "not the password").wantThrottled(30 * time.Second)
	for range 30 {
		if r := a.loginFrom(home, "alice", "not the password"); r.Status == http.StatusTooManyRequests {
			r.wantThrottled(2 * time.Second) // the address's own rate holds for it as for all
			return
		}
	}
	t.Error("a known address may guess at any rate")
}

func TestLogin_ManyAtOnceGetNoFurtherThanOneByOne(t *testing.T) {
	t.Parallel()
	a, stranger := throttledApp(t), strangers()
	a.user("alice")
	home := from("192.0.2.1")
	a.loginFrom(home, "alice", password).want(http.StatusOK)
	for _, name := range []string{"alice@example.com", "nobody"} {
		counts := map[int]int{}
		for _, r := range sendAtOnce(64, func(int) *response { return a.loginFrom(stranger(), name, "not the password") }) {
			counts[r.Status]++
		}
		if counts[http.StatusUnauthorized] != 10 || counts[http.StatusTooManyRequests] != 54 {
			t.Errorf("%s: the answers are %v", name, counts)
		}
	}
	answers := sendAtOnce(64, func(i int) *response {
		if i%8 == 0 {
			return untilNotBusy(func() *response { return a.loginFrom(home, "alice", password) })
		}
		return a.loginFrom(stranger(), "alice", "not the password")
	})
	for i := 0; i < len(answers); i += 8 {
		answers[i].want(http.StatusOK)
	}
}
