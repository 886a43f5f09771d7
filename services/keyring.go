package services

import (
	"crypto"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// KeyMaterial is what tokens are signed and checked with. The first secret and
// the signing key sign; all of them verify.
type KeyMaterial struct {
	Secrets [][]byte
	// Signing signs access tokens; nil where the secret does.
	Signing   crypto.Signer
	Verifying []crypto.PublicKey
}

const (
	// keyInterval is how long a change of the keys may go unnoticed.
	keyInterval = 5 * time.Second
	// keyRetry is how long files that could not be used are left alone, however
	// many unknown keys are met.
	keyRetry = time.Second
)

// Keyring holds the keys that are in force, and takes up new ones while the
// server runs. It may be used by many at once.
type Keyring struct {
	algorithm string
	load      func() (KeyMaterial, bool, error)
	log       *slog.Logger
	now       func() time.Time
	keys      atomic.Pointer[keySet]
	checked   atomic.Int64 // when load was last called, in nanoseconds since 1970

	mu      sync.Mutex // held while load is called
	failure string     // what load last failed with, if it did
}

// NewKeyring derives the keys from what load gives. load is called again while
// the keys are in use, by one caller at a time; it tells whether the material
// has changed since its last call, and is cheap where it has not.
func NewKeyring(algorithm string, load func() (KeyMaterial, bool, error), log *slog.Logger, now func() time.Time) (*Keyring, error) {
	k := &Keyring{algorithm: algorithm, load: load, log: log, now: now}
	k.checked.Store(now().UnixNano())
	material, _, err := load()
	if err != nil {
		return nil, err
	}
	keys, err := newKeySet(algorithm, material)
	if err != nil {
		return nil, err
	}
	k.keys.Store(keys)
	return k, nil
}

// current gives the keys in force. Every few seconds the first who asks looks
// for new ones before; nobody waits for that but them.
func (k *Keyring) current() *keySet {
	if k.age() >= keyInterval && k.mu.TryLock() {
		k.look()
		k.mu.Unlock()
	}
	return k.keys.Load()
}

// renewed looks for new keys at once, because something was signed with one
// that is not known: another process may have noticed a change before this one.
// Looking costs less than the check of a signature, so that it needs no limit;
// with one, whoever sends bad tokens would keep good ones from being known.
func (k *Keyring) renewed() *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure == "" || k.age() >= keyRetry {
		k.look()
	}
	return k.keys.Load()
}

// age is how long ago load was called; a clock that was set back makes it old.
func (k *Keyring) age() time.Duration {
	age := time.Duration(k.now().UnixNano() - k.checked.Load())
	if age < 0 {
		return keyInterval
	}
	return age
}

// look takes up what has changed. Where that fails, the keys in force stay,
// and the log tells, once for each change. The caller holds mu.
func (k *Keyring) look() {
	k.checked.Store(k.now().UnixNano())
	material, changed, err := k.load()
	if err == nil && !changed {
		return
	}
	if err == nil {
		var keys *keySet
		if keys, err = newKeySet(k.algorithm, material); err == nil {
			k.keys.Store(keys)
			k.failure = ""
			k.log.Info("took up the changed keys", "access_key", keys.kinds[TokenAccess].id, "refresh_key", keys.kinds[TokenRefresh].id)
			return
		}
	}
	if changed || err.Error() != k.failure {
		k.failure = err.Error()
		k.log.Error("the changed keys cannot be used; those in force stay", "error", k.failure)
	}
}

// derived gives the keys for one of the purposes: one for each secret, of which
// the first makes what any of them checks.
func (k *Keyring) derived(purpose string) [][]byte { return k.current().derived[purpose] }

// anyOf reports whether any of the keys for a purpose passes a check. Where none
// does, another process may have noticed a new one first.
func (k *Keyring) anyOf(purpose string, check func(key []byte) bool) bool {
	return slices.ContainsFunc(k.derived(purpose), check) || slices.ContainsFunc(k.renewed().derived[purpose], check)
}

// JWKS gives the public keys that check access tokens, as a JWK set (RFC 7517,
// 5). It is empty where the secret signs.
func (k *Keyring) JWKS() []byte { return k.current().jwks }
