package routes

import (
	"context"
	"net/url"
	"runtime"
	"time"

	"dueto/services"
)

// Services are the rules over one store; the command line uses them as the
// server does.
type Services struct {
	Keys      *services.Keyring
	Accounts  *services.AccountService
	Sessions  *services.SessionService
	APITokens *services.APITokenService
	Users     *services.UserService
	Tasks     *services.TaskService
	Outbox    *services.Outbox
	deferred  *services.Deferred
	shared    *services.Shared // with other processes, where there can be any
}

// NewServices builds the services.
func NewServices(d Deps) (*Services, error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	keys, err := newKeyring(d)
	if err != nil {
		return nil, err
	}
	tokens, err := services.NewTokens(services.TokenConfig{
		Keys: keys, Issuer: d.site(),
		AccessTTL: d.Config.AccessTTL, RefreshTTL: d.Config.RefreshTTL,
		ActivationTTL: d.Config.ActivationTTL, ResetTTL: d.Config.ResetTTL, Now: d.Now,
	})
	if err != nil {
		return nil, err
	}
	cursors := services.NewCursors(keys)
	outbox, err := newOutbox(d, tokens)
	if err != nil {
		return nil, err
	}
	deferred := services.NewDeferred(d.Store, d.Logger)
	events := services.NewEvents(deferred, d.Logger, d.Now)
	// Half the processors hash, so that a flood of logins leaves the rest to others.
	passwords := services.NewPasswords(d.Config.PasswordCost, runtime.GOMAXPROCS(0)/2)
	shared := services.NewShared(d.Store, keys, d.Logger, d.Now)
	var failures *services.Failures
	var mailLimits *services.MailLimits
	if throttled(d.Config) {
		failures, mailLimits = services.NewFailures(d.Now, shared), services.NewMailLimits(d.Now, shared)
	}
	accounts := services.NewAccountService(d.Store, passwords, failures, tokens, outbox, mailLimits, events, d.Now)
	return &Services{
		Keys:     keys,
		Accounts: accounts,
		Sessions: services.NewSessionService(d.Store, passwords, tokens, events, failures, services.SessionConfig{
			TTL: d.Config.SessionTTL, Grace: d.Config.RefreshGrace, Modes: d.Config.AuthModes, Now: d.Now,
		}),
		APITokens: services.NewAPITokenService(d.Store, deferred, events, d.Now),
		Users:     services.NewUserService(d.Store, accounts, cursors, events, d.Now),
		Tasks:     services.NewTaskService(d.Store, cursors, d.Now, d.Config.DefaultVisibility == "private"),
		Outbox:    outbox,
		deferred:  deferred,
		shared:    shared,
	}, nil
}

// linkPaths are where links lead, by the kind of their token.
var linkPaths = map[services.TokenKind]string{
	services.TokenActivation: "/auth/activate/",
	services.TokenReset:      "/auth/password/reset/",
	services.TokenEmail:      "/auth/email/confirm/",
}

// newOutbox makes the outbox, with a mail server where one is set up.
func newOutbox(d Deps, tokens *services.Tokens) (*services.Outbox, error) {
	site := d.site()
	cfg := services.OutboxConfig{
		Site: site, Log: d.Logger, Now: d.Now,
		Link: func(kind services.TokenKind, token string) string { return site + linkPaths[kind] + token },
	}
	if d.Config.SMTPURL != "" {
		public, err := url.Parse(site)
		if err != nil {
			return nil, err
		}
		cfg.Mailer, err = services.NewSMTP(services.SMTPConfig{
			URL: string(d.Config.SMTPURL), From: d.Config.MailFrom, Host: public.Hostname(), Now: d.Now,
		})
		if err != nil {
			return nil, err
		}
	}
	return services.NewOutbox(d.Store, tokens, cfg), nil
}

// Close stores what is still to be stored. It comes before the store is closed.
func (s *Services) Close() { s.deferred.Flush(context.Background()) }
