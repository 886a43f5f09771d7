package services

import (
	"context"
	"errors"
	"slices"

	"dueto/models"
)

// List gives the sessions of the actor's account that can still be used, the one
// used last first.
func (s *SessionService) List(ctx context.Context, actor Actor) ([]models.Session, error) {
	if !actor.Authenticated() {
		return nil, ErrNotAuthenticated
	}
	list, err := models.LiveSessionsOf(s.store.Read(ctx), actor.UserID, models.Micros(s.cfg.Now()))
	return slices.DeleteFunc(list, func(session models.Session) bool { return !s.usable(session) }), err
}

// usable reports whether a session is live, its refresh token has not lapsed,
// and its mode is still allowed.
func (s *SessionService) usable(session models.Session) bool {
	now := models.Micros(s.cfg.Now())
	return session.Live(now) && now < session.RotatedAt+s.tokens.RefreshTTL.Microseconds() && slices.Contains(s.cfg.Modes, session.Mode)
}

// Get gives such a session of the actor's account, or fails with CodeNotFound.
func (s *SessionService) Get(ctx context.Context, actor Actor, id int64) (models.Session, error) {
	return s.own(s.store.Read(ctx), actor, id)
}

func (s *SessionService) own(db models.DB, actor Actor, id int64) (models.Session, error) {
	session, err := models.SessionByID(db, id)
	if errors.Is(err, models.ErrNotFound) || (err == nil && (session.UserID != actor.UserID || !s.usable(session))) {
		return models.Session{}, ErrNotFound
	}
	return session, err
}

// End ends a session of the actor's account, or fails with CodeNotFound.
func (s *SessionService) End(ctx context.Context, actor Actor, id int64) error {
	err := s.store.Write(ctx, func(tx models.DB) error {
		if _, err := s.own(tx, actor, id); err != nil {
			return err
		}
		_, err := models.RevokeSession(tx, id, models.Micros(s.cfg.Now()))
		return err
	})
	if err == nil {
		s.events.record(ctx, "session ended", actor.UserID, "session_id", id)
	}
	return err
}

// EndOthers ends the sessions of the actor's account but the one that asks, or
// with it where own is set.
func (s *SessionService) EndOthers(ctx context.Context, actor Actor, own bool) error {
	if !actor.Authenticated() {
		return ErrNotAuthenticated
	}
	but := actor.SessionID
	if own {
		but = 0
	}
	var ended int64
	err := s.store.Write(ctx, func(tx models.DB) (err error) {
		ended, err = models.RevokeSessionsOf(tx, actor.UserID, but, models.Micros(s.cfg.Now()))
		return err
	})
	if err == nil && ended > 0 {
		s.events.record(ctx, "sessions ended", actor.UserID, "count", ended)
	}
	return err
}
