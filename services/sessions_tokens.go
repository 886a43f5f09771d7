package services

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"dueto/models"
)

// Refresh spends a refresh token for a new pair. A token spent within the
// grace time gives its successor once more; one spent earlier has been copied,
// and ends the session. It fails with CodeTokenExpired, CodeTokenNotValid,
// CodeUserInactive or CodeCSRF.
func (s *SessionService) Refresh(ctx context.Context, c Credential) (TokenPair, error) {
	claims, err := s.parse(c, TokenRefresh)
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

// parse checks a token and, where a browser sent it by itself, that a page of
// ours had it do so.
func (s *SessionService) parse(c Credential, kinds ...TokenKind) (*Claims, error) {
	claims, err := s.tokens.Parse(c.Token, kinds...)
	if err != nil {
		return nil, err
	}
	return claims, s.tokens.checkCSRF(c, claims.SessionID)
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
	case !session.Live(now), !slices.Contains(s.cfg.Modes, session.Mode):
		return session, user, ErrTokenNotValid
	}
	return session, user, nil
}

// authenticate tells whom an access token speaks for.
func (s *SessionService) authenticate(ctx context.Context, c Credential) (Actor, error) {
	claims, err := s.parse(c, TokenAccess)
	if err != nil {
		return Actor{}, err
	}
	session, user, err := s.current(s.store.Read(ctx), claims, models.Micros(s.cfg.Now()))
	if err != nil {
		return Actor{}, err
	}
	return actorOfSession(user, session), nil
}

// Verify gives the claims of an access or refresh token that would be taken
// now; of a cookie, those of the access token that belongs in it. Anybody who has
// one may call it. It fails as Refresh does.
func (s *SessionService) Verify(ctx context.Context, c Credential) (*Claims, error) {
	kinds := []TokenKind{TokenAccess, TokenRefresh}
	if c.Kind != "" {
		kinds = []TokenKind{c.Kind}
	}
	claims, err := s.parse(c, kinds...)
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

// Logout ends the session of a refresh token, spent or not, or of a cookie's
// access token, where that is all a browser has left. Ending it twice is no
// error. It fails with CodeTokenExpired, CodeTokenNotValid or CodeCSRF.
func (s *SessionService) Logout(ctx context.Context, c Credential) error {
	kinds := []TokenKind{TokenRefresh}
	if c.Kind == TokenAccess {
		kinds = []TokenKind{TokenAccess}
	}
	claims, err := s.parse(c, kinds...)
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
