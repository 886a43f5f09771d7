package services

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"dueto/models"
)

// TokenKind is what a token is for. Each kind has a key of its own, so that no
// token passes for another kind whatever its claims say.
type TokenKind string

// The kinds of signed tokens.
const (
	TokenAccess     TokenKind = "access"
	TokenRefresh    TokenKind = "refresh"
	TokenActivation TokenKind = "activation"
	TokenReset      TokenKind = "password_reset"
	TokenEmail      TokenKind = "email_change"
)

// tokenKinds lists them all.
var tokenKinds = []TokenKind{TokenAccess, TokenRefresh, TokenActivation, TokenReset, TokenEmail}

const (
	maxTokenBytes = 4096
	// maxLifetime refuses an expiry that no configuration of ours gives.
	maxLifetime = 10 * 365 * 24 * time.Hour
	audience    = "dueto"
)

// Claims is the payload of a token: RFC 7519's claims (4.1), and this API's
// own. Times are whole seconds since 1970; a time written as anything but an
// integer is not one of ours.
type Claims struct {
	Issuer    string           `json:"iss" doc:"The public URL of the server."`
	Audience  jwt.ClaimStrings `json:"aud"`
	Subject   string           `json:"sub" doc:"The number of the account, as text."`
	IssuedAt  int64            `json:"iat" doc:"When it was made."`
	ExpiresAt int64            `json:"exp" doc:"When it ends."`
	NotBefore int64            `json:"nbf" doc:"From when on it is good."`
	ID        string           `json:"jti" doc:"The id of the token."`
	TokenType TokenKind        `json:"token_type" doc:"What it is for: access or refresh."`
	UserID    int64            `json:"user_id" doc:"The number of the account."`
	Username  string           `json:"username"`
	// SessionID is set on access and refresh tokens.
	SessionID int64 `json:"sid,omitempty" doc:"The number of the session."`
	// Permissions are for clients to read; the server asks the database.
	Permissions *[]string `json:"perms,omitempty" doc:"What the account may do beyond owning, in access tokens."`
	// Generation numbers the refresh tokens of a session.
	Generation int64 `json:"gen,omitempty" doc:"Counts the refresh tokens of the session."`
	// State is a fingerprint of the account that the token was made for.
	State string `json:"state,omitempty"`
	// Mailed is set on a link that goes by mail, where scanners follow links.
	Mailed bool `json:"mailed,omitempty"`
}

// The getters make Claims a jwt.Claims. They are not asked: check looks at the
// claims themselves, so that expiry is judged last.

// GetExpirationTime implements jwt.Claims.
func (c *Claims) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(c.ExpiresAt), nil }

// GetIssuedAt implements jwt.Claims.
func (c *Claims) GetIssuedAt() (*jwt.NumericDate, error) { return numericDate(c.IssuedAt), nil }

// GetNotBefore implements jwt.Claims.
func (c *Claims) GetNotBefore() (*jwt.NumericDate, error) { return numericDate(c.NotBefore), nil }

// GetIssuer implements jwt.Claims.
func (c *Claims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject implements jwt.Claims.
func (c *Claims) GetSubject() (string, error) { return c.Subject, nil }

// GetAudience implements jwt.Claims.
func (c *Claims) GetAudience() (jwt.ClaimStrings, error) { return c.Audience, nil }

func numericDate(seconds int64) *jwt.NumericDate { return jwt.NewNumericDate(time.Unix(seconds, 0)) }

// TokenConfig is what tokens are made with.
type TokenConfig struct {
	Keys *Keyring
	// Issuer is the public URL.
	Issuer        string
	AccessTTL     time.Duration
	RefreshTTL    time.Duration
	ActivationTTL time.Duration // of links that confirm an account or an address
	ResetTTL      time.Duration
	Now           func() time.Time
}

// Tokens makes and checks signed tokens.
type Tokens struct {
	TokenConfig
	parser *jwt.Parser
}

// NewTokens makes Tokens.
func NewTokens(cfg TokenConfig) (*Tokens, error) {
	access, others, err := tokenMethods(cfg.Keys.algorithm)
	if err != nil {
		return nil, err
	}
	return &Tokens{TokenConfig: cfg, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{access.Alg(), others.Alg()}), // keyFor narrows it to the kind's
		jwt.WithStrictDecoding(),
		jwt.WithoutClaimsValidation(), // check does it
	)}, nil
}

// Access makes the short-lived token that authenticates requests, and tells how
// long it lasts: never beyond its session.
func (t *Tokens) Access(u models.User, s models.Session) (token string, lifetime time.Duration, err error) {
	permissions := stringList(u.Permissions)
	if u.IsStaff {
		permissions = Permissions()
	}
	now := t.Now()
	until := earlier(now.Add(t.AccessTTL), models.Time(s.ExpiresAt))
	c := t.claims(TokenAccess, u, now, until)
	c.SessionID, c.Permissions = s.ID, &permissions
	token, err = t.sign(c)
	return token, until.Sub(now), err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Refresh makes the token of a session's present generation. It is a function
// of the session alone: whoever asks again gets the same one. until is when it
// ends.
func (t *Tokens) Refresh(u models.User, s models.Session) (token string, until time.Time, err error) {
	from := models.Time(s.RotatedAt)
	until = earlier(from.Add(t.RefreshTTL), models.Time(s.ExpiresAt))
	c := t.claims(TokenRefresh, u, from, until)
	c.ID = strconv.FormatInt(s.ID, 10) + "." + strconv.FormatInt(s.Generation, 10)
	c.SessionID, c.Generation = s.ID, s.Generation
	token, err = t.sign(c)
	return token, until, err
}

// Activation makes the token of a link that confirms an account; mailed says
// that it goes by mail.
func (t *Tokens) Activation(u models.User, mailed bool) (string, error) {
	return t.link(TokenActivation, u, t.ActivationTTL, mailed)
}

// Reset makes the token of a link that sets a new password.
func (t *Tokens) Reset(u models.User) (string, error) { return t.link(TokenReset, u, t.ResetTTL, true) }

// Email makes the token of a link that confirms the account's next address.
func (t *Tokens) Email(u models.User) (string, error) {
	return t.link(TokenEmail, u, t.ActivationTTL, true)
}

func (t *Tokens) link(kind TokenKind, u models.User, ttl time.Duration, mailed bool) (string, error) {
	now := t.Now()
	c := t.claims(kind, u, now, now.Add(ttl))
	c.State, c.Mailed = stateWith(t.Keys.derived(purposeState)[0], kind, u), mailed
	return t.sign(c)
}

// MadeFor reports whether a link's token was made for the account as it is now,
// with the secret in force or a retired one.
func (t *Tokens) MadeFor(c *Claims, u models.User) bool {
	return t.Keys.anyOf(purposeState, func(key []byte) bool { return c.State == stateWith(key, c.TokenType, u) })
}

// stateWith fingerprints what a link is bound to: a change of address or
// password kills it, and so does another next address that of the first; the
// same password hashed anew does not.
func stateWith(key []byte, kind TokenKind, u models.User) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%d\n%s\n%d", u.ID, u.EmailKey, u.PasswordChangedAt)
	if kind == TokenEmail {
		fmt.Fprintf(mac, "\n%s", u.PendingEmail)
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// CSRF gives what proves that a page of ours sends a session's cookies: it is
// in a cookie that only such a page can read.
func (t *Tokens) CSRF(sessionID int64) string {
	return csrfWith(t.Keys.derived(purposeCSRF)[0], sessionID)
}

func csrfWith(key []byte, sessionID int64) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%d", sessionID)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:24])
}

// checkCSRF fails with ErrCSRF where a credential needs a proof and lacks it.
func (t *Tokens) checkCSRF(c Credential, sessionID int64) error {
	if c.CSRF == nil || t.Keys.anyOf(purposeCSRF, func(key []byte) bool {
		return hmac.Equal([]byte(*c.CSRF), []byte(csrfWith(key, sessionID)))
	}) {
		return nil
	}
	return ErrCSRF
}

func (t *Tokens) claims(kind TokenKind, u models.User, from, until time.Time) *Claims {
	return &Claims{
		Issuer:    t.Issuer,
		Audience:  jwt.ClaimStrings{audience},
		Subject:   strconv.FormatInt(u.ID, 10),
		IssuedAt:  from.Unix(),
		NotBefore: from.Unix(),
		ExpiresAt: until.Unix(),
		ID:        rand.Text(),
		TokenType: kind,
		UserID:    u.ID,
		Username:  u.Username,
	}
}

// typ is the header's media type, after RFC 9068's at+jwt.
func (k TokenKind) typ() string {
	if k == TokenAccess {
		return "at+jwt"
	}
	return string(k) + "+jwt"
}

func (t *Tokens) sign(c *Claims) (string, error) {
	keys := t.Keys.current().kinds[c.TokenType]
	token := jwt.NewWithClaims(keys.method, c)
	token.Header["typ"] = c.TokenType.typ()
	token.Header["kid"] = keys.id
	signed, err := token.SignedString(keys.key)
	if err != nil {
		return "", fmt.Errorf("sign %s token: %w", c.TokenType, err)
	}
	return signed, nil
}

// Parse checks a token of one of the kinds and gives its claims. It fails with
// ErrTokenExpired where expiry is all that is wrong, else with ErrTokenNotValid
// whatever it is.
func (t *Tokens) Parse(raw string, kinds ...TokenKind) (*Claims, error) {
	if len(raw) > maxTokenBytes || strings.ContainsFunc(raw, notInTokens) {
		return nil, ErrTokenNotValid
	}
	var c Claims
	_, err := t.parser.ParseWithClaims(raw, &c, func(token *jwt.Token) (any, error) { return t.keyFor(token, &c, kinds) })
	if err != nil {
		return nil, ErrTokenNotValid.Because(err)
	}
	return &c, t.check(&c)
}

// notInTokens finds what base64 decoders pass over, line ends above all.
func notInTokens(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// clockSkew is by how many seconds the clock of the process that made a token
// may be ahead.
const clockSkew = 5

// check judges claims whose signature is good, expiry last.
func (t *Tokens) check(c *Claims) error {
	now := t.Now().Unix()
	switch {
	case c.Issuer != t.Issuer, !slices.Contains(c.Audience, audience),
		c.UserID < 1, c.Subject != strconv.FormatInt(c.UserID, 10),
		c.IssuedAt > now+clockSkew, c.NotBefore > now+clockSkew,
		c.ExpiresAt == 0, c.ExpiresAt > now+int64(maxLifetime/time.Second):
		return ErrTokenNotValid
	case c.ExpiresAt <= now:
		return ErrTokenExpired
	}
	return nil
}

// keyFor finds the key of a token whose header and type agree. Nothing here is
// trusted until the signature is checked with that key.
func (t *Tokens) keyFor(token *jwt.Token, c *Claims, kinds []TokenKind) (any, error) {
	if _, critical := token.Header["crit"]; critical {
		return nil, errors.New("critical extensions are not supported")
	}
	id, _ := token.Header["kid"].(string)
	for _, kind := range kinds {
		if c.TokenType != kind || token.Header["typ"] != kind.typ() {
			continue
		}
		keys := t.Keys.current().kinds[kind]
		if token.Method != keys.method {
			return nil, errors.New("an algorithm that is not the kind's")
		}
		key, known := keys.verifying[id]
		if !known {
			key, known = t.Keys.renewed().kinds[kind].verifying[id]
		}
		if known {
			return key, nil
		}
	}
	return nil, errors.New("a token of another kind or key")
}
