package services

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dueto/models"
)

var fuzzTime = time.Date(2026, 10, 18, 12, 0, 0, 0, time.UTC)

// fuzzTokens gives tokens whose access tokens are of an algorithm, from keys
// that are the same each time.
func fuzzTokens(t testing.TB, algorithm string) *Tokens {
	t.Helper()
	material := secretsOf("current.", "retired.")
	if algorithm == "EdDSA" {
		material.Signing = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	}
	now := func() time.Time { return fuzzTime }
	load := func() (KeyMaterial, bool, error) { return material, false, nil }
	keys, err := NewKeyring(algorithm, load, slog.New(slog.DiscardHandler), now)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := NewTokens(TokenConfig{Keys: keys, Issuer: "http://dueto.test", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// fuzzClaims gives the claims of a token that is good for an hour.
func fuzzClaims(t *Tokens, kind TokenKind) *Claims {
	user := models.User{ID: 7, Username: "ann", EmailKey: "ann@example.com", PendingEmail: "anna@example.com"}
	c := t.claims(kind, user, fuzzTime, fuzzTime.Add(time.Hour))
	c.ID = "MFRGGZDFMZTWQ2LK" // in place of a random one
	switch kind {
	case TokenAccess:
		c.SessionID, c.Permissions = 9, &[]string{PermAddTasks}
	case TokenRefresh:
		c.SessionID, c.Generation = 9, 3
	default:
		c.State, c.Mailed = stateWith(t.Keys.derived(purposeState)[0], kind, user), true
	}
	return c
}

// issued is a token and what Parse has to say of it.
type issued struct {
	kind TokenKind
	raw  string
	err  error
}

// issueAll makes a good and an expired token of every kind.
func issueAll(t testing.TB, tokens *Tokens) (list []issued) {
	t.Helper()
	for _, kind := range tokenKinds {
		for _, age := range []time.Duration{0, 2 * time.Hour} {
			c := fuzzClaims(tokens, kind)
			for _, at := range []*int64{&c.IssuedAt, &c.NotBefore, &c.ExpiresAt} {
				*at -= int64(age / time.Second)
			}
			raw, err := tokens.sign(c)
			if err != nil {
				t.Fatal(err)
			}
			it := issued{kind: kind, raw: raw}
			if age > 0 {
				it.err = ErrTokenExpired
			}
			list = append(list, it)
		}
	}
	return list
}

// wantOnlyIssued checks that a token passes only if it was issued, as what it
// was issued for, and byte by byte the same.
func wantOnlyIssued(t *testing.T, tokens *Tokens, list []issued, raw string) {
	t.Helper()
	for _, kind := range tokenKinds {
		want := error(ErrTokenNotValid)
		for _, it := range list {
			if it.raw == raw && it.kind == kind {
				want = it.err
			}
		}
		claims, err := tokens.Parse(raw, kind)
		if (want == nil) != (err == nil) || (want != nil && !sameFailure(err, want)) {
			t.Fatalf("%q as %s token: %v, want %v", raw, kind, err, want)
		}
		if err == nil {
			if again, err := tokens.sign(claims); err != nil || again != raw {
				t.Fatalf("%q: signed again it is %q, %v", raw, again, err)
			}
		}
	}
}

// sameFailure reports whether a client is told the same of both.
func sameFailure(err, want error) bool {
	var a, b *Error
	return errors.As(err, &a) && errors.As(want, &b) && a.Code == b.Code && a.Message == b.Message && len(a.Fields) == 0
}

var fuzzAlgorithms = []string{"HS512", "HS256", "EdDSA"}

func TestTokens_NoFlippedBitIsAccepted(t *testing.T) {
	t.Parallel()
	for _, algorithm := range fuzzAlgorithms {
		tokens := fuzzTokens(t, algorithm)
		list := issueAll(t, tokens)
		for _, it := range list {
			wantOnlyIssued(t, tokens, list, it.raw)
			for i := range it.raw {
				for bit := range 8 {
					bent := []byte(it.raw)
					bent[i] ^= 1 << bit
					if _, err := tokens.Parse(string(bent), tokenKinds...); !sameFailure(err, ErrTokenNotValid) {
						t.Fatalf("%q, of %q: %v", bent, it.raw, err)
					}
				}
			}
		}
	}
}

func FuzzToken(f *testing.F) {
	all := map[string]*Tokens{}
	lists := map[string][]issued{}
	for i, algorithm := range fuzzAlgorithms {
		all[algorithm] = fuzzTokens(f, algorithm)
		lists[algorithm] = issueAll(f, all[algorithm])
		for _, it := range lists[algorithm] {
			f.Add(it.raw, uint8(i))
			f.Add(it.raw[:len(it.raw)-20]+"\n"+it.raw[len(it.raw)-20:], uint8(i))
		}
	}
	for _, raw := range []string{"", ".", "..", "a.b.c", strings.Repeat("a", maxTokenBytes+1), "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJub25lIn0.e30"} {
		f.Add(raw, uint8(0))
	}
	f.Fuzz(func(t *testing.T, raw string, which uint8) {
		algorithm := fuzzAlgorithms[int(which)%len(fuzzAlgorithms)]
		wantOnlyIssued(t, all[algorithm], lists[algorithm], raw)
	})
}

// FuzzSignedToken signs what no issuer would with the right key: the signature
// is no reason to believe the rest.
func FuzzSignedToken(f *testing.F) {
	tokens := fuzzTokens(f, "HS512")
	for i, kind := range tokenKinds {
		raw, err := tokens.sign(fuzzClaims(tokens, kind))
		if err != nil {
			f.Fatal(err)
		}
		parts := strings.Split(raw, ".")
		head, _ := base64.RawURLEncoding.DecodeString(parts[0])
		body, _ := base64.RawURLEncoding.DecodeString(parts[1])
		f.Add(head, body, uint8(i))
		for from, to := range map[string]string{
			`"exp":`: `"exp":1e9,"x":`, `"exp":1792328400`: `"exp":1792324800`, `"exp":1`: `"exp":-1`, `"user_id":7`: `"user_id":0`, `"sub":"7"`: `"sub":"07"`, `"iss":"http:`: `"iss":"https:`,
			`"aud":["dueto"]`: `"aud":"dueto"`, `"token_type":`: `"token_type":"access","TOKEN_TYPE":`, `"nbf":1`: `"nbf":9`, `"iat":`: `"iat":null,"x":`,
		} {
			f.Add(head, bytes.Replace(body, []byte(from), []byte(to), 1), uint8(i))
		}
		for from, to := range map[string]string{`"HS512"`: `"HS256"`, `"alg"`: `"crit":["x"],"alg"`, `"typ"`: `"typ":null,"TYP"`, `"kid"`: `"kid":7,"x"`} {
			f.Add(bytes.Replace(head, []byte(from), []byte(to), 1), body, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, head, body []byte, which uint8) {
		kind := tokenKinds[int(which)%len(tokenKinds)]
		keys := tokens.Keys.current().kinds[kind]
		text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
		signature, err := keys.method.Sign(text, keys.key)
		if err != nil {
			t.Fatal(err)
		}
		raw := text + "." + base64.RawURLEncoding.EncodeToString(signature)
		var header map[string]any
		var want Claims
		readable := json.Unmarshal(head, &header) == nil && json.Unmarshal(body, &want) == nil && len(raw) <= maxTokenBytes
		_, critical := header["crit"]
		fits := !critical && header["alg"] == "HS512" && header["kid"] == keys.id && header["typ"] == kind.typ() && want.TokenType == kind
		named := want.Issuer == "http://dueto.test" && slices.Contains(want.Audience, "dueto") && want.UserID > 0 && want.Subject == fmt.Sprint(want.UserID)
		now := fuzzTime.Unix()
		begun := want.IssuedAt <= now && want.NotBefore <= now && want.ExpiresAt != 0 && want.ExpiresAt <= now+10*365*24*60*60
		claims, err := tokens.Parse(raw, tokenKinds...)
		switch {
		case !readable || !fits || !named || !begun:
			if !sameFailure(err, ErrTokenNotValid) {
				t.Fatalf("%q.%q: taken as %+v, %v", head, body, claims, err)
			}
		case want.ExpiresAt <= now:
			if !sameFailure(err, ErrTokenExpired) {
				t.Fatalf("%q.%q: %v, of what has expired", head, body, err)
			}
		case err != nil || !reflect.DeepEqual(*claims, want):
			t.Fatalf("%q.%q: read as %+v, %v", head, body, claims, err)
		}
	})
}

func FuzzCSRF(f *testing.F) {
	tokens := fuzzTokens(f, "HS512")
	for _, id := range []int64{1, 9, 10, 1 << 40} {
		f.Add(tokens.CSRF(id), id)
		f.Add(tokens.CSRF(id), id+1)
		f.Add(tokens.CSRF(id)+"=", id)
	}
	f.Add("", int64(0))
	f.Fuzz(func(t *testing.T, proof string, session int64) {
		err := tokens.checkCSRF(Credential{CSRF: &proof}, session)
		if want := tokens.CSRF(session); (err == nil) != (proof == want) || (err != nil && !sameFailure(err, ErrCSRF)) {
			t.Fatalf("%q for session %d: %v; the proof is %q", proof, session, err, want)
		}
	})
}

// withChecksum ends a key as newAPIKey does.
func withChecksum(body string) string { return body + apiKeyChecksum(body) }

func FuzzAPIKey(f *testing.F) {
	store, err := models.Open(f.Context(), "sqlite:"+filepath.Join(f.TempDir(), "dueto.db"), models.Options{})
	if err != nil {
		f.Fatal(err)
	}
	now := func() time.Time { return fuzzTime }
	deferred := NewDeferred(store, slog.New(slog.DiscardHandler))
	service := NewAPITokenService(store, deferred, NewEvents(deferred, slog.New(slog.DiscardHandler), now), now)
	f.Cleanup(func() {
		deferred.Flush(context.Background())
		if err := store.Close(); err != nil {
			f.Error(err)
		}
	})
	known := map[string]error{}
	for i, want := range []error{nil, ErrTokenExpired} {
		known[withChecksum(apiKeyPrefix+keyEncoding.EncodeToString(bytes.Repeat([]byte{byte('k' + i)}, 32)))] = want
	}
	seedAPIKeys(f, store, known)
	for key := range known {
		f.Add(key)
		f.Add(key[:len(key)-1])
		f.Add(strings.ToUpper(key))
		f.Add(withChecksum(key[:len(key)-8] + "a"))
		f.Add(withChecksum(strings.ToUpper(key[:len(key)-7])))
	}
	f.Add("")
	f.Add(withChecksum(apiKeyPrefix))
	f.Fuzz(func(t *testing.T, text string) {
		if !apiKeyWellFormed(newAPIKey()) {
			t.Fatal("a new key is not well formed")
		}
		// What the fuzzer finds is refused by its checksum, unless that is mended.
		for _, key := range []string{text, withChecksum(text), withChecksum(text[:max(0, len(text)-len(apiKeyChecksum("")))])} {
			want, issued := known[key]
			if !issued {
				want = ErrTokenNotValid
			}
			actor, err := service.authenticate(t.Context(), key)
			if (err == nil) != (want == nil) || (want != nil && !sameFailure(err, want)) || actor.Authenticated() != (want == nil) {
				t.Fatalf("%q: %+v, %v; want %v", key, actor, err, want)
			}
		}
	})
}

// seedAPIKeys stores keys, those that are to be refused as expired ones.
func seedAPIKeys(t testing.TB, store *models.Store, keys map[string]error) {
	t.Helper()
	if _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := store.Write(t.Context(), func(tx models.DB) error {
		at := models.NullMicros(&fuzzTime)
		user := models.User{Username: "ann", UsernameKey: "ann", Email: "ann@example.com", EmailKey: "ann@example.com", Permissions: "[]", ActivatedAt: at}
		if err := models.CreateUser(tx, &user); err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			// Used just now, so that using it again leaves nothing to be noted.
			row := models.APIToken{UserID: user.ID, Name: "program", KeyHash: hashAPIKey(key), LastFour: key[len(key)-4:], LastUsedAt: at}
			if keys[key] != nil {
				row.ExpiresAt = at
			}
			if _, err := models.CreateAPIToken(tx, &row, maxAPITokens); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// bend changes the byte of a text at a place, puts one in, or takes one out.
func bend(s string, at uint16, with byte) string {
	i := int(at>>2) % (len(s) + 1)
	switch {
	case at&3 == 0 || i == len(s):
		return s[:i] + string([]byte{with}) + s[i:]
	case at&3 == 1:
		return s[:i] + s[i+1:]
	}
	return s[:i] + string([]byte{with}) + s[i+1:]
}

// wantCursorRefused checks that a cursor is refused in the words for a client.
func wantCursorRefused(t *testing.T, c *Cursors, list, cursor string) {
	t.Helper()
	at, err := c.decode(list, cursor)
	var known *Error
	if !errors.As(err, &known) || known.Code != CodeInvalid || len(known.Fields["cursor"]) != 1 || len(known.Fields) != 1 {
		t.Fatalf("%q for %q: taken for %+v, %v", cursor, list, at, err)
	}
}

func FuzzCursor(f *testing.F) {
	cursors := NewCursors(fixedKeyring(f, secretsOf("current.")))
	foreign := NewCursors(fixedKeyring(f, secretsOf("another.")))
	for i, list := range []string{"", "/tasks?", "/tasks?ordering=-due_to&person=3", "/users?\n1"} {
		f.Add(list, i%2 == 0, int64(-1)<<(i*21), "title", uint16(i), byte('A'))
		f.Add(list, i%2 > 0, int64(1)<<53+1, "<\u2028\"\\é😀>", uint16(i+200), byte('\n'))
	}
	f.Fuzz(func(t *testing.T, list string, backward bool, number int64, text string, at uint16, with byte) {
		if !utf8.ValidString(text) {
			return // no text that is stored
		}
		for _, values := range [][]any{{text, number}, {number}, {text}} {
			want := place{Backward: backward, Values: values}
			cursor, err := cursors.encode(list, want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := cursors.decode(list, cursor)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%q: %+v came back as %+v, %v", list, want, got, err)
			}
			if bent := bend(cursor, at, with); bent != cursor {
				wantCursorRefused(t, cursors, list, bent)
			}
			if bent := bend(list, at, with); bent != list {
				wantCursorRefused(t, cursors, bent, cursor)
			}
			wantCursorRefused(t, foreign, list, cursor)
		}
	})
}

// FuzzForeignCursor has cursors that were made elsewhere, or nowhere.
func FuzzForeignCursor(f *testing.F) {
	cursors := NewCursors(fixedKeyring(f, secretsOf("current.")))
	const list = "/tasks?ordering=title"
	made := map[string]place{}
	for _, p := range []place{{}, {Backward: true, Values: []any{int64(7)}}, {Values: []any{"a title", int64(1 << 60)}}} {
		cursor, err := cursors.encode(list, p)
		if err != nil {
			f.Fatal(err)
		}
		made[cursor] = p
		f.Add(cursor)
		f.Add(cursor + "=")
		f.Add(cursor[:8] + "\r\n" + cursor[8:])
		f.Add(cursor[:len(cursor)-1])
	}
	for _, cursor := range []string{"", "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAHt9", base64.RawURLEncoding.EncodeToString([]byte(`{"v":[1]}`)), "\r\n", "%41"} {
		f.Add(cursor)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		want, ours := made[cursor]
		if !ours {
			wantCursorRefused(t, cursors, list, cursor)
			return
		}
		if got, err := cursors.decode(list, cursor); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %+v, %v; want %+v", cursor, got, err, want)
		}
	})
}
