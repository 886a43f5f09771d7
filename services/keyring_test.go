package services

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fixedKeyring holds material that does not change.
func fixedKeyring(t testing.TB, m KeyMaterial) *Keyring {
	t.Helper()
	load := func() (KeyMaterial, bool, error) { return m, false, nil }
	k, err := NewKeyring("HS512", load, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keySource is what a test's load gives next.
type keySource struct {
	material KeyMaterial
	changed  bool
	err      error
	loads    int
	log      strings.Builder
	now      time.Time
}

func (s *keySource) keyring(t *testing.T) *Keyring {
	t.Helper()
	s.now = time.Date(2026, 10, 18, 12, 0, 0, 0, time.UTC)
	s.material = secretsOf("first")
	load := func() (KeyMaterial, bool, error) { s.loads++; return s.material, s.changed, s.err }
	k, err := NewKeyring("HS512", load, slog.New(slog.NewTextHandler(&s.log, nil)), func() time.Time { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	s.loads = 0
	return k
}

func secretsOf(names ...string) (m KeyMaterial) {
	for _, name := range names {
		m.Secrets = append(m.Secrets, []byte(strings.Repeat(name, 8)))
	}
	return m
}

func TestKeyring_LooksEveryFewSecondsOfUse(t *testing.T) {
	t.Parallel()
	var s keySource
	k := s.keyring(t)
	first := k.current()
	s.material, s.changed = secretsOf("second", "first"), true
	for _, tt := range []struct {
		after time.Duration
		loads int
	}{{0, 0}, {keyInterval - 1, 0}, {1, 1}, {0, 1}, {keyInterval - 1, 1}, {1, 2}, {-time.Hour, 3}, {0, 3}} {
		s.now = s.now.Add(tt.after)
		if k.current(); s.loads != tt.loads {
			t.Fatalf("%s later: %d looks, want %d", tt.after, s.loads, tt.loads)
		}
	}
	now := k.current()
	if now == first || now.kinds[TokenRefresh].id == first.kinds[TokenRefresh].id || len(now.kinds[TokenRefresh].verifying) != 2 {
		t.Errorf("the keys were not taken up")
	}
	s.changed = false
	if k.renewed() != now || s.loads != 4 {
		t.Errorf("%d looks; what has not changed was taken up", s.loads)
	}
}

func TestKeyring_FailureKeepsTheKeysAndIsLoggedOncePerChange(t *testing.T) {
	t.Parallel()
	var s keySource
	k := s.keyring(t)
	first := k.current()
	logged := func(want int) {
		t.Helper()
		if got := strings.Count(s.log.String(), "cannot be used"); got != want {
			t.Fatalf("%d failures logged, want %d:\n%s", got, want, s.log.String())
		}
	}
	ask := func(times int) {
		t.Helper()
		for range times {
			s.now = s.now.Add(keyInterval)
			if k.current() != first {
				t.Fatal("the keys in force did not stay")
			}
			s.changed = false
		}
	}
	s.changed, s.err = true, errors.New("no key in it")
	ask(10)
	logged(1)
	s.changed = true
	ask(10)
	logged(2)
	s.err = errors.New("cannot be read")
	ask(10)
	logged(3)

	loads := s.loads
	for range 10 { // nobody who sends unknown keys makes it be read all the time
		s.now = s.now.Add(keyRetry / 5)
		k.renewed()
	}
	if s.loads != loads+2 {
		t.Errorf("%d looks within two seconds, want 2", s.loads-loads)
	}

	s.material, s.changed, s.err = KeyMaterial{}, true, nil // nothing to sign with
	ask(10)
	logged(4)
	s.material, s.changed = secretsOf("second"), true
	s.now = s.now.Add(keyInterval)
	if k.current() == first || !strings.Contains(s.log.String(), "took up the changed keys") {
		t.Errorf("good keys were not taken up:\n%s", s.log.String())
	}
	if strings.Contains(s.log.String(), "secondsecond") || strings.Contains(s.log.String(), "firstfirst") {
		t.Errorf("a secret is logged:\n%s", s.log.String())
	}
}

func TestKeyring_ManyMayAskWhileItChanges(t *testing.T) {
	t.Parallel()
	var changes atomic.Int64
	load := func() (KeyMaterial, bool, error) {
		n := changes.Add(1)
		return secretsOf(fmt.Sprint("secret", n), fmt.Sprint("secret", n-1)), true, nil
	}
	var tick atomic.Int64
	now := func() time.Time { return time.Unix(tick.Add(1), 0) }
	k, err := NewKeyring("HS512", load, slog.New(slog.DiscardHandler), now)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				keys := k.current()
				if k.renewed(); len(keys.kinds) != len(tokenKinds) || len(k.derived(purposeCursor)) != 2 {
					t.Error("half a set of keys")
				}
			}
		})
	}
	wg.Wait()
	if changes.Load() < 800 {
		t.Errorf("%d looks", changes.Load())
	}
}

func TestNewKeySet_TakesOnlyKeysOfTheAlgorithm(t *testing.T) {
	t.Parallel()
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	keys := map[string]crypto.Signer{"RS256": rsaKey, "ES256": p256, "ES384": p384, "EdDSA": ed}
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		good := keys[algorithm]
		for name, key := range keys {
			signing, verifying := secretsOf("secret"), secretsOf("secret")
			signing.Signing = key
			verifying.Signing, verifying.Verifying = good, []crypto.PublicKey{key.Public()}
			for what, m := range map[string]KeyMaterial{"to sign": signing, "to verify": verifying} {
				if _, err := newKeySet(algorithm, m); (err == nil) != (name == algorithm) {
					t.Errorf("%s with a key of %s %s: %v", algorithm, name, what, err)
				}
			}
		}
		if _, err := newKeySet(algorithm, secretsOf("secret")); err == nil {
			t.Errorf("%s without a signing key is taken", algorithm)
		}
		if _, err := newKeySet(algorithm, KeyMaterial{Signing: good}); err == nil {
			t.Errorf("%s without a secret is taken", algorithm)
		}
	}
	for _, algorithm := range []string{"", "none", "HS1", "hs512", "RS512", "PS256", "ES384", "RS384"} {
		for _, key := range keys {
			m := secretsOf("secret")
			m.Signing = key
			if _, err := newKeySet(algorithm, m); err == nil {
				t.Errorf("algorithm %q is taken", algorithm)
			}
		}
	}
}
