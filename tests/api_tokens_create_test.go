package tests

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

// apiToken is an API token that a test made.
type apiToken struct {
	*app
	ID  int64
	Key string
}

// tokenKey is how an API token is sent.
func tokenKey(key string) header { return header{"Authorization", "Token " + key} }

// apiToken makes an API token of the person's. words are what it is limited to;
// nil is no limit.
func (p *person) apiToken(name string, words []string) *apiToken {
	p.t.Helper()
	return p.apiTokenWith(map[string]any{"name": name, "permissions": words})
}

func (p *person) apiTokenWith(body map[string]any) *apiToken {
	p.t.Helper()
	r := p.do("POST", "/auth/tokens", body).want(http.StatusCreated)
	key, _ := r.object()["key"].(string)
	return &apiToken{app: p.app, ID: r.id(), Key: key}
}

// do sends a request with the API token.
func (k *apiToken) do(method, path string, body any, headers ...header) *response {
	k.t.Helper()
	return k.app.do(method, path, body, append(headers, tokenKey(k.Key))...)
}

func apiTokenPath(id int64) string { return fmt.Sprintf("/auth/tokens/%d", id) }

// crc32Of is CRC-32 as ISO 3309 defines it, a bit at a time.
func crc32Of(text string) uint32 {
	sum := ^uint32(0)
	for _, b := range []byte(text) {
		sum ^= uint32(b)
		for range 8 {
			low := sum & 1
			sum >>= 1
			if low == 1 {
				sum ^= 0xEDB88320
			}
		}
	}
	return ^sum
}

// keyAlphabet is RFC 4648's base32, which keys have in lower case.
var keyAlphabet = base32.StdEncoding.WithPadding(base32.NoPadding)

// unbase32 reads it.
func unbase32(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := keyAlphabet.DecodeString(strings.ToUpper(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return raw
}

// otherLetter changes a key in one place.
func otherLetter(key string, at int) string {
	letter := "a"
	if key[at] == 'a' {
		letter = "b"
	}
	return key[:at] + letter + key[at+1:]
}

// withChecksum ends the body of a key as the server would.
func withChecksum(body string) string {
	sum := crc32Of(body)
	four := []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}
	return body + strings.ToLower(keyAlphabet.EncodeToString(four))
}

func TestAPIToken_IsMadeWithAKeyThatHasItsPrefixAndChecksum(t *testing.T) {
	t.Parallel()
	alice := newApp(t).user("alice")
	seen := map[string]bool{}
	for i := range 5 {
		r := alice.do("POST", "/auth/tokens", map[string]any{"name": " my phone "}).want(http.StatusCreated)
		o := r.object()
		key := o["key"].(string)
		if !regexp.MustCompile(`^dueto_[a-z2-7]{59}$`).MatchString(key) || withChecksum(key[:58]) != key || len(unbase32(t, key[6:58])) != 32 {
			t.Errorf("the key is %q; the checksum should make it %q", key, withChecksum(key[:58]))
		}
		if seen[key] || seen[key[6:20]] {
			t.Error("two keys are alike")
		}
		seen[key], seen[key[6:20]] = true, true
		url := fmt.Sprintf("http://dueto.test/auth/tokens/%d", i+1)
		want := map[string]any{
			"id": float64(i + 1), "url": url, "name": "my phone", "last_four": key[61:], "permissions": nil,
			"created_at": "2026-10-18T12:00:00Z", "expires_at": "2027-01-16T12:00:00Z", "last_used_at": nil, "key": key,
		}
		if !reflect.DeepEqual(o, want) || r.Header.Get("Location") != url || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got  %v\nwant %v\n%v", o, want, r.Header)
		}
	}
}

func TestAPIToken_KeyIsShownOnceAndKeptNowhere(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	token := alice.apiToken("phone", nil)
	token.do("GET", "/users/me", nil).want(http.StatusOK)
	unknown := withChecksum("dueto_" + strings.Repeat("a", 52))
	a.do("GET", "/users/me", nil, tokenKey(unknown)).want(http.StatusUnauthorized)
	for _, r := range []*response{
		alice.do("GET", "/auth/tokens", nil), alice.do("GET", apiTokenPath(token.ID), nil), token.do("GET", "/users/me", nil),
		alice.do("GET", "/users/me/events", nil),
	} {
		if r.want(http.StatusOK); bytes.Contains(r.Body, []byte(token.Key[:20])) || bytes.Contains(r.Body, []byte(`"key"`)) {
			t.Errorf("%s gives the key: %s", r.What, r.Body)
		}
	}
	kept := map[string][]byte{"the log": []byte(a.Log.String())}
	a.stop() // all is in the file now
	stored := atRest(t, a.Config.Database)
	sum := sha256.Sum256([]byte(token.Key))
	if !bytes.Contains(stored, []byte(hex.EncodeToString(sum[:]))) {
		t.Error("the hash of the key is not in the database: it was not the one to look at")
	}
	kept["the database"] = stored
	for where, text := range kept {
		for _, part := range []string{token.Key, token.Key[6:58], token.Key[20:40], unknown, hex.EncodeToString(unbase32(t, token.Key[6:58])), string(unbase32(t, token.Key[6:58]))} {
			if bytes.Contains(text, []byte(part)) {
				t.Errorf("%s holds %q", where, part)
			}
		}
	}
}

func TestAPIToken_ListGetAndRevokeReachOnesOwnOnly(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob, boss := a.user("alice"), a.user("bob"), a.staff("boss")
	if got := string(alice.do("GET", "/auth/tokens", nil).want(http.StatusOK).Body); strings.TrimSpace(got) != "[]" {
		t.Errorf("no tokens are %s", got)
	}
	first := alice.apiToken("first", []string{"tasks.view", "tasks.add", "tasks.view"})
	hers := bob.apiToken("hers", nil)
	second := alice.apiToken("second", []string{})
	want := []int64{first.ID, second.ID}
	list := alice.do("GET", "/auth/tokens", nil).want(http.StatusOK)
	if got := list.listIDs(); !slices.Equal(got, want) {
		t.Fatalf("listed: %v, want %v", got, want)
	}
	for i, id := range want {
		one := alice.do("GET", apiTokenPath(id), nil).want(http.StatusOK).object()
		if !reflect.DeepEqual(one, list.list()[i]) {
			t.Errorf("token %d reads %v, in the list %v", id, one, list.list()[i])
		}
		if words := []any{[]any{"tasks.add", "tasks.view"}, []any{}}[i]; !reflect.DeepEqual(one["permissions"], words) {
			t.Errorf("token %d has the words %v, want %v", id, one["permissions"], words)
		}
	}
	for _, path := range []string{apiTokenPath(hers.ID), apiTokenPath(99)} {
		for _, p := range []*person{alice, boss} {
			for _, method := range []string{"GET", "DELETE"} {
				p.do(method, path, nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
			}
		}
	}
	for _, method := range []string{"GET", "DELETE"} {
		a.do(method, apiTokenPath(first.ID), nil).wantProblem(http.StatusUnauthorized, services.CodeNotAuthenticated)
	}
	hers.do("GET", "/users/me", nil).want(http.StatusOK)
	first.do("GET", "/tasks", nil).want(http.StatusOK)
	alice.do("DELETE", apiTokenPath(first.ID), nil).want(http.StatusNoContent)
	wantRefusedToken(t, first.do("GET", "/tasks", nil), services.CodeTokenNotValid)
	for _, method := range []string{"GET", "DELETE"} {
		alice.do(method, apiTokenPath(first.ID), nil).wantProblem(http.StatusNotFound, services.CodeNotFound)
	}
	if got := alice.do("GET", "/auth/tokens", nil).want(http.StatusOK).listIDs(); !slices.Equal(got, []int64{second.ID}) {
		t.Errorf("left: %v", got)
	}
}

func TestAPIToken_EndsWhenItIsSaidTo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		expires any // "absent" is not sent
		stored  any
		lasts   time.Duration
	}{
		"absent": {"absent", "2027-01-16T12:00:00Z", 90 * 24 * time.Hour},
		"given":  {"2026-10-18T14:30:00+02:00", "2026-10-18T12:30:00Z", 30 * time.Minute},
		"soon":   {"2026-10-18T12:00:00.5Z", "2026-10-18T12:00:00.5Z", 500 * time.Millisecond},
		"never":  {nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			alice := a.user("alice")
			body := map[string]any{"name": "script", "expires_at": tt.expires}
			if tt.expires == "absent" {
				delete(body, "expires_at")
			}
			token := alice.apiTokenWith(body)
			if got := alice.do("GET", apiTokenPath(token.ID), nil).want(http.StatusOK).object()["expires_at"]; got != tt.stored {
				t.Errorf("it ends %v, want %v", got, tt.stored)
			}
			if tt.lasts == 0 {
				a.Clock.Advance(20 * 365 * 24 * time.Hour)
				token.do("GET", "/users/me", nil).want(http.StatusOK)
				return
			}
			a.Clock.Advance(tt.lasts - time.Microsecond)
			token.do("GET", "/users/me", nil).want(http.StatusOK)
			a.Clock.Advance(time.Microsecond)
			wantRefusedToken(t, token.do("GET", "/users/me", nil), services.CodeTokenExpired)
			wantRefusedToken(t, token.do("GET", "/tasks", nil), services.CodeTokenExpired)
			if got := a.login("alice").do("GET", "/auth/tokens", nil).want(http.StatusOK).listIDs(); !slices.Equal(got, []int64{token.ID}) {
				t.Errorf("what has ended is still told of, but the list is %v", got)
			}
		})
	}
}

func TestAPIToken_OutlivesTheServer(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	token := a.user("alice").apiToken("script", nil)
	token.app = a.restart()
	token.do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestAPIToken_NotesItsLastUseAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	token := alice.apiToken("script", nil)
	used := func(after time.Duration, want string) {
		t.Helper()
		a.Clock.Advance(after)
		token.do("GET", "/tasks", nil).want(http.StatusOK)
		if got := alice.do("GET", apiTokenPath(token.ID), nil).want(http.StatusOK).object()["last_used_at"]; got != want {
			t.Errorf("last used %v, want %s", got, want)
		}
	}
	used(time.Second, "2026-10-18T12:00:01Z")
	used(30*time.Second, "2026-10-18T12:00:01Z")
	used(30*time.Second-time.Microsecond, "2026-10-18T12:00:01Z")
	used(time.Microsecond, "2026-10-18T12:01:01Z")
	used(time.Minute-time.Microsecond, "2026-10-18T12:01:01Z")
	a.Clock.Advance(time.Minute)
	token.Key = withChecksum(otherLetter(token.Key, 30)[:58]) // a refused key is no use of any
	token.do("GET", "/tasks", nil).want(http.StatusUnauthorized)
	if got := alice.do("GET", apiTokenPath(token.ID), nil).want(http.StatusOK).object()["last_used_at"]; got != "2026-10-18T12:01:01Z" {
		t.Errorf("last used %v", got)
	}
}

func TestAPIToken_ReadsWhileItsUseCannotBeNoted(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	token := alice.apiToken("script", nil)
	heal := refuse(t, a.Config.Database, "BEFORE UPDATE ON api_tokens")
	for range 2 {
		token.do("GET", "/users/me", nil).want(http.StatusOK)
	}
	path := apiTokenPath(token.ID)
	if got := alice.do("GET", path, nil).want(http.StatusOK).object()["last_used_at"]; got != nil {
		t.Fatalf("it was noted, %v: nothing was in the way", got)
	}
	heal()
	token.do("GET", "/users/me", nil).want(http.StatusOK)
	if got := alice.do("GET", path, nil).want(http.StatusOK).object()["last_used_at"]; got != "2026-10-18T12:00:00Z" {
		t.Errorf("last used %v", got)
	}
}

func TestAPIToken_ComplainsOfWhatItCannotBeMadeFrom(t *testing.T) {
	t.Parallel()
	alice := newApp(t).user("alice")
	for _, tt := range []struct {
		body      string
		member    string
		complaint string // "" is any
	}{
		{`{}`, "name", "This field is required."},
		{`{"name":null}`, "name", "This field may not be null."},
		{`{"name":""}`, "name", "This field may not be blank."},
		{`{"name":" \t "}`, "name", "This field may not be blank."},
		{`{"name":7}`, "name", ""},
		{`{"name":["x"]}`, "name", ""},
		{`{"name":"` + strings.Repeat("ä", 101) + `"}`, "name", "Ensure this field has no more than 100 characters."},
		{`{"name":"a\u0007b"}`, "name", "A name must not contain control characters."},
		{`{"name":"a\nb"}`, "name", "A name must not contain control characters."},
		{`{"name":"x","permissions":["tasks.fly"]}`, "permissions", `"tasks.fly" is not a permission. There are: ` + strings.Join(services.Permissions(), ", ") + "."},
		{`{"name":"x","permissions":["tasks.view","Tasks.View"]}`, "permissions", ""},
		{`{"name":"x","permissions":["*"]}`, "permissions", ""},
		{`{"name":"x","permissions":[""]}`, "permissions", ""},
		{`{"name":"x","permissions":"tasks.view"}`, "permissions", ""},
		{`{"name":"x","permissions":{}}`, "permissions", ""},
		{`{"name":"x","permissions":[1]}`, "permissions", ""},
		{`{"name":"x","permissions":[` + strings.Repeat(`"tasks.view",`, 50) + `"tasks.view"]}`, "permissions", ""},
		{`{"name":"x","expires_at":"2026-10-18T12:00:00Z"}`, "expires_at", "Enter a time that is yet to come."},
		{`{"name":"x","expires_at":"2020-01-01T00:00:00Z"}`, "expires_at", "Enter a time that is yet to come."},
		{`{"name":"x","expires_at":"2027-01-01T00:00:00"}`, "expires_at", "Enter a time with an offset, such as 2026-10-18T19:12:01Z."},
		{`{"name":"x","expires_at":"2027-01-01"}`, "expires_at", ""},
		{`{"name":"x","expires_at":"tomorrow"}`, "expires_at", ""},
		{`{"name":"x","expires_at":"9999-12-31T23:59:59-01:00"}`, "expires_at", ""},
		{`{"name":"x","expires_at":1900000000}`, "expires_at", ""},
		{`{"name":"x","expires_at":""}`, "expires_at", ""},
		{`{"name":"x","scope":["tasks.view"]}`, "scope", ""},
		{`{"name":"x","permission":"tasks.view"}`, "permission", ""},
		{`{"name":"x","user":1}`, "user", ""},
	} {
		r := alice.do("POST", "/auth/tokens", tt.body).wantFields(tt.member)
		if got := r.complaintsOf(tt.member); tt.complaint != "" && !slices.Equal(got, []any{tt.complaint}) {
			t.Errorf("%.80s: %q, want %q", tt.body, got, tt.complaint)
		}
	}
	alice.do("POST", "/auth/tokens", `{"name":"","permissions":["x"],"expires_at":"2020-01-01T00:00:00Z","colour":1}`).
		wantFields("name", "permissions", "expires_at", "colour")
	if got := alice.do("GET", "/auth/tokens", nil).want(http.StatusOK).listIDs(); len(got) != 0 {
		t.Errorf("a refused request made %v", got)
	}
	// Code points count, and a name need not be unlike others.
	for range 2 {
		alice.apiTokenWith(map[string]any{"name": strings.Repeat("ä", 100), "permissions": []string{}})
	}
}

func TestAPIToken_ReadOnlyMembersThatAreSentBackAreIgnored(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice := a.user("alice")
	made := alice.do("POST", "/auth/tokens", map[string]any{"name": "one", "permissions": []string{"tasks.view"}}).want(http.StatusCreated).object()
	a.Clock.Advance(time.Hour)
	again := a.login("alice").do("POST", "/auth/tokens", made).want(http.StatusCreated).object()
	for _, member := range []string{"id", "url", "key", "last_four", "created_at"} {
		if again[member] == made[member] {
			t.Errorf("%s was taken over: %v", member, again[member])
		}
	}
	for _, member := range []string{"name", "permissions", "expires_at", "last_used_at"} {
		if !reflect.DeepEqual(again[member], made[member]) {
			t.Errorf("%s is %v, want %v", member, again[member], made[member])
		}
	}
}

func TestAPIToken_AnAccountHasAHundredAtMost(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, bob := a.user("alice"), a.user("bob")
	for i := range 95 {
		alice.apiToken(fmt.Sprint("token ", i), []string{})
	}
	made := 0
	for _, r := range sendAtOnce(20, func(int) *response { return alice.do("POST", "/auth/tokens", map[string]any{"name": "at once"}) }) {
		if r.Status == http.StatusCreated {
			made++
			continue
		}
		if got := r.wantProblem(http.StatusConflict, services.CodeConflict).object()["detail"]; got != "There are 100 API tokens already. Revoke one first." {
			t.Errorf("the refusal says %q", got)
		}
	}
	ids := alice.do("GET", "/auth/tokens", nil).want(http.StatusOK).listIDs()
	if made != 5 || len(ids) != 100 {
		t.Fatalf("%d were made at once, and there are %d", made, len(ids))
	}
	bob.apiToken("hers", nil)
	alice.do("DELETE", apiTokenPath(ids[0]), nil).want(http.StatusNoContent)
	alice.apiToken("another", nil)
	alice.do("POST", "/auth/tokens", map[string]any{"name": "one more"}).wantProblem(http.StatusConflict, services.CodeConflict)
	alice.do("POST", "/auth/tokens", map[string]any{"name": ""}).wantFields("name")
}
