package services

import (
	"context"
	"errors"

	"dueto/models"
)

// CheckEmail reports what ConfirmEmail would fail with, and changes nothing.
func (s *AccountService) CheckEmail(ctx context.Context, token string) error {
	_, err := s.confirmable(s.store.Read(ctx), token)
	return err
}

// confirmable gives the account whose next address a link may still confirm.
func (s *AccountService) confirmable(db models.DB, token string) (models.User, error) {
	user, fits, err := s.linked(db, token, TokenEmail)
	switch {
	case err != nil:
		return user, err
	case !user.Active():
		return user, ErrUserInactive
	case !fits || user.PendingEmail == "":
		return user, ErrTokenNotValid
	}
	return user, nil
}

// ConfirmEmail makes the address that a link went to the account's own, and
// tells the former one. Whoever has the link may call it, once. It fails with
// CodeTokenExpired, CodeTokenNotValid (used, or made for another address or
// password too), CodeUserInactive, or CodeConflict where another account has
// the address by now, or a name of one's own is the former.
func (s *AccountService) ConfirmEmail(ctx context.Context, token string) error {
	var user models.User
	var dropped int64
	mails := s.outbox.post()
	if err := s.noteLinked(ctx, token); err != nil {
		return err
	}
	err := s.store.Write(ctx, func(tx models.DB) (err error) {
		mails.clear()
		if user, err = s.confirmable(tx, token); err != nil {
			return err
		}
		former := user.Email
		user.Email, user.PendingEmail = user.PendingEmail, ""
		user.EmailKey, _ = canonicalEmail(user.Email)
		fields := Fields{}
		if checkNameIsOwn(fields, user.Username, user.EmailKey); len(fields) > 0 {
			return NewError(CodeConflict, "Your username is another address. Change the username first.")
		}
		if dropped, err = s.dropClaim(tx, user.EmailKey); err != nil {
			return err
		}
		if err := models.UpdateUser(tx, &user); err != nil {
			return err
		}
		return mails.add(tx, MailEmailChanged, user.ID, former)
	})
	if errors.Is(err, models.ErrDuplicate) {
		return NewError(CodeConflict, "Another account has this address by now.").Because(err)
	}
	if err != nil {
		return err
	}
	mails.committed(ctx)
	s.events.record(ctx, "email changed", user.ID)
	if dropped != 0 {
		s.events.record(ctx, "user deleted", dropped, "by", user.ID)
	}
	return nil
}

// noteLinked notes that the account of a link is about to change: who follows
// it need not be signed in there, but may be elsewhere.
func (s *AccountService) noteLinked(ctx context.Context, token string) error {
	if !s.store.HasReplicas() {
		return nil
	}
	user, err := s.confirmable(s.store.Read(ctx), token)
	if err != nil {
		return err
	}
	return s.store.NoteWriter(ctx, user.ID)
}

// dropClaim removes the account that somebody registered with an address and
// never confirmed, now that another has shown to own the address. It gives the
// id, or 0 where there is none.
func (s *AccountService) dropClaim(tx models.DB, emailKey string) (id int64, err error) {
	claim, err := models.UserByEmailKey(tx, emailKey)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return 0, nil
	case err == nil && claim.Pending():
		return claim.ID, models.DeleteUser(tx, claim.ID, models.Micros(s.now()))
	}
	return 0, err
}

// writeChanges writes an account that PATCH changed, and to those whom that
// concerns. asks is whether the patch asks for another address; one that waits
// already is asked for anew. mayTell is whether the former address may be
// written to.
func (s *AccountService) writeChanges(tx models.DB, before models.User, after *models.User, asks bool, mayTell func() bool, mails *post) error {
	if after.UsernameKey != before.UsernameKey {
		if err := models.NameReserved(tx, after.UsernameKey); err != nil {
			return err
		}
	}
	if asks && !s.outbox.Sends() { // registering tells as much there
		key, _ := canonicalEmail(after.PendingEmail)
		_, taken, err := models.TakenNames(tx, "", key, after.ID)
		if err != nil {
			return err
		}
		if taken {
			return FieldError(invalidUser, "email", "A user with that email already exists.")
		}
	}
	if err := models.UpdateUser(tx, after); err != nil {
		return err
	}
	switch {
	case asks:
		return errors.Join(mails.add(tx, MailEmailChange, after.ID, after.PendingEmail), mails.add(tx, MailEmailChanging, after.ID, before.Email))
	case after.Email != before.Email && after.Pending():
		return mails.add(tx, MailActivation, after.ID, "") // the former one was never confirmed
	case after.Email != before.Email && mayTell():
		return mails.add(tx, MailEmailChanged, after.ID, before.Email)
	}
	return nil
}
