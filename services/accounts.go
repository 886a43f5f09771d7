package services

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"dueto/models"
)

// AccountService registers, confirms and administers accounts.
type AccountService struct {
	store     *models.Store
	passwords *Passwords
	tokens    *Tokens
	events    *Events
	now       func() time.Time
}

// NewAccountService makes the service; now is the clock.
func NewAccountService(store *models.Store, passwords *Passwords, tokens *Tokens, events *Events, now func() time.Time) *AccountService {
	return &AccountService{store: store, passwords: passwords, tokens: tokens, events: events, now: now}
}

// NewAccount is what an account is made from.
type NewAccount struct {
	Username string
	Email    string
	Password string
	// Active makes an account that needs no confirmation.
	Active      bool
	Staff       bool
	Permissions []string
	TimeZone    string // "" means UTC
}

const invalidUser = "The user is not valid."

// Register makes an account that waits for confirmation, and the token that
// confirms it. Anybody may call it. It fails with CodeInvalid, for a name or
// address that is taken too, or with CodeBusy.
func (s *AccountService) Register(ctx context.Context, in NewAccount) (UserView, string, error) {
	user, err := s.create(ctx, NewAccount{Username: in.Username, Email: in.Email, Password: in.Password})
	if err != nil {
		return UserView{}, "", err
	}
	token, err := s.tokens.Activation(user)
	if err != nil {
		return UserView{}, "", err
	}
	s.events.record(ctx, "registered", user.ID)
	return UserView{User: user, Private: true}, token, nil
}

// CreateSuperuser makes an active staff account. It is for the command line
// and fails as Register does.
func (s *AccountService) CreateSuperuser(ctx context.Context, in NewAccount) (models.User, error) {
	in.Active, in.Staff = true, true
	user, err := s.create(ctx, in)
	if err == nil {
		s.events.record(ctx, "superuser created", user.ID)
	}
	return user, err
}

// CheckNewAccount reports everything that is wrong with an account before it
// is made, but for a name or address that is taken.
func (s *AccountService) CheckNewAccount(in NewAccount) error {
	_, err := s.prepare(in)
	return err
}

// prepare turns the input into a row without its password hash.
func (s *AccountService) prepare(in NewAccount) (models.User, error) {
	fields := Fields{}
	now := models.Micros(s.now())
	u := models.User{IsStaff: in.Staff, TimeZone: in.TimeZone, DateJoined: now, PasswordChangedAt: now}
	u.Username, u.UsernameKey = checkUsername(fields, in.Username)
	u.Email, u.EmailKey = checkEmail(fields, in.Email)
	checkNameIsOwn(fields, u.Username, u.EmailKey)
	checkPassword(fields, "password", in.Password, u.Username, u.Email)
	if u.TimeZone == "" {
		u.TimeZone = "UTC"
	}
	checkTimeZone(fields, u.TimeZone)
	u.Permissions = jsonList(checkPermissions(fields, in.Permissions))
	if in.Active {
		u.ActivatedAt = models.NullMicros(new(s.now()))
	}
	return u, fields.Err(invalidUser)
}

func (s *AccountService) create(ctx context.Context, in NewAccount) (models.User, error) {
	user, err := s.prepare(in)
	if err != nil {
		return models.User{}, err
	}
	// Outside the transaction: other writes must not wait for a hash.
	if user.PasswordHash, err = s.passwords.Hash(ctx, in.Password); err != nil {
		return models.User{}, err
	}
	err = s.store.Write(ctx, func(tx models.DB) error {
		user.ID = 0
		return models.CreateUser(tx, &user)
	})
	return user, takenFields(s.store.Read(ctx), err, user)
}

// takenFields says which of an account's names is the duplicate. The database
// decides that one is; looking first would leave a gap for a second request.
func takenFields(db models.DB, err error, u models.User) error {
	if !errors.Is(err, models.ErrDuplicate) {
		return err
	}
	username, email, lookupErr := models.TakenNames(db, u.UsernameKey, u.EmailKey, u.ID)
	if lookupErr != nil {
		return lookupErr
	}
	fields := Fields{}
	if username {
		fields.Add("username", "A user with that username already exists.")
	}
	if email {
		fields.Add("email", "A user with that email already exists.")
	}
	if len(fields) == 0 { // the other account went away in between, or was never kept
		return (&Error{Code: CodeBusy, Message: "Another request uses this name or address right now. Try again.", RetryAfter: time.Second}).Because(err)
	}
	return fields.Err(invalidUser)
}

// CheckActivation reports what Activate would fail with, and changes nothing.
func (s *AccountService) CheckActivation(ctx context.Context, token string) error {
	_, err := s.pending(s.store.Read(ctx), token)
	return err
}

// Activate confirms the account that a link was made for. Whoever has the link
// may call it. It fails with CodeTokenExpired, CodeTokenNotValid (tampered, of
// another kind, or made for another address or password), CodeAlreadyActive,
// or CodeUserInactive: no link undoes a deactivation.
func (s *AccountService) Activate(ctx context.Context, token string) error {
	var user models.User
	err := s.store.Write(ctx, func(tx models.DB) (err error) {
		if user, err = s.pending(tx, token); err != nil {
			return err
		}
		user.ActivatedAt = models.NullMicros(new(s.now()))
		return models.UpdateUser(tx, &user)
	})
	if err == nil {
		s.events.record(ctx, "activated", user.ID)
	}
	return err
}

// pending gives the account that a link may still confirm.
func (s *AccountService) pending(db models.DB, token string) (models.User, error) {
	claims, err := s.tokens.Parse(token, TokenActivation)
	if err != nil {
		return models.User{}, err
	}
	user, err := models.UserByID(db, claims.UserID)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return user, ErrUserInactive
	case err != nil:
		return user, err
	case user.DisabledAt.Valid:
		return user, ErrUserInactive
	case claims.State != s.tokens.StateOf(user):
		return user, ErrTokenNotValid
	case user.ActivatedAt.Valid:
		return user, ErrAlreadyActive
	}
	return user, nil
}

// ResendActivation asks for a new confirmation of the account with that
// address. Anybody may call it, and cannot tell from it whether there is one.
// Where no mail is set up the operator reads of it in the log, and activates
// the account by hand. It fails with CodeInvalid on what is no address.
func (s *AccountService) ResendActivation(ctx context.Context, email string) error {
	fields := Fields{}
	_, key := checkEmail(fields, email)
	if err := fields.Err("The address is not valid."); err != nil {
		return err
	}
	user, err := models.UserByEmailKey(s.store.Read(ctx), key)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if !user.ActivatedAt.Valid && !user.DisabledAt.Valid {
		s.events.record(ctx, "activation asked for again", user.ID)
	}
	return nil
}

// SetPassword gives an account a new password and ends its sessions. It is for
// the command line and fails with CodeNotFound or CodeInvalid.
func (s *AccountService) SetPassword(ctx context.Context, username, password string) error {
	user, err := s.byName(s.store.Read(ctx), username)
	if err != nil {
		return err
	}
	if err := passwordFor(user, password); err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return s.change(ctx, user.ID, "password set", func(u *models.User) bool {
		u.PasswordHash = hash
		u.PasswordChangedAt = max(models.Micros(s.now()), u.PasswordChangedAt+1)
		return true
	})
}

// PasswordCheck gives a function that says what is wrong with a password for
// an account, with CodeInvalid. It fails with CodeNotFound.
func (s *AccountService) PasswordCheck(ctx context.Context, username string) (func(password string) error, error) {
	user, err := s.byName(s.store.Read(ctx), username)
	return func(password string) error { return passwordFor(user, password) }, err
}

func passwordFor(u models.User, password string) error {
	fields := Fields{}
	checkPassword(fields, "password", password, u.Username, u.Email)
	return fields.Err("The password is not valid.")
}

// ActivateByName confirms an account or lifts its deactivation. It is for the
// command line and fails with CodeNotFound.
func (s *AccountService) ActivateByName(ctx context.Context, username string) error {
	user, err := s.byName(s.store.Read(ctx), username)
	if err != nil {
		return err
	}
	return s.change(ctx, user.ID, "activated by operator", func(u *models.User) bool {
		setActive(u, true, s.now())
		return false
	})
}

// DeactivateByName keeps an account from signing in and ends its sessions. It
// is for the command line and fails with CodeNotFound.
func (s *AccountService) DeactivateByName(ctx context.Context, username string) error {
	user, err := s.byName(s.store.Read(ctx), username)
	if err != nil {
		return err
	}
	return s.change(ctx, user.ID, "deactivated by operator", func(u *models.User) bool {
		setActive(u, false, s.now())
		return true
	})
}

// change changes an account and, where fn says so, ends its sessions.
func (s *AccountService) change(ctx context.Context, id int64, event string, fn func(*models.User) (endSessions bool)) error {
	err := s.store.Write(ctx, func(tx models.DB) error {
		user, err := models.UserByID(tx, id)
		if err != nil {
			return err
		}
		if fn(&user) {
			if _, err := models.RevokeSessionsOf(tx, user.ID, models.Micros(s.now())); err != nil {
				return err
			}
		}
		return models.UpdateUser(tx, &user)
	})
	if err == nil {
		s.events.record(ctx, event, id)
	}
	return err
}

func (s *AccountService) byName(db models.DB, username string) (models.User, error) {
	user, err := models.UserByUsernameKey(db, usernameKey(username))
	if errors.Is(err, models.ErrNotFound) {
		return user, NewError(CodeNotFound, "There is no user "+username+".")
	}
	return user, err
}

// setActive confirms and enables an account, or disables it.
func setActive(u *models.User, active bool, now time.Time) {
	at := models.NullMicros(&now)
	switch {
	case !active && !u.DisabledAt.Valid:
		u.DisabledAt = at
	case active:
		u.DisabledAt.Valid = false
		if !u.ActivatedAt.Valid {
			u.ActivatedAt = at
		}
	}
}

// usernameKey gives the form under which a name is looked up.
func usernameKey(username string) string {
	return strings.ToLower(norm.NFKC.String(strings.TrimSpace(username)))
}

// jsonList and stringList turn a column that holds a list of words to and fro.
func jsonList(words []string) string {
	if len(words) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(words) // strings cannot fail to be encoded
	return string(b)
}

func stringList(column string) []string {
	words := []string{}
	if column != "[]" {
		_ = json.Unmarshal([]byte(column), &words) // a CHECK keeps it valid
	}
	return words
}
