package services

import (
	"context"
	"errors"
	"strings"

	"dueto/models"
)

// Credential is what a request brings to say who it is from.
type Credential struct {
	Token string
	// Kind is what belongs where the token was found; "" says nothing of it.
	Kind TokenKind
	// Key says that it may be an API token's key in place of a signed token.
	Key bool
	// CSRF is what the request brings to prove that a page of ours sent it; nil
	// where none is needed, since no browser sends the token by itself.
	CSRF *string
}

// Authenticator tells who is asking, by either kind of token.
type Authenticator struct {
	sessions  *SessionService
	apiTokens *APITokenService
}

// NewAuthenticator takes the services that know the tokens.
func NewAuthenticator(sessions *SessionService, apiTokens *APITokenService) *Authenticator {
	return &Authenticator{sessions: sessions, apiTokens: apiTokens}
}

// Authenticate tells whom a credential speaks for, as the database has them now.
// It fails with CodeTokenExpired, CodeTokenNotValid, CodeUserInactive or CodeCSRF.
func (a *Authenticator) Authenticate(ctx context.Context, c Credential) (Actor, error) {
	if c.Key && strings.HasPrefix(c.Token, apiKeyPrefix) {
		return a.apiTokens.authenticate(ctx, c.Token)
	}
	return a.sessions.authenticate(ctx, c)
}

// standing gives the actor as a transaction finds it that writes on its
// authority: between the credential's check and the write, which may have waited
// for a password to be hashed, it may have been taken away. An actor without a
// credential is the command line's.
func (a Actor) standing(tx models.DB, now int64) (Actor, error) {
	var user models.User
	var session models.Session
	var token models.APIToken
	var err error
	switch {
	case a.SessionID != 0:
		session, user, err = models.SessionUser(tx, a.SessionID)
	case a.TokenID != 0:
		if token, err = models.APITokenByID(tx, a.TokenID); err == nil {
			user, err = models.UserByID(tx, token.UserID)
		}
	default:
		return a, nil
	}
	switch {
	case errors.Is(err, models.ErrNotFound):
		return Actor{}, ErrTokenNotValid
	case err != nil:
		return Actor{}, err
	case !user.Active():
		return Actor{}, ErrUserInactive
	case a.SessionID != 0 && !session.Live(now), token.ExpiresAt.Valid && token.ExpiresAt.Int64 <= now:
		return Actor{}, ErrTokenNotValid
	case a.SessionID != 0:
		return actorOfSession(user, session), nil
	}
	return actorOfToken(user, token), nil
}
