package tests

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/golang-jwt/jwt/v5"

	"dueto/config"
	"dueto/services"
)

// keyPairs are a key of each algorithm, and a second one.
var keyPairs = sync.OnceValue(func() map[string][2]crypto.Signer {
	pairs := map[string][2]crypto.Signer{}
	for algorithm, make := range map[string]func() crypto.Signer{
		"RS256": func() crypto.Signer { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k },
		"ES256": func() crypto.Signer { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k },
		"EdDSA": func() crypto.Signer { _, k, _ := ed25519.GenerateKey(rand.Reader); return k },
	} {
		pairs[algorithm] = [2]crypto.Signer{make(), make()}
	}
	return pairs
})

var keyAlgorithms = []string{"RS256", "ES256", "EdDSA"}

func privatePEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func publicPEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// signedBy makes a server sign access tokens with a key; its further keys verify.
func signedBy(t testing.TB, algorithm string, key crypto.Signer, further ...crypto.Signer) func(*config.Config) {
	return func(c *config.Config) {
		c.JWTAlgorithm, c.JWTSigningKey = algorithm, config.KeySource(privatePEM(t, key))
		for _, k := range further {
			c.JWTVerifyingKeys = append(c.JWTVerifyingKeys, config.KeySource(publicPEM(t, k)))
		}
	}
}

// headerOf reads the header of a token.
func headerOf(t testing.TB, token string) map[string]any {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	return decodeSegment(t, head)
}

func TestKeys_SignInUseRefreshVerifyWithEachAlgorithm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range keyAlgorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, signedBy(t, algorithm, keyPairs()[algorithm][0]))
			alice, tokens := issuedTokens(a)
			for kind, want := range map[services.TokenKind]string{kindAccess: algorithm, kindRefresh: "HS512", kindActivation: "HS512"} {
				if got := headerOf(t, tokens[kind])["alg"]; got != want {
					t.Errorf("the %s token is signed with %v, want %s", kind, got, want)
				}
			}
			alice.task("Mine")
			alice.setTokens(a.refreshWith(alice.Refresh).want(http.StatusOK))
			alice.do("GET", "/users/me", nil).want(http.StatusOK)
			for _, token := range []string{alice.Access, alice.Refresh} {
				a.do("POST", "/auth/verify", map[string]any{"token": token}).want(http.StatusOK)
			}
			a.do("POST", "/auth/activate/"+tokens[kindActivation], nil).want(http.StatusOK)
			a.Clock.Advance(5 * time.Minute)
			alice.do("GET", "/users/me", nil).wantProblem(http.StatusUnauthorized, services.CodeTokenExpired)
		})
	}
}

// keySetOf reads the public keys as anybody does.
func (a *app) keySetOf() (set jose.JSONWebKeySet) {
	a.t.Helper()
	a.do("GET", "/.well-known/jwks.json", nil).want(http.StatusOK).decode(&set)
	return set
}

func TestJWKS_AnotherServiceCanCheckAccessTokensWithNothingElse(t *testing.T) {
	t.Parallel()
	for _, algorithm := range keyAlgorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, signedBy(t, algorithm, keyPairs()[algorithm][0], keyPairs()[algorithm][1]))
			alice := a.user("alice")
			token, err := josejwt.ParseSigned(alice.Access, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
			if err != nil {
				t.Fatal(err)
			}
			set := a.keySetOf()
			keys := set.Key(token.Headers[0].KeyID)
			if len(keys) != 1 || len(set.Keys) != 2 {
				t.Fatalf("%d keys of %d have the token's kid", len(keys), len(set.Keys))
			}
			var claims josejwt.Claims
			if err := token.Claims(keys[0], &claims); err != nil {
				t.Fatal(err)
			}
			expected := josejwt.Expected{Issuer: "http://dueto.test", AnyAudience: josejwt.Audience{"dueto"}, Subject: "1", Time: a.Clock.Now()}
			if err := claims.ValidateWithLeeway(expected, 0); err != nil {
				t.Error(err)
			}
			expected.Time = a.Clock.Now().Add(5*time.Minute + time.Second)
			if err := claims.ValidateWithLeeway(expected, 0); err == nil {
				t.Error("the token does not expire")
			}
			other := slices.IndexFunc(set.Keys, func(k jose.JSONWebKey) bool { return k.KeyID != keys[0].KeyID })
			if err := token.Claims(set.Keys[other], &claims); err == nil {
				t.Error("the token passes with another key")
			}
		})
	}
}

func TestJWKS_HasPublicMembersOnlyAndMayBeCached(t *testing.T) {
	t.Parallel()
	members := map[string][]string{
		"RS256": {"alg", "e", "kid", "kty", "n", "use"}, "ES256": {"alg", "crv", "kid", "kty", "use", "x", "y"}, "EdDSA": {"alg", "crv", "kid", "kty", "use", "x"},
	}
	types := map[string]string{"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
	for _, algorithm := range keyAlgorithms {
		first, second := keyPairs()[algorithm][0], keyPairs()[algorithm][1]
		a := newApp(t, signedBy(t, algorithm, first, second, first, second)) // each is listed once
		r := a.do("GET", "/.well-known/jwks.json", nil, bearer("bad")).want(http.StatusOK)
		if r.Header.Get("Cache-Control") != "public, max-age=300" || r.Header.Get("Content-Type") != "application/jwk-set+json" {
			t.Errorf("%s: headers %v", algorithm, r.Header)
		}
		var set struct{ Keys []map[string]string }
		r.decode(&set)
		if len(set.Keys) != 2 {
			t.Fatalf("%s: %d keys, want 2: %s", algorithm, len(set.Keys), r.Body)
		}
		for i, key := range set.Keys {
			thumbprint, err := services.KeyID(keyPairs()[algorithm][i].Public())
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Sorted(maps.Keys(key)); !slices.Equal(got, members[algorithm]) {
				t.Errorf("%s: members %q, want %q", algorithm, got, members[algorithm])
			}
			if key["kty"] != types[algorithm] || key["alg"] != algorithm || key["use"] != "sig" || key["kid"] != thumbprint {
				t.Errorf("%s: key %d is %v, want the kid %s", algorithm, i, key, thumbprint)
			}
		}
	}
}

func TestJWKS_KidIsTheThumbprintOfRFC7638(t *testing.T) {
	t.Parallel()
	var key jose.JSONWebKey // the example of its section 3.1
	err := json.Unmarshal([]byte(`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB"}`), &key)
	if err != nil {
		t.Fatal(err)
	}
	if id, err := services.KeyID(key.Key); err != nil || id != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("got %s, %v", id, err)
	}
}

func TestJWKS_IsEmptyWhereTheSecretSigns(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	if r := a.do("GET", "/.well-known/jwks.json", nil).want(http.StatusOK); string(r.Body) != "{\"keys\":[]}\n" {
		t.Errorf("got %s", r.Body)
	}
}

// resign takes an issued token apart and signs it anew, after bend.
func resign(t *testing.T, issued string, method jwt.SigningMethod, key any, bend func(header, claims map[string]any)) string {
	t.Helper()
	claims := jwt.MapClaims{}
	token, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(issued, claims)
	if err != nil {
		t.Fatal(err)
	}
	token.Method = method
	token.Header["alg"] = method.Alg()
	if bend != nil {
		bend(token.Header, claims)
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestKeys_NoAlgorithmOrKeyPassesForAnother(t *testing.T) {
	t.Parallel()
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	for _, algorithm := range keyAlgorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			key, retired := keyPairs()[algorithm][0], keyPairs()[algorithm][1]
			a := newApp(t, signedBy(t, algorithm, key, retired))
			_, tokens := issuedTokens(a)
			access, refresh := tokens[kindAccess], tokens[kindRefresh]
			method, public := jwt.GetSigningMethod(algorithm), publicPEM(t, key)
			der, _ := x509.MarshalPKIXPublicKey(key.Public())
			jwk, _ := json.Marshal(jose.JSONWebKey{Key: key.Public()})
			hmacKey, hmacID := tokenKeyOf(t, secret, kindAccess)
			refreshKey, refreshID := tokenKeyOf(t, secret, kindRefresh)
			kid := func(id any) func(header, claims map[string]any) {
				return func(header, _ map[string]any) { header["kid"] = id }
			}
			retiredID, _ := services.KeyID(retired.Public())
			ownID, _ := services.KeyID(key.Public())
			strangerID, _ := services.KeyID(stranger.Public())

			good := map[string]string{
				"as it is": resign(t, access, method, key, nil), "the retired key": resign(t, access, method, retired, kid(retiredID)),
			}
			for name, token := range good {
				if r := a.do("GET", "/users/me", nil, bearer(token)); r.Status != http.StatusOK {
					t.Errorf("%s: %d %s", name, r.Status, r.Body)
				}
			}
			bad := map[string]string{
				"none":                       resign(t, access, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
				"HMAC with the derived key":  resign(t, access, jwt.SigningMethodHS512, hmacKey, kid(hmacID)),
				"HMAC, the key pair's kid":   resign(t, access, jwt.SigningMethodHS512, hmacKey, nil),
				"HMAC with the refresh key":  resign(t, access, jwt.SigningMethodHS512, refreshKey, kid(refreshID)),
				"the retired key's kid":      resign(t, access, method, key, kid(retiredID)),
				"the retired key, wrong kid": resign(t, access, method, retired, kid(ownID)),
				"a refresh token's kid":      resign(t, access, method, key, kid(refreshID)),
				"no kid":                     resign(t, access, method, key, func(h, _ map[string]any) { delete(h, "kid") }),
				"kid null":                   resign(t, access, method, key, kid(nil)),
				"kid empty":                  resign(t, access, method, key, kid("")),
				"kid a list":                 resign(t, access, method, key, kid([]string{ownID})),
				"the key in the header": resign(t, access, jwt.SigningMethodES256, stranger, func(h, _ map[string]any) {
					h["jwk"], h["kid"] = json.RawMessage(jwk), strangerID
				}),
				"a stranger's key": resign(t, access, jwt.SigningMethodES256, stranger, nil),
				"of another kind":  resign(t, access, method, key, func(h, c map[string]any) { h["typ"], c["token_type"] = "refresh+jwt", "refresh" }),
			}
			for _, hs := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
				for what, material := range map[string][]byte{"PEM": []byte(public), "PEM trimmed": []byte(strings.TrimSpace(public)), "DER": der, "JWK": jwk, "kid": []byte(ownID), "empty": {}} {
					bad[hs.Alg()+" keyed with the public key's "+what] = resign(t, access, hs, material, nil)
				}
			}
			for other, pair := range keyPairs() {
				if other != algorithm {
					bad["a key of "+other] = resign(t, access, jwt.GetSigningMethod(other), pair[0], nil)
					bad["alg "+other+", signed as configured"] = relabelled(t, resign(t, access, method, key, nil), other)
				}
			}
			if rsaKey, ok := key.(*rsa.PrivateKey); ok {
				for _, m := range []jwt.SigningMethod{jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256, jwt.SigningMethodPS512} {
					bad[m.Alg()+" with the right key"] = resign(t, access, m, rsaKey, nil)
				}
			}
			for name, token := range bad {
				t.Run(name, func(t *testing.T) { knockEverywhere(appIn(t, a), kindAccess, token, services.CodeTokenNotValid) })
			}
			badRefresh := map[string]string{
				"signed as an access token": resign(t, refresh, method, key, nil),
				"with the pair's kid":       resign(t, refresh, method, key, kid(ownID)),
				"HS256":                     resign(t, refresh, jwt.SigningMethodHS256, refreshKey, nil),
				"none":                      resign(t, refresh, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil),
			}
			for name, token := range badRefresh {
				t.Run("refresh/"+name, func(t *testing.T) { knockEverywhere(appIn(t, a), kindRefresh, token, services.CodeTokenNotValid) })
			}
			a.refreshWith(resign(t, refresh, jwt.SigningMethodHS512, refreshKey, nil)).want(http.StatusOK)
		})
	}
}

// relabelled changes the algorithm that a token names, and leaves its signature.
func relabelled(t *testing.T, token, algorithm string) string {
	t.Helper()
	_, rest, _ := strings.Cut(token, ".")
	header := headerOf(t, token)
	header["alg"] = algorithm
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(head) + "." + rest
}

func TestKeys_AChangeOfAlgorithmEndsAccessTokensAndNoSession(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	alice, tokens := issuedTokens(a)
	for _, algorithm := range append(keyAlgorithms, "HS512") {
		if algorithm == "HS512" {
			a.Config.JWTSigningKey = ""
			a.Config.JWTAlgorithm = algorithm
		} else {
			signedBy(t, algorithm, keyPairs()[algorithm][0])(&a.Config)
		}
		a = a.restart()
		alice.app = a
		alice.do("GET", "/users/me", nil).wantProblem(http.StatusUnauthorized, services.CodeTokenNotValid)
		alice.setTokens(a.refreshWith(alice.Refresh).want(http.StatusOK))
		alice.do("GET", "/users/me", nil).want(http.StatusOK)
	}
	a.do("POST", "/auth/activate/"+tokens[kindActivation], nil).want(http.StatusOK)
}
