package tests

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/services"
)

// tokenDoor is a place where a kind of token is shown.
type tokenDoor struct {
	what     string
	inHeader bool // what is no header value cannot be sent there
	knock    func(a *app, token string) *response
}

func bodyDoor(path, member string) tokenDoor {
	return tokenDoor{"POST " + path, false, func(a *app, token string) *response {
		return a.do("POST", path, map[string]any{member: token})
	}}
}

func activationDoor(method string, headers ...header) tokenDoor {
	return tokenDoor{method + " /auth/activate", false, func(a *app, token string) *response {
		return a.do(method, "/auth/activate/"+url.PathEscape(token), nil, headers...)
	}}
}

var tokenDoors = map[services.TokenKind][]tokenDoor{
	kindAccess: {
		{"GET /users/me", true, func(a *app, token string) *response { return a.do("GET", "/users/me", nil, bearer(token)) }},
		{"GET /tasks", true, func(a *app, token string) *response {
			return a.do("GET", "/tasks", nil, header{"Authorization", "JWT " + token})
		}},
		bodyDoor("/auth/verify", "token"),
	},
	kindRefresh:    {bodyDoor("/auth/refresh", "refresh"), bodyDoor("/auth/verify", "token"), bodyDoor("/auth/logout", "refresh")},
	kindActivation: {activationDoor("GET"), activationDoor("POST"), activationDoor("GET", header{"Sec-Purpose", "prefetch"})},
}

// appIn is the app as a subtest sees it: its failures are the subtest's.
func appIn(t testing.TB, a *app) *app {
	copied := *a
	copied.t = t
	return &copied
}

// wantRefusedToken checks a 401 to the letter.
func wantRefusedToken(t testing.TB, r *response, code services.Code) {
	t.Helper()
	sentence := map[services.Code]string{
		services.CodeTokenNotValid: "Error decoding signature.",
		services.CodeTokenExpired:  "Signature has expired.",
		services.CodeUserInactive:  "User inactive or deleted.",
	}[code]
	if r.Status != http.StatusUnauthorized {
		t.Errorf("%.30s: status %d, want 401 %s", r.What, r.Status, code)
		return
	}
	got := r.object()
	want := map[string]any{
		"type": "about:blank", "title": "Unauthorized", "status": 401.0, "detail": sentence, "code": string(code),
		"request_id": r.Header.Get("X-Request-Id"),
	}
	if !maps.Equal(got, want) {
		t.Errorf("%.30s: got %v, want %v", r.What, got, want)
	}
	challenge := `Bearer realm="dueto", error="invalid_token", error_description="` + sentence + `"`
	if got := r.Header.Get("WWW-Authenticate"); got != challenge {
		t.Errorf("%.30s: challenge %s, want %s", r.What, got, challenge)
	}
}

// issuedTokens signs alice in and registers a pending account.
func issuedTokens(a *app) (alice *person, tokens map[services.TokenKind]string) {
	alice = a.user("alice")
	_, link := a.register("pending")
	return alice, map[services.TokenKind]string{
		kindAccess: alice.Access, kindRefresh: alice.Refresh, kindActivation: strings.TrimPrefix(link, "/auth/activate/"),
	}
}

func TestTokens_ForgeriesAllReadAlike(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, tokens := issuedTokens(a)
	a.Clock.Advance(time.Minute)
	for kind, issued := range tokens {
		for _, f := range slices.Concat(forgeries, expiryForgeries) {
			t.Run(string(kind)+"/"+f.name, func(t *testing.T) {
				d := draftOf(t, kind, a.Clock.Now(), issued)
				f.bend(d)
				knockEverywhere(appIn(t, a), kind, d.sign(), services.CodeTokenNotValid)
			})
		}
	}
	a.do("POST", "/auth/verify", map[string]any{"token": alice.Access}).want(http.StatusOK)
	a.do("POST", "/auth/refresh", map[string]any{"refresh": alice.Refresh}).want(http.StatusOK)
	a.do("POST", "/auth/activate/"+tokens[kindActivation], nil).want(http.StatusOK)
}

// knockEverywhere shows a token at each door of a kind where it can be sent.
func knockEverywhere(a *app, kind services.TokenKind, token string, code services.Code) {
	a.t.Helper()
	for _, door := range tokenDoors[kind] {
		if door.inHeader && strings.ContainsAny(token, "\r\n\t ") {
			continue
		}
		wantRefusedToken(a.t, door.knock(a, token), code)
	}
}

func TestTokens_ExpiredAndForgedDoesNotReadAsExpired(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, tokens := issuedTokens(a)
	a.Clock.Advance(time.Minute)
	for kind, issued := range tokens {
		for _, f := range forgeries {
			t.Run(string(kind)+"/"+f.name, func(t *testing.T) {
				d := draftOf(t, kind, a.Clock.Now(), issued)
				d.claims["exp"] = d.unixIn(-30 * time.Second)
				f.bend(d)
				knockEverywhere(appIn(t, a), kind, d.sign(), services.CodeTokenNotValid)
			})
		}
	}
}

func TestTokens_PureExpiryIsTold(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, tokens := issuedTokens(a)
	a.Clock.Advance(time.Minute)
	for kind, issued := range tokens {
		for name, ago := range map[string]time.Duration{"now": 0, "a second ago": time.Second, "a century ago": 876000 * time.Hour} {
			t.Run(string(kind)+"/"+name, func(t *testing.T) {
				d := draftOf(t, kind, a.Clock.Now(), issued)
				d.claims["exp"] = d.unixIn(-ago)
				knockEverywhere(appIn(t, a), kind, d.sign(), services.CodeTokenExpired)
			})
		}
	}
	a.Clock.Advance(48 * time.Hour)
	for kind, issued := range tokens {
		knockEverywhere(a, kind, issued, services.CodeTokenExpired)
	}
}

// Without this, each forgery might be refused for a mistake of the test.
func TestTokens_SignedWithTheDerivedKeyAreTaken(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, tokens := issuedTokens(a)
	a.Clock.Advance(time.Minute)
	for name, bend := range map[string]func(*tokenDraft){
		"as issued":     func(*tokenDraft) {},
		"near 4 KiB":    func(d *tokenDraft) { d.claims["pad"] = strings.Repeat("x", 2600) },
		"unknown claim": func(d *tokenDraft) { d.claims["tier"] = 3 },
		"one audience":  func(d *tokenDraft) { d.claims["aud"] = "dueto" },
	} {
		t.Run(name, func(t *testing.T) {
			a := appIn(t, a)
			for kind, door := range map[services.TokenKind]tokenDoor{
				kindAccess: tokenDoors[kindAccess][0], kindRefresh: bodyDoor("/auth/verify", "token"), kindActivation: tokenDoors[kindActivation][2],
			} {
				d := draftOf(t, kind, a.Clock.Now(), tokens[kind])
				bend(d)
				door.knock(a, d.sign()).want(http.StatusOK)
			}
		})
	}
}

func TestTokens_AnotherKindIsRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, tokens := issuedTokens(a)
	for shown, token := range tokens {
		for kind, doors := range tokenDoors {
			for _, door := range doors {
				if kind == shown || (door.what == "POST /auth/verify" && shown != kindActivation) {
					continue
				}
				wantRefusedToken(t, door.knock(a, token), services.CodeTokenNotValid)
			}
		}
	}
	alice.do("GET", "/users/me", nil).want(http.StatusOK)
}

func TestTokens_OfAnotherPersonOrSessionAreRefused(t *testing.T) {
	t.Parallel()
	for name, bend := range map[string]func(d *tokenDraft, bob map[string]any){
		"the session of another": func(d *tokenDraft, bob map[string]any) { d.claims["sid"] = bob["sid"] },
		"another in one's session": func(d *tokenDraft, bob map[string]any) {
			d.claims["sub"], d.claims["user_id"] = bob["sub"], bob["user_id"]
		},
		"nobody in one's session": func(d *tokenDraft, _ map[string]any) { d.claims["sub"], d.claims["user_id"] = "99", 99 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			alice, bob := a.user("alice"), a.user("bob")
			bobs := draftOf(t, kindAccess, a.Clock.Now(), bob.Access).claims
			for kind, issued := range map[services.TokenKind]string{kindAccess: alice.Access, kindRefresh: alice.Refresh} {
				d := draftOf(t, kind, a.Clock.Now(), issued)
				bend(d, bobs)
				knockEverywhere(a, kind, d.sign(), services.CodeTokenNotValid)
			}
			alice.do("GET", "/users/me", nil).want(http.StatusOK)
			bob.do("GET", "/users/me", nil).want(http.StatusOK)
		})
	}
}

func TestTokens_EmptyIsRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, scheme := range []string{"Bearer", "JWT", "Token"} {
		wantRefusedToken(t, a.do("GET", "/tasks", nil, header{"Authorization", scheme}), services.CodeTokenNotValid)
	}
	a.do("POST", "/auth/refresh", map[string]any{"refresh": ""}).wantFields("refresh")
	a.do("POST", "/auth/logout", map[string]any{"refresh": ""}).wantFields("refresh")
	a.do("POST", "/auth/verify", map[string]any{"token": ""}).wantFields("token")
}

func TestTokens_ClaimsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, tokens := issuedTokens(a)
	shared := []string{"aud", "exp", "iat", "iss", "jti", "nbf", "sub", "token_type", "user_id", "username"}
	own := map[services.TokenKind]struct {
		typ      string
		claims   []string
		lifetime time.Duration
	}{
		kindAccess:     {"at+jwt", []string{"perms", "sid"}, 5 * time.Minute},
		kindRefresh:    {"refresh+jwt", []string{"gen", "sid"}, 24 * time.Hour},
		kindActivation: {"activation+jwt", []string{"state"}, 2 * time.Hour},
	}
	for kind, token := range tokens {
		d, want := draftOf(t, kind, start, token), own[kind]
		_, kid := tokenKeyOf(t, secret, kind)
		if head := map[string]any{"alg": "HS512", "typ": want.typ, "kid": kid}; !maps.Equal(d.header, head) {
			t.Errorf("%s: header %v, want %v", kind, d.header, head)
		}
		names := slices.Sorted(maps.Keys(d.claims))
		if all := slices.Sorted(slices.Values(append(want.claims, shared...))); !slices.Equal(names, all) {
			t.Errorf("%s: claims %v, want %v", kind, names, all)
		}
		if d.claims["iss"] != "http://dueto.test" || d.claims["token_type"] != string(kind) || d.claims["jti"] == "" {
			t.Errorf("%s: claims %v", kind, d.claims)
		}
		if d.claims["exp"] != json.Number(decimalText(start.Add(want.lifetime).Unix())) || d.claims["iat"] != json.Number(decimalText(start.Unix())) {
			t.Errorf("%s: it lives from %v to %v", kind, d.claims["iat"], d.claims["exp"])
		}
	}
	claims := draftOf(t, kindAccess, start, alice.Access).claims
	id := decimalText(alice.ID)
	if claims["username"] != "alice" || claims["sub"] != id || claims["user_id"] != json.Number(id) || len(claims["perms"].([]any)) != 0 {
		t.Errorf("alice's claims are %v", claims)
	}
	root := draftOf(t, kindAccess, start, a.staff("root").Access).claims
	if len(root["perms"].([]any)) != len(services.Permissions()) {
		t.Errorf("staff have the permissions %v", root["perms"])
	}
}

func decimalText(n int64) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func TestTokens_OnlyTheConfiguredSizeOfHMAC(t *testing.T) {
	t.Parallel()
	sizes := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	for configured := range sizes {
		t.Run(configured, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, func(c *config.Config) { c.JWTAlgorithm = configured })
			_, tokens := issuedTokens(a)
			for kind, issued := range tokens {
				for alg, size := range sizes {
					d := draftOf(t, kind, start, issued)
					if d.header["alg"] != configured {
						t.Fatalf("%s token signed with %v", kind, d.header["alg"])
					}
					if alg == configured {
						continue
					}
					d.header["alg"], d.hash = alg, size
					knockEverywhere(a, kind, d.sign(), services.CodeTokenNotValid)
				}
			}
			a.do("POST", "/auth/refresh", map[string]any{"refresh": tokens[kindRefresh]}).want(http.StatusOK)
			a.do("POST", "/auth/activate/"+tokens[kindActivation], nil).want(http.StatusOK)
		})
	}
}
