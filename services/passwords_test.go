package services

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

var storedForm = regexp.MustCompile(`^v1\$\$2a\$04\$[./A-Za-z0-9]{53}$`)

func mustHash(t *testing.T, p *Passwords, password string) string {
	t.Helper()
	hash, err := p.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func mustCompare(t *testing.T, p *Passwords, hash, password string) bool {
	t.Helper()
	match, err := p.Compare(t.Context(), hash, password)
	if err != nil {
		t.Fatal(err)
	}
	return match
}

func TestPasswords_HashIsVersionedAndSalted(t *testing.T) {
	t.Parallel()
	p := NewPasswords(4, 1)
	first, second := mustHash(t, p, "correct horse"), mustHash(t, p, "correct horse")
	if !storedForm.MatchString(first) || first == second {
		t.Fatalf("hashes %q and %q", first, second)
	}
	if !mustCompare(t, p, first, "correct horse") || !mustCompare(t, p, second, "correct horse") {
		t.Fatal("the right password does not match")
	}
}

// Each pair is one password to plain bcrypt, or to Go's compare.
func TestPasswords_WhatBcryptConfusesIsToldApart(t *testing.T) {
	t.Parallel()
	p := NewPasswords(4, 1)
	long := strings.Repeat("a", 72)
	for name, c := range map[string]struct{ set, tried string }{
		"another password":          {"correct horse", "correct horsf"},
		"case":                      {"correct horse", "Correct horse"},
		"a suffix beyond 72 bytes":  {long, long + "x"},
		"another 73rd byte":         {long + "x", long + "y"},
		"cut to 72 bytes":           {long + "x", long},
		"the last of 1,000 bytes":   {strings.Repeat("b", 999) + "x", strings.Repeat("b", 999) + "y"},
		"repeated after a NUL":      {"p", "p\x00p"},
		"a NUL at the end":          {"password1", "password1\x00"},
		"behind a NUL":              {"same\x00one", "same\x00two"},
		"nothing":                   {"correct horse", ""},
		"white space":               {"correct horse", "correct horse "},
		"another form of a letter":  {"caf\u00e9 society", "cafe\u0301 society"},
		"the prehash as a password": {"correct horse", string(prehash("correct horse"))},
	} {
		t.Run(name, func(t *testing.T) {
			hash := mustHash(t, p, c.set)
			if !mustCompare(t, p, hash, c.set) {
				t.Error("the right password does not match")
			}
			if mustCompare(t, p, hash, c.tried) {
				t.Errorf("%.20q passes for %.20q", c.tried, c.set)
			}
		})
	}
}

func TestPasswords_CostAndOutdated(t *testing.T) {
	t.Parallel()
	four, five := NewPasswords(4, 1), NewPasswords(5, 1)
	hash := mustHash(t, five, "correct horse")
	if cost, err := bcrypt.Cost([]byte(strings.TrimPrefix(hash, hashVersion))); err != nil || cost != 5 {
		t.Fatalf("cost %d, %v", cost, err)
	}
	if !mustCompare(t, four, hash, "correct horse") {
		t.Error("a hash of another cost does not match")
	}
	for name, c := range map[string]struct {
		p    *Passwords
		hash string
		want bool
	}{
		"current":         {five, hash, false},
		"cheaper":         {five, mustHash(t, four, "correct horse"), true},
		"dearer":          {four, hash, true},
		"another version": {five, "v0$" + strings.TrimPrefix(hash, hashVersion), true},
		"no version":      {five, strings.TrimPrefix(hash, hashVersion), true},
		"damaged":         {five, hashVersion + "$2a$", true},
		"empty":           {five, "", true},
	} {
		if got := c.p.Outdated(c.hash); got != c.want {
			t.Errorf("%s: Outdated is %v", name, got)
		}
	}
}

// A dummy that bcrypt refuses to parse would cost nothing, and so would tell
// unknown names from known ones.
func TestPasswords_UnknownIsComparedWithAWellFormedDummy(t *testing.T) {
	t.Parallel()
	for cost := 4; cost <= 15; cost++ {
		got, err := bcrypt.Cost([]byte(dummy(cost)))
		if err != nil || got != cost {
			t.Errorf("the dummy of cost %d has cost %d, %v", cost, got, err)
		}
	}
	p := NewPasswords(4, 1)
	if err := bcrypt.CompareHashAndPassword([]byte(dummy(p.cost)), prehash("anything")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Fatalf("comparing with the dummy: %v", err)
	}
	unversioned := strings.TrimPrefix(mustHash(t, p, "correct horse"), hashVersion)
	for _, hash := range []string{"", "v2$" + unversioned, unversioned} {
		if mustCompare(t, p, hash, "correct horse") {
			t.Errorf("%.10q matches", hash)
		}
	}
}

func TestPasswords_DamagedHashIsAnError(t *testing.T) {
	t.Parallel()
	if match, err := NewPasswords(4, 1).Compare(t.Context(), hashVersion+"$2a$04$short", "correct horse"); err == nil || match {
		t.Fatalf("got %v, %v", match, err)
	}
}

func wantBusy(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeBusy || e.RetryAfter != 3*time.Second {
		t.Errorf("got %v, want busy with a time to retry after", err)
	}
}

// crowd fills a guard of one slot: the slot is held, and as many wait as may.
func crowd(t *testing.T, ctx context.Context, p *Passwords) (release func(), outcomes chan error) {
	t.Helper()
	release, err := p.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	outcomes = make(chan error, hashQueue)
	for range hashQueue {
		go func() {
			done, err := p.acquire(ctx)
			if err == nil {
				done()
			}
			outcomes <- err
		}()
	}
	synctest.Wait()
	if len(outcomes) != 0 {
		t.Fatalf("%d did not wait", len(outcomes))
	}
	return release, outcomes
}

func TestPasswords_SixtyFourWaitAndTheRestIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswords(4, 1)
		release, outcomes := crowd(t, t.Context(), p)
		for range 3 {
			_, err := p.Hash(t.Context(), "correct horse")
			wantBusy(t, err)
			_, err = p.Compare(t.Context(), "", "correct horse")
			wantBusy(t, err)
		}
		release()
		for range hashQueue {
			if err := <-outcomes; err != nil {
				t.Errorf("one who waited got %v", err)
			}
		}
		mustHash(t, p, "correct horse") // the slot is free again
	})
}

func TestPasswords_WaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswords(4, 1)
		release, outcomes := crowd(t, t.Context(), p)
		time.Sleep(3 * time.Second) // of the bubble's clock
		synctest.Wait()
		for range hashQueue {
			wantBusy(t, <-outcomes)
		}
		release()
		mustHash(t, p, "correct horse")
	})
}

func TestPasswords_CancelledWaiterLeavesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswords(4, 1)
		ctx, cancel := context.WithCancel(t.Context())
		release, outcomes := crowd(t, ctx, p)
		cancel()
		for range hashQueue {
			if err := <-outcomes; !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled waiter got %v", err)
			}
		}
		late := make(chan error, 1)
		go func() {
			_, err := p.Hash(t.Context(), "correct horse")
			late <- err
		}()
		synctest.Wait()
		if len(late) != 0 {
			t.Fatalf("with the queue empty again: %v", <-late)
		}
		release()
		if err := <-late; err != nil {
			t.Error(err)
		}
	})
}

func TestPasswords_SlotsAreSharedByAsManyAsAreGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswords(4, 2)
		for range 2 {
			release, err := p.acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer release()
		}
		third := make(chan error, 1)
		go func() { _, err := p.acquire(t.Context()); third <- err }()
		synctest.Wait()
		if len(third) != 0 {
			t.Fatal("a third one did not wait")
		}
		wantBusy(t, <-third) // once its time is over
	})
}

func TestPasswords_NoSlotsMeansOne(t *testing.T) {
	t.Parallel()
	mustHash(t, NewPasswords(4, 0), "correct horse")
}

// What a comparison takes is told by the costs of the hashes that are compared:
// each step doubles it.
func TestCompare_ARefusalTakesTheCostInForceWhateverTheHashHas(t *testing.T) {
	t.Parallel()
	const inForce = 7
	for cost := bcrypt.MinCost; cost <= inForce; cost++ {
		stored, err := NewPasswords(cost, 1).Hash(t.Context(), "the right one")
		if err != nil {
			t.Fatal(err)
		}
		p := NewPasswords(inForce, 1)
		work := 0
		p.compare = func(hash, password []byte) error {
			c, err := bcrypt.Cost(hash)
			if err != nil {
				t.Error(err)
			}
			work += 1 << c
			return bcrypt.CompareHashAndPassword(hash, password)
		}
		if match, err := p.Compare(t.Context(), stored, "the wrong one"); match || err != nil || work != 1<<inForce {
			t.Errorf("cost %d: %v, %v, and the work of %d, want %d", cost, match, err, work, 1<<inForce)
		}
		if match, err := p.Compare(t.Context(), stored, "the right one"); !match || err != nil {
			t.Errorf("cost %d: the right one is refused, %v", cost, err)
		}
	}
}
