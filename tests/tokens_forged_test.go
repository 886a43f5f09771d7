package tests

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"strings"
	"testing"
	"time"

	"dueto/services"
)

const (
	kindAccess     = services.TokenAccess
	kindRefresh    = services.TokenRefresh
	kindActivation = services.TokenActivation
)

// tokenKeyOf derives a kind's key as the server does, and its name.
func tokenKeyOf(t testing.TB, from string, kind services.TokenKind) (key []byte, kid string) {
	t.Helper()
	key, err := hkdf.Key(sha512.New, []byte(from), nil, "dueto/v1/token/"+string(kind), 64)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append([]byte("kid/"), key...))
	return key, hex.EncodeToString(sum[:4])
}

// tokenDraft is a token before it is signed, for tests to bend.
type tokenDraft struct {
	t       testing.TB
	kind    services.TokenKind
	now     time.Time
	header  map[string]any
	claims  map[string]any
	rawHead string // in place of header
	rawBody string // in place of claims
	key     []byte
	hash    func() hash.Hash
	rewrite func(head, body, signature string) string // of the signed text
}

// draftOf takes an issued token apart. Unbent, it is as good as the original.
func draftOf(t testing.TB, kind services.TokenKind, now time.Time, issued string) *tokenDraft {
	t.Helper()
	d := &tokenDraft{t: t, kind: kind, now: now, hash: sha512.New}
	head, rest, _ := strings.Cut(issued, ".")
	body, _, _ := strings.Cut(rest, ".")
	d.header, d.claims = decodeSegment(t, head), decodeSegment(t, body)
	d.key, _ = tokenKeyOf(t, secret, kind)
	return d
}

func decodeSegment(t testing.TB, segment string) (members map[string]any) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		t.Fatalf("%q: %v", segment, err)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return members
}

func (d *tokenDraft) sign() string {
	d.t.Helper()
	encode := func(raw string, members map[string]any) string {
		if raw == "" {
			b, err := json.Marshal(members)
			if err != nil {
				d.t.Fatal(err)
			}
			raw = string(b)
		}
		return base64.RawURLEncoding.EncodeToString([]byte(raw))
	}
	head, body := encode(d.rawHead, d.header), encode(d.rawBody, d.claims)
	signature := d.mac(head + "." + body)
	if d.rewrite != nil {
		return d.rewrite(head, body, signature)
	}
	return head + "." + body + "." + signature
}

func (d *tokenDraft) mac(text string) string {
	mac := hmac.New(d.hash, d.key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// unixIn is a NumericDate some time from now.
func (d *tokenDraft) unixIn(after time.Duration) int64 { return d.now.Add(after).Unix() }

// other is a kind that the draft is not of.
func (d *tokenDraft) other() services.TokenKind {
	if d.kind == kindAccess {
		return kindRefresh
	}
	return kindAccess
}

// forgery is one way to bend a token.
type forgery struct {
	name string
	bend func(*tokenDraft)
}

func setHeader(name string, value any) func(*tokenDraft) {
	return func(d *tokenDraft) { d.header[name] = value }
}

func setClaim(name string, value any) func(*tokenDraft) {
	return func(d *tokenDraft) { d.claims[name] = value }
}

func withoutHeader(name string) func(*tokenDraft) {
	return func(d *tokenDraft) { delete(d.header, name) }
}

func withoutClaim(name string) func(*tokenDraft) {
	return func(d *tokenDraft) { delete(d.claims, name) }
}

// rewritten changes the text after it was signed.
func rewritten(f func(head, body, signature string) string) func(*tokenDraft) {
	return func(d *tokenDraft) { d.rewrite = f }
}

// resigned changes the first two segments, and signs them as they are then.
func resigned(f func(head, body string) (string, string)) func(*tokenDraft) {
	return func(d *tokenDraft) {
		for pad := ""; ; pad += "x" { // so that both have bits to spare
			head, _ := json.Marshal(d.header)
			body, _ := json.Marshal(d.claims)
			if len(head)%3 != 0 && len(body)%3 != 0 {
				break
			}
			d.header["pad"], d.claims["pad"] = pad, pad+pad
		}
		d.rewrite = func(head, body, _ string) string {
			head, body = f(head, body)
			return head + "." + body + "." + d.mac(head+"."+body)
		}
	}
}

const base64URLAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// loosened sets a bit that decodes to nothing: another text of the same bytes.
func loosened(segment string) string {
	last := strings.IndexByte(base64URLAlphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + string(base64URLAlphabet[last+1])
}

// flipped changes one character.
func flipped(segment string, at int) string {
	swap := "A"
	if segment[at] == 'A' {
		swap = "B"
	}
	return segment[:at] + swap + segment[at+1:]
}

func unsigned(alg string) forgery {
	return forgery{"alg " + alg + " unsigned", func(d *tokenDraft) {
		d.header["alg"] = alg
		d.rewrite = func(head, body, _ string) string { return head + "." + body + "." }
	}}
}

func otherAlgorithm(alg string) forgery { return forgery{"alg " + alg, setHeader("alg", alg)} }

var forgeries = []forgery{
	unsigned("none"), unsigned("None"), unsigned("NONE"), unsigned("nOnE"), unsigned("HS512"), unsigned(""),
	otherAlgorithm("none"), otherAlgorithm("hs512"), otherAlgorithm("HS513"), otherAlgorithm("RS256"), otherAlgorithm("PS512"),
	otherAlgorithm("ES256"), otherAlgorithm("EdDSA"), otherAlgorithm("dir"), otherAlgorithm("HS512 "),
	{"alg missing", withoutHeader("alg")},
	{"alg null", setHeader("alg", nil)},
	{"alg a list", setHeader("alg", []string{"HS512"})},
	{"HS256 with the right key", func(d *tokenDraft) { d.header["alg"], d.hash = "HS256", sha256.New }},
	{"HS384 with the right key", func(d *tokenDraft) { d.header["alg"], d.hash = "HS384", sha512.New384 }},
	{"typ missing", withoutHeader("typ")},
	{"typ JWT", setHeader("typ", "JWT")},
	{"typ of another kind", func(d *tokenDraft) { d.header["typ"] = string(d.other()) + "+jwt" }},
	{"kid missing", withoutHeader("kid")},
	{"kid foreign", setHeader("kid", "deadbeef")},
	{"kid a path", setHeader("kid", "../../../../dev/null")},
	{"kid a number", setHeader("kid", 1)},
	{"kid of another kind", func(d *tokenDraft) { _, d.header["kid"] = tokenKeyOf(d.t, secret, d.other()) }},
	{"crit", setHeader("crit", []string{"exp"})},
	{"crit empty", setHeader("crit", []string{})},
	{"crit null", setHeader("crit", nil)},
	{"header null", func(d *tokenDraft) { d.rawHead = "null" }},
	{"header a list", func(d *tokenDraft) { d.rawHead = "[]" }},
	{"header empty", func(d *tokenDraft) { d.rawHead = "{}" }},
	{"header not JSON", func(d *tokenDraft) { d.rawHead = `{"alg":"HS512"` }},

	{"key of another secret", func(d *tokenDraft) { d.key, _ = tokenKeyOf(d.t, secret+"!", d.kind) }},
	{"another secret throughout", func(d *tokenDraft) { d.key, d.header["kid"] = tokenKeyOf(d.t, secret+"!", d.kind) }},
	{"the secret itself as key", func(d *tokenDraft) { d.key = []byte(secret) }},
	{"empty key", func(d *tokenDraft) { d.key = nil }},
	{"key of another kind", func(d *tokenDraft) { d.key, _ = tokenKeyOf(d.t, secret, d.other()) }},
	{"key and kid of another kind", func(d *tokenDraft) { d.key, d.header["kid"] = tokenKeyOf(d.t, secret, d.other()) }},

	{"token_type missing", withoutClaim("token_type")},
	{"token_type of another kind", func(d *tokenDraft) { d.claims["token_type"] = string(d.other()) }},
	{"iss missing", withoutClaim("iss")},
	{"iss of another server", setClaim("iss", "http://evil.test")},
	{"iss with a slash more", setClaim("iss", "http://dueto.test/")},
	{"aud missing", withoutClaim("aud")},
	{"aud of another service", setClaim("aud", []string{"other"})},
	{"aud empty", setClaim("aud", []string{})},
	{"aud a number", setClaim("aud", 1)},
	{"sub missing", withoutClaim("sub")},
	{"sub of another user", setClaim("sub", "99")},
	{"sub not canonical", func(d *tokenDraft) { d.claims["sub"] = "0" + d.claims["sub"].(string) }},
	{"user_id missing", withoutClaim("user_id")},
	{"user_id of another user", setClaim("user_id", 99)},
	{"user_id zero", func(d *tokenDraft) { d.claims["user_id"], d.claims["sub"] = 0, "0" }},
	{"user_id negative", func(d *tokenDraft) { d.claims["user_id"], d.claims["sub"] = -1, "-1" }},
	{"user_id a text", func(d *tokenDraft) { d.claims["user_id"] = d.claims["sub"] }},
	{"iat in the future", func(d *tokenDraft) { d.claims["iat"] = d.unixIn(2 * time.Minute) }},
	{"iat a word", setClaim("iat", "yesterday")},
	{"nbf in the future", func(d *tokenDraft) { d.claims["nbf"] = d.unixIn(2 * time.Minute) }},
	{"payload null", func(d *tokenDraft) { d.rawBody = "null" }},
	{"payload a list", func(d *tokenDraft) { d.rawBody = "[]" }},
	{"payload not JSON", func(d *tokenDraft) { d.rawBody = "hello" }},
	{"over 4 KiB", setClaim("pad", strings.Repeat("x", 3200))},

	{"header edited", rewritten(func(h, b, s string) string { return flipped(h, 12) + "." + b + "." + s })},
	{"payload edited", rewritten(func(h, b, s string) string { return h + "." + flipped(b, 20) + "." + s })},
	{"signature edited", rewritten(func(h, b, s string) string { return h + "." + b + "." + flipped(s, 0) })},
	{"signature edited at its end", rewritten(func(h, b, s string) string { return h + "." + b + "." + flipped(s, len(s)-2) })},
	{"signature cut", rewritten(func(h, b, s string) string { return h + "." + b + "." + s[:43] })},
	{"signature lengthened", rewritten(func(h, b, s string) string { return h + "." + b + "." + s[:85] + "AAA" })},
	{"one segment", rewritten(func(h, _, _ string) string { return h })},
	{"two segments", rewritten(func(h, b, _ string) string { return h + "." + b })},
	{"four segments", rewritten(func(h, b, s string) string { return h + "." + b + "." + s + "." + s })},
	{"a dot at the end", rewritten(func(h, b, s string) string { return h + "." + b + "." + s + "." })},
	{"a dot at the start", rewritten(func(h, b, s string) string { return "." + h + "." + b + "." + s })},
	{"header twice", rewritten(func(h, b, s string) string { return h + "." + h + "." + b + "." + s })},
	{"payload twice", rewritten(func(h, b, s string) string { return h + "." + b + "." + b + "." + s })},
	{"header in place of the payload", rewritten(func(h, _, s string) string { return h + "." + h + "." + s })},
	{"no header", rewritten(func(_, b, s string) string { return "." + b + "." + s })},
	{"no payload", rewritten(func(h, _, s string) string { return h + ".." + s })},

	{"bits to spare in the signature", rewritten(func(h, b, s string) string { return h + "." + b + "." + loosened(s) })},
	{"bits to spare in the payload", resigned(func(h, b string) (string, string) { return h, loosened(b) })},
	{"bits to spare in the header", resigned(func(h, b string) (string, string) { return loosened(h), b })},
	{"padded signature", rewritten(func(h, b, s string) string { return h + "." + b + "." + s + "==" })},
	{"padded payload", resigned(func(h, b string) (string, string) { return h, b + strings.Repeat("=", 4-len(b)%4) })},
	{"the other alphabet", func(d *tokenDraft) {
		for n := 0; !strings.Contains(d.sign(), "-"); n++ {
			d.claims["pad"] = n
		}
		d.rewrite = func(h, b, s string) string { return strings.ReplaceAll(h+"."+b+"."+s, "-", "+") }
	}},
	{"line end after", rewritten(func(h, b, s string) string { return h + "." + b + "." + s + "\n" })},
	{"line end in the signature", rewritten(func(h, b, s string) string { return h + "." + b + "." + s[:40] + "\r\n" + s[40:] })},
	{"line end in the payload", resigned(func(h, b string) (string, string) { return h, b[:20] + "\n" + b[20:] })},
	{"line end in the header", resigned(func(h, b string) (string, string) { return h + "\n", b })},
	{"space after", rewritten(func(h, b, s string) string { return h + "." + b + "." + s + " " })},
	{"space before", rewritten(func(h, b, s string) string { return " " + h + "." + b + "." + s })},
	{"tab in the signature", rewritten(func(h, b, s string) string { return h + "." + b + "." + s[:40] + "\t" + s[40:] })},
}

// expiryForgeries have an expiry that no token of this server has.
var expiryForgeries = []forgery{
	{"exp missing", withoutClaim("exp")},
	{"exp null", setClaim("exp", nil)},
	{"exp a text", func(d *tokenDraft) { d.claims["exp"] = decimalText(d.unixIn(time.Minute)) }},
	{"exp a word", setClaim("exp", "never")},
	{"exp true", setClaim("exp", true)},
	{"exp a list", func(d *tokenDraft) { d.claims["exp"] = []int64{d.unixIn(time.Minute)} }},
	{"exp in 100 years", func(d *tokenDraft) { d.claims["exp"] = d.unixIn(876000 * time.Hour) }},
	{"exp 1e18", setClaim("exp", 1e18)},
	{"exp beyond 64 bits", setClaim("exp", 1e19)},
	{"exp nearly infinite", setClaim("exp", 1.7e308)},
}
