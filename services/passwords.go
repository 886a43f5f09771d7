package services

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	hashVersion = "v1$"
	// hashQueue and hashWait bound who waits for a slot to hash in: a login
	// flood is refused rather than let it starve everybody else's requests.
	hashQueue = 64
	hashWait  = 3 * time.Second
)

// Passwords hashes and compares passwords, a few at a time, on threads that give
// way to the rest of the server.
type Passwords struct {
	cost    int
	slots   chan struct{}
	waiting atomic.Int64
	// compare is bcrypt's.
	compare func(hash, password []byte) error
}

// NewPasswords takes bcrypt's cost (4 to 15) and how many hashes may be
// computed at once.
func NewPasswords(cost, parallel int) *Passwords {
	return &Passwords{cost: cost, slots: make(chan struct{}, max(1, parallel)), compare: bcrypt.CompareHashAndPassword}
}

// Hash gives the form in which a password is stored. It fails with CodeBusy
// when too many are being hashed.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	release, err := p.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	var hash []byte
	givingWay(func() { hash, err = bcrypt.GenerateFromPassword(prehash(password), p.cost) })
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hashVersion + string(hash), nil
}

// Compare reports whether the password is the stored one, always at the price
// of exactly one hash: an empty stored form (no such account) is compared with
// a dummy. It fails with CodeBusy when too many are being hashed.
func (p *Passwords) Compare(ctx context.Context, stored, password string) (bool, error) {
	release, err := p.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	hash, known := strings.CutPrefix(stored, hashVersion)
	if !known {
		hash = dummy(p.cost)
	}
	givingWay(func() {
		if err = p.compare([]byte(hash), prehash(password)); errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			p.makeUp(hash)
		}
	})
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, fmt.Errorf("compare password: %w", err)
	}
	return known && err == nil, nil
}

// makeUp does the work that a comparison lacks whose hash was made at a lower
// cost: an account that has not signed in since the cost was raised must not be
// told by its time. What it takes doubles with each step, so that one more at
// every step in between adds up. A hash of a higher cost cannot be hidden.
func (p *Passwords) makeUp(hash string) {
	cost, err := bcrypt.Cost([]byte(hash))
	for ; err == nil && cost < p.cost; cost++ {
		_ = p.compare([]byte(dummy(cost)), nil) // it does not match
	}
}

// Outdated reports whether a stored form should be made anew at the next login.
func (p *Passwords) Outdated(stored string) bool {
	hash, known := strings.CutPrefix(stored, hashVersion)
	cost, err := bcrypt.Cost([]byte(hash))
	return !known || err != nil || cost != p.cost
}

// dummy is a well-formed hash of a cost that no password is known to have.
func dummy(cost int) string {
	return fmt.Sprintf("$2a$%02d$%s", cost, "abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDE")
}

// prehash makes any password 64 bytes that bcrypt reads whole. bcrypt itself
// stops at 72 bytes, and Go's compare accepts any suffix beyond them.
func prehash(password string) []byte {
	mac := hmac.New(sha512.New384, []byte("dueto password v1"))
	mac.Write([]byte(password))
	return []byte(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func (p *Passwords) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-p.slots }
	select {
	case p.slots <- struct{}{}:
		return release, nil
	default:
	}
	busy := &Error{Code: CodeBusy, Message: "Too many sign-ins at this moment. Try again shortly.", RetryAfter: hashWait}
	if p.waiting.Add(1) > hashQueue {
		p.waiting.Add(-1)
		return nil, busy
	}
	defer p.waiting.Add(-1)
	timer := time.NewTimer(hashWait)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, busy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
