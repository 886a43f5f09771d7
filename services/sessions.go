package services

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"dueto/models"
)

// maxSessions is how many logins an account can have at once; the one used
// longest ago makes room for a new one.
const maxSessions = 50

// SessionService signs people in, keeps them signed in, and tells who they are.
type SessionService struct {
	store     *models.Store
	passwords *Passwords
	tokens    *Tokens
	events    *Events
	failures  *Failures
	cfg       SessionConfig
}

// SessionConfig is how long sessions last.
type SessionConfig struct {
	// TTL is the longest a session lasts from its login.
	TTL time.Duration
	// Modes are those that a login may choose. One that does not is in json, or in
	// the first where that is not among them.
	Modes []string
	// Grace is how long a spent refresh token still gives its successor, for
	// two tabs and lost answers; 0 means not at all.
	Grace time.Duration
	Now   func() time.Time
}

// NewSessionService makes the service.
func NewSessionService(store *models.Store, passwords *Passwords, tokens *Tokens, events *Events, failures *Failures, cfg SessionConfig) *SessionService {
	return &SessionService{store: store, passwords: passwords, tokens: tokens, events: events, failures: failures, cfg: cfg}
}

// Login is somebody's claim to an account, and where it comes from.
type Login struct {
	Username  string // or an address
	Password  string
	UserAgent string
	Address   string
	Mode      string // "" is the server's
}

// The modes in which a session's tokens are carried.
const (
	ModeJSON       = "json"
	ModeOneCookie  = "one-cookie"
	ModeTwoCookies = "two-cookies"
)

// TokenPair is what a login or a refresh gives. The times are how long the
// tokens and the session last from now.
type TokenPair struct {
	Mode       string
	Access     string
	Refresh    string
	CSRF       string // for the modes with cookies
	ExpiresIn  time.Duration
	RefreshFor time.Duration
	SessionFor time.Duration
}

// DefaultMode is that of a login that does not choose one of the modes that are
// allowed: json, or the first.
func DefaultMode(allowed []string) string {
	if slices.Contains(allowed, ModeJSON) {
		return ModeJSON
	}
	return allowed[0]
}

// Login starts a session. Anybody may call it. Whatever is wrong (no such
// account, not confirmed, deactivated, wrong password) it fails with
// CodeNoActiveAccount, and at the same price; after too many failures with
// CodeThrottled; or with CodeBusy, or CodeInvalid for a mode that the server does
// not allow.
func (s *SessionService) Login(ctx context.Context, in Login) (TokenPair, error) {
	in.Mode = cmp.Or(in.Mode, DefaultMode(s.cfg.Modes))
	if !slices.Contains(s.cfg.Modes, in.Mode) {
		return TokenPair{}, FieldError("The login is not valid.", "mode", "This server allows: "+strings.Join(s.cfg.Modes, ", ")+".")
	}
	emailKey, _ := canonicalEmail(strings.TrimSpace(in.Username))
	user, err := models.UserByLogin(s.store.Read(ctx), usernameKey(in.Username), emailKey)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return TokenPair{}, err
	}
	match, err := s.matches(ctx, user, in, emailKey)
	if err != nil {
		return TokenPair{}, err
	}
	if !match {
		s.events.record(ctx, "login failed", user.ID)
		return TokenPair{}, ErrNoActiveAccount
	}
	if err := s.store.NoteWriter(ctx, user.ID); err != nil { // the login shows in the account
		return TokenPair{}, err
	}
	hash := user.PasswordHash
	if s.passwords.Outdated(hash) {
		if hash, err = s.passwords.Hash(ctx, in.Password); err != nil {
			return TokenPair{}, err
		}
	}
	now := models.Micros(s.cfg.Now())
	session := models.Session{
		UserID: user.ID, Generation: 1, CreatedAt: now, RotatedAt: now, LastUsedAt: now,
		ExpiresAt: now + s.cfg.TTL.Microseconds(), UserAgent: in.UserAgent, Address: in.Address, Mode: in.Mode,
	}
	err = s.store.Write(ctx, func(tx models.DB) error {
		session.ID = 0
		return s.start(tx, user, hash, &session)
	})
	if err != nil {
		return TokenPair{}, err
	}
	s.events.record(ctx, models.LoginEvent, user.ID, "session_id", session.ID)
	return s.pair(user, session)
}

// matches compares the password, unless there were too many failures. They are
// counted by what was typed, alike for names that there are and names that
// there are not. They keep nobody out who comes from where the account signed
// in before, whatever others try elsewhere.
func (s *SessionService) matches(ctx context.Context, user models.User, in Login, emailKey string) (bool, error) {
	compare := func() (bool, error) {
		match, err := s.passwords.Compare(ctx, user.PasswordHash, in.Password)
		return match && user.Active(), err
	}
	key := loginKey(emailKey, usernameKey(in.Username))
	match, err := s.failures.Guard(ctx, key, compare)
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != CodeThrottled {
		return match, err
	}
	known, err := s.knows(ctx, user, in.Address)
	if err != nil {
		return false, err
	}
	if !known {
		s.events.record(ctx, "login throttled", user.ID)
		return false, refusal
	}
	match, err = compare()
	if match {
		s.failures.Clear(ctx, key)
	}
	return match, err
}

// loginKey is what failed logins are counted by: the address or the name that
// was typed.
func loginKey(emailKey, usernameKey string) string { return "name:" + cmp.Or(emailKey, usernameKey) }

// knows reports whether the account signed in before from a client's address.
func (s *SessionService) knows(ctx context.Context, user models.User, address string) (bool, error) {
	addresses, err := models.LoginAddresses(s.store.Read(ctx), user.ID)
	return address != "" && slices.ContainsFunc(addresses, func(a string) bool { return ClientKey(a) == ClientKey(address) }), err
}

// start writes a session, unless the account has changed since it was compared.
func (s *SessionService) start(tx models.DB, compared models.User, hash string, session *models.Session) error {
	user, err := models.UserByID(tx, compared.ID)
	if errors.Is(err, models.ErrNotFound) {
		return ErrNoActiveAccount
	}
	if err != nil {
		return err
	}
	if !user.Active() || user.PasswordChangedAt != compared.PasswordChangedAt {
		return ErrNoActiveAccount
	}
	user.PasswordHash = hash
	user.LastLogin.Int64, user.LastLogin.Valid = session.CreatedAt, true
	if err := models.UpdateUser(tx, &user); err != nil {
		return err
	}
	return models.CreateSession(tx, session, maxSessions)
}

func (s *SessionService) pair(u models.User, session models.Session) (TokenPair, error) {
	now := s.cfg.Now()
	p := TokenPair{Mode: session.Mode, SessionFor: models.Time(session.ExpiresAt).Sub(now)}
	var err error
	if p.Access, p.ExpiresIn, err = s.tokens.Access(u, session); err != nil {
		return TokenPair{}, err
	}
	var until time.Time
	if p.Refresh, until, err = s.tokens.Refresh(u, session); err != nil {
		return TokenPair{}, err
	}
	p.RefreshFor = until.Sub(now)
	if session.Mode != ModeJSON {
		p.CSRF = s.tokens.CSRF(session.ID)
	}
	return p, nil
}

// Payload gives the claims of the access token as they are in it: base64url of
// JSON (RFC 7519).
func (p TokenPair) Payload() string {
	parts := strings.Split(p.Access, ".")
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}
