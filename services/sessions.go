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
}

// TokenPair is what a login or a refresh gives.
type TokenPair struct {
	Access    string
	Refresh   string
	ExpiresIn time.Duration // of the access token
}

// Login starts a session. Anybody may call it. Whatever is wrong (no such
// account, not confirmed, deactivated, wrong password) it fails with
// CodeNoActiveAccount, and at the same price; after too many failures with
// CodeThrottled; or with CodeBusy.
func (s *SessionService) Login(ctx context.Context, in Login) (TokenPair, error) {
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
	hash := user.PasswordHash
	if s.passwords.Outdated(hash) {
		if hash, err = s.passwords.Hash(ctx, in.Password); err != nil {
			return TokenPair{}, err
		}
	}
	now := models.Micros(s.cfg.Now())
	session := models.Session{
		UserID: user.ID, Generation: 1, CreatedAt: now, RotatedAt: now, LastUsedAt: now,
		ExpiresAt: now + s.cfg.TTL.Microseconds(), UserAgent: in.UserAgent, Address: in.Address,
	}
	err = s.store.Write(ctx, func(tx models.DB) error {
		session.ID = 0
		return s.start(tx, user, hash, &session)
	})
	if err != nil {
		return TokenPair{}, err
	}
	s.events.record(ctx, "login", user.ID, "session_id", session.ID)
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
	key := "name:" + cmp.Or(emailKey, usernameKey(in.Username))
	match, err := s.failures.Guard(key, compare)
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
		s.failures.Clear(key)
	}
	return match, err
}

// knows reports whether the account has a session from a client's address.
func (s *SessionService) knows(ctx context.Context, user models.User, address string) (bool, error) {
	addresses, err := models.SessionAddresses(s.store.Read(ctx), user.ID)
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
	access, lifetime, err := s.tokens.Access(u, session)
	if err != nil {
		return TokenPair{}, err
	}
	refresh, err := s.tokens.Refresh(u, session)
	return TokenPair{Access: access, Refresh: refresh, ExpiresIn: lifetime}, err
}

// Refresh spends a refresh token for a new pair. A token spent within the
// grace time gives its successor once more; one spent earlier has been copied,
// and ends the session. It fails with CodeTokenExpired, CodeTokenNotValid or
// CodeUserInactive.
func (s *SessionService) Refresh(ctx context.Context, raw string) (TokenPair, error) {
	claims, err := s.tokens.Parse(raw, TokenRefresh)
	if err != nil {
		return TokenPair{}, err
	}
	now := models.Micros(s.cfg.Now())
	var session models.Session
	var user models.User
	var refusal error // carried past the commit: a revocation outlives the refusal
	err = s.store.Write(ctx, func(tx models.DB) (err error) {
		refusal = nil
		session, user, err = s.current(tx, claims, now)
		if err != nil {
			return err
		}
		switch {
		case claims.Generation == session.Generation:
			rotated, err := models.RotateSession(tx, session.ID, session.Generation, now)
			if err != nil || !rotated {
				return cmp.Or(err, errNotAlone)
			}
			session.Generation++
			session.RotatedAt = now
		case s.inGrace(claims, session, now):
		default:
			refusal = ErrTokenNotValid.Because(errors.New("a spent refresh token was used again"))
			_, err := models.RevokeSession(tx, session.ID, now)
			return err
		}
		return nil
	})
	if err != nil {
		return TokenPair{}, err
	}
	if refusal != nil {
		s.events.record(ctx, "refresh token reused", user.ID, "session_id", session.ID)
		return TokenPair{}, refusal
	}
	return s.pair(user, session)
}

// errNotAlone says that an engine broke its promise of serializable writes.
var errNotAlone = errors.New("a session changed within the transaction that read it")

// inGrace reports whether the token was the session's last but one, and spent
// just now.
func (s *SessionService) inGrace(c *Claims, session models.Session, now int64) bool {
	return s.cfg.Grace > 0 && c.Generation == session.Generation-1 && now-session.RotatedAt <= s.cfg.Grace.Microseconds()
}

// current gives the live session and active account that a token names.
func (s *SessionService) current(db models.DB, c *Claims, now int64) (models.Session, models.User, error) {
	session, user, err := models.SessionUser(db, c.SessionID)
	switch {
	case errors.Is(err, models.ErrNotFound):
		// A session that ended may be gone; so may its account.
		if _, err := models.UserByID(db, c.UserID); errors.Is(err, models.ErrNotFound) {
			return session, user, ErrUserInactive
		}
		return session, user, ErrTokenNotValid
	case err != nil:
		return session, user, err
	case user.ID != c.UserID:
		return session, user, ErrTokenNotValid
	case !user.Active():
		return session, user, ErrUserInactive
	case !session.Live(now):
		return session, user, ErrTokenNotValid
	}
	return session, user, nil
}

// Authenticate tells whom an access token speaks for, as the database has them
// now. It fails with CodeTokenExpired, CodeTokenNotValid or CodeUserInactive.
func (s *SessionService) Authenticate(ctx context.Context, raw string) (Actor, error) {
	claims, err := s.tokens.Parse(raw, TokenAccess)
	if err != nil {
		return Actor{}, err
	}
	_, user, err := s.current(s.store.Read(ctx), claims, models.Micros(s.cfg.Now()))
	if err != nil {
		return Actor{}, err
	}
	return actorOf(user), nil
}

// Verify gives the claims of an access or refresh token that would be taken
// now. Anybody who has one may call it. It fails as Authenticate does.
func (s *SessionService) Verify(ctx context.Context, raw string) (*Claims, error) {
	claims, err := s.tokens.Parse(raw, TokenAccess, TokenRefresh)
	if err != nil {
		return nil, err
	}
	now := models.Micros(s.cfg.Now())
	session, _, err := s.current(s.store.Read(ctx), claims, now)
	if err != nil {
		return nil, err
	}
	if claims.TokenType == TokenRefresh && claims.Generation != session.Generation && !s.inGrace(claims, session, now) {
		return nil, ErrTokenNotValid
	}
	return claims, nil
}

// Logout ends the session of a refresh token, spent or not. Ending it twice is
// no error. It fails with CodeTokenExpired or CodeTokenNotValid.
func (s *SessionService) Logout(ctx context.Context, raw string) error {
	claims, err := s.tokens.Parse(raw, TokenRefresh)
	if err != nil {
		return err
	}
	ended := false
	err = s.store.Write(ctx, func(tx models.DB) error {
		ended = false
		session, _, err := models.SessionUser(tx, claims.SessionID)
		if errors.Is(err, models.ErrNotFound) {
			return nil
		}
		if err == nil && session.UserID != claims.UserID {
			return ErrTokenNotValid
		}
		if err == nil {
			ended, err = models.RevokeSession(tx, session.ID, models.Micros(s.cfg.Now()))
		}
		return err
	})
	if err == nil && ended {
		s.events.record(ctx, "logout", claims.UserID, "session_id", claims.SessionID)
	}
	return err
}
