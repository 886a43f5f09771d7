package services

import (
	"context"
	"strings"
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
