package services

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"dueto/models"
)

// newestTasks is how many task ids an account's representation lists.
const newestTasks = 100

// UserService holds the rules of accounts as a resource.
type UserService struct {
	store    *models.Store
	accounts *AccountService
	cursors  *Cursors
	events   *Events
	now      func() time.Time
}

// NewUserService makes the service; now is the clock.
func NewUserService(store *models.Store, accounts *AccountService, cursors *Cursors, events *Events, now func() time.Time) *UserService {
	return &UserService{store: store, accounts: accounts, cursors: cursors, events: events, now: now}
}

// UserView is an account as somebody sees it.
type UserView struct {
	User  models.User
	Tasks models.TaskSummary
	// Private is whether address, state and permissions are shown.
	Private bool
}

// Version identifies the state of what is seen. That of the public members
// does not move with the private ones.
func (v UserView) Version() string {
	h := sha256.New()
	fmt.Fprintln(h, v.Private, v.User.Username, v.Tasks.Count, v.Tasks.Newest)
	if v.Private {
		fmt.Fprintln(h, v.User.Version)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// Create makes an account for somebody else, active at once unless said
// otherwise. Staff may call it, and those with users.add where it is not staff
// and is granted nothing. It fails as AccountService.Register does, or with
// CodePermissionDenied.
func (s *UserService) Create(ctx context.Context, actor Actor, in NewAccount) (UserView, error) {
	if !actor.Authenticated() {
		return UserView{}, ErrNotAuthenticated
	}
	if !canCreateUser(actor, in) {
		return UserView{}, ErrPermissionDenied
	}
	user, err := s.accounts.create(ctx, in, func(tx models.DB) error {
		now, err := actor.standing(tx, models.Micros(s.now()))
		if err == nil && !canCreateUser(now, in) {
			return ErrPermissionDenied
		}
		return err
	})
	if err != nil {
		return UserView{}, err
	}
	s.events.record(ctx, "user created", user.ID, "by", actor.UserID)
	return UserView{User: user, Private: canSeePrivateFields(actor, user)}, nil
}

// CheckNew reports what Create would fail with but for names that are taken.
func (s *UserService) CheckNew(in NewAccount) error { return s.accounts.CheckNewAccount(in) }

// Get gives an account that the actor can see, else fails with CodeNotFound.
func (s *UserService) Get(ctx context.Context, actor Actor, id int64) (UserView, error) {
	return s.view(reading(ctx, s.store, actor), actor, id)
}

func (s *UserService) view(db models.DB, actor Actor, id int64) (UserView, error) {
	user, err := models.UserByID(db, id)
	if errors.Is(err, models.ErrNotFound) || (err == nil && !canSeeUser(actor, user)) {
		return UserView{}, ErrNotFound
	}
	if err != nil {
		return UserView{}, err
	}
	views, err := s.views(db, actor, []models.User{user})
	if err != nil {
		return UserView{}, err
	}
	return views[0], nil
}

// views adds what the actor sees of each account's tasks.
func (s *UserService) views(db models.DB, actor Actor, users []models.User) ([]UserView, error) {
	ids := make([]int64, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	summaries, err := models.SummarizeTasks(db, taskScope(actor), ids, newestTasks)
	if err != nil {
		return nil, err
	}
	views := make([]UserView, len(users))
	for i, u := range users {
		views[i] = UserView{User: u, Tasks: summaries[u.ID], Private: canSeePrivateFields(actor, u)}
	}
	return views, nil
}

// UserPatch says what to change of an account.
type UserPatch struct {
	Username    Change[string]
	Email       Change[string]
	TimeZone    Change[string]
	Active      Change[bool]
	Staff       Change[bool]
	Permissions Change[[]string]
	// WithdrawEmail takes back the wish for another address.
	WithdrawEmail bool
}

// Check reports what is wrong with the patch whoever sends it and whatever is
// there.
func (p UserPatch) Check() error {
	fields := Fields{}
	if p.Username.Set {
		checkUsername(fields, p.Username.To)
	}
	if p.Email.Set {
		checkEmail(fields, p.Email.To)
	}
	if p.TimeZone.Set {
		checkTimeZone(fields, p.TimeZone.To)
	}
	checkPermissions(fields, p.Permissions.To)
	return fields.Err(invalidUser)
}

// Update changes an account. Oneself may change name, time zone and address, the
// latter once the new one is confirmed; staff everything, and those with
// users.change all but staff and permissions, of accounts that are not staff and
// hold no word that they do not. It fails with CodeNotFound,
// CodePermissionDenied, CodePrecondition, CodeInvalid, CodeThrottled where a new
// address was asked for too often, or CodeConflict where no active staff would
// be left.
func (s *UserService) Update(ctx context.Context, actor Actor, id int64, patch UserPatch, expected Expected) (UserView, error) {
	if !actor.Authenticated() {
		return UserView{}, ErrNotAuthenticated
	}
	patch.Email.To = strings.TrimSpace(patch.Email.To)
	var view UserView
	var before, attempted models.User
	mails := s.accounts.outbox.post()
	mayChange := sync.OnceValue(func() error { // however often the transaction is run
		key, _ := canonicalEmail(patch.Email.To)
		return s.accounts.limits.mayChange(ctx, id, key)
	})
	mayTell := sync.OnceValue(func() bool { return s.accounts.limits.mayWrite(ctx, MailEmailChanged, before.EmailKey) })
	err := s.store.Write(ctx, func(tx models.DB) (err error) {
		mails.clear()
		actor, err := actor.standing(tx, models.Micros(s.now()))
		if err != nil {
			return err
		}
		if view, err = s.view(tx, actor, id); err != nil {
			return err
		}
		if !canChangeUser(actor, view.User) {
			return ErrPermissionDenied
		}
		if err := expected.check(view.Version()); err != nil {
			return err
		}
		before = view.User
		attempted, err = applyUserPatch(actor, before, patch, s.now())
		if err != nil {
			return err
		}
		if err := keepsStaff(tx, before, attempted); err != nil {
			return err
		}
		if before.Active() && !attempted.Active() {
			if _, err := models.RevokeSessionsOf(tx, id, 0, models.Micros(s.now())); err != nil {
				return err
			}
		}
		asks := patch.Email.Set && patch.Email.To != before.Email && attempted.PendingEmail != ""
		if asks {
			if err := mayChange(); err != nil {
				return err
			}
		}
		if err := s.accounts.writeChanges(tx, before, &attempted, asks, mayTell, mails); err != nil {
			return err
		}
		view.User = attempted
		view.Private = canSeePrivateFields(actor, attempted)
		return nil
	})
	if err != nil {
		return UserView{}, s.accounts.takenFields(ctx, err, attempted, false)
	}
	mails.committed(ctx)
	s.recordChange(ctx, actor, before, attempted)
	return view, nil
}

// applyUserPatch gives the account as the patch makes it. Members that are set
// to what they are do no harm, so that what was read can be sent back.
func applyUserPatch(actor Actor, u models.User, p UserPatch, now time.Time) (models.User, error) {
	fields := Fields{}
	manages := canManageUser(actor, u, PermChangeUsers)
	if p.Username.Set {
		u.Username, u.UsernameKey = checkUsername(fields, p.Username.To)
	}
	if p.WithdrawEmail {
		u.PendingEmail = ""
	}
	next := u.EmailKey
	if p.Email.Set && p.Email.To != u.Email {
		if actor.TokenID != 0 && isSelf(actor, u) { // whoever has the address can own the account
			return u, actor.CheckScope("")
		}
		var email string
		email, next = checkEmail(fields, p.Email.To)
		if manages && !isSelf(actor, u) {
			u.Email, u.EmailKey, u.PendingEmail = email, next, ""
		} else {
			u.PendingEmail = email
		}
	}
	if p.Username.Set || p.Email.Set { // it must be the address in force, and the one asked for too
		checkNameIsOwn(fields, u.Username, u.EmailKey)
		if len(fields["username"]) == 0 {
			checkNameIsOwn(fields, u.Username, next)
		}
	}
	if p.TimeZone.Set {
		checkTimeZone(fields, p.TimeZone.To)
		u.TimeZone = p.TimeZone.To
	}
	if p.Active.Set && p.Active.To != u.Active() {
		if !manages {
			return u, ErrPermissionDenied
		}
		setActive(&u, p.Active.To, now)
	}
	before := u
	p.Staff.apply(&u.IsStaff)
	if p.Permissions.Set {
		u.Permissions = jsonList(checkPermissions(fields, p.Permissions.To))
	}
	if !actor.Staff && (u.IsStaff != before.IsStaff || u.Permissions != before.Permissions) {
		return u, ErrPermissionDenied
	}
	return u, fields.Err(invalidUser)
}

// DeleteUser says how an account is to be deleted.
type DeleteUser struct {
	// Password is one's own, needed to delete oneself.
	Password string
	// WithTasks deletes the tasks that are for the account; otherwise they
	// stay, for nobody.
	WithTasks bool
}

// Delete removes an account. Oneself may call it with one's password, staff
// and those with users.delete without. It fails with CodeNotFound,
// CodePermissionDenied, CodePrecondition, CodeInvalid on a wrong password, or
// CodeConflict where no active staff would be left.
func (s *UserService) Delete(ctx context.Context, actor Actor, id int64, in DeleteUser, expected Expected) error {
	if !actor.Authenticated() {
		return ErrNotAuthenticated
	}
	view, err := s.Get(ctx, actor, id)
	if err != nil {
		return err
	}
	if !canDeleteUser(actor, view.User) {
		return ErrPermissionDenied
	}
	if isSelf(actor, view.User) {
		if err := s.confirmPassword(ctx, actor, view.User, in.Password); err != nil {
			return err
		}
	}
	err = s.store.Write(ctx, func(tx models.DB) error {
		actor, err := actor.standing(tx, models.Micros(s.now()))
		if err != nil {
			return err
		}
		now, err := s.view(tx, actor, id)
		if err != nil {
			return err
		}
		// What was decided before the transaction must still hold in it.
		if !canDeleteUser(actor, now.User) || now.User.PasswordChangedAt != view.User.PasswordChangedAt {
			return ErrPermissionDenied
		}
		if err := expected.check(now.Version()); err != nil {
			return err
		}
		if err := keepsStaff(tx, now.User, models.User{}); err != nil {
			return err
		}
		if in.WithTasks {
			if _, err := models.DeleteTasksOf(tx, id); err != nil {
				return err
			}
		}
		return models.DeleteUser(tx, id, models.Micros(s.now()))
	})
	if err == nil {
		s.events.record(ctx, "user deleted", id, "by", actor.UserID)
	}
	return err
}

func (s *UserService) confirmPassword(ctx context.Context, actor Actor, u models.User, password string) error {
	const message = "The account was not deleted."
	if password == "" {
		return FieldError(message, "password", "This field is required.")
	}
	match, err := s.accounts.confirm(ctx, actor, u, password)
	if err != nil {
		return err
	}
	if !match {
		s.events.record(ctx, "wrong password at deletion", u.ID)
		return FieldError(message, "password", "The password is not right.")
	}
	return nil
}
