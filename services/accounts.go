package services

import (
	"context"
	"crypto/rand"
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
	failures  *Failures
	tokens    *Tokens
	outbox    *Outbox
	limits    *MailLimits
	events    *Events
	now       func() time.Time
}

// NewAccountService makes the service; now is the clock.
func NewAccountService(store *models.Store, passwords *Passwords, failures *Failures, tokens *Tokens, outbox *Outbox, limits *MailLimits, events *Events, now func() time.Time) *AccountService {
	return &AccountService{
		store: store, passwords: passwords, failures: failures, tokens: tokens, outbox: outbox, limits: limits, events: events, now: now,
	}
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

// Register makes an account that waits for confirmation, and the token of the
// link that confirms it, or "" where the link goes by mail. Anybody may call it.
// It fails with CodeInvalid, for a name that is taken too, or with CodeBusy. An
// address that is taken is CodeInvalid only where there is no mail: else its
// owner is written to, and the caller cannot tell.
func (s *AccountService) Register(ctx context.Context, in NewAccount) (UserView, string, error) {
	user, err := s.prepare(NewAccount{Username: in.Username, Email: in.Email, Password: in.Password})
	if err != nil {
		return UserView{}, "", err
	}
	// Outside the transaction: other writes must not wait for a hash.
	if user.PasswordHash, err = s.passwords.Hash(ctx, in.Password); err != nil {
		return UserView{}, "", err
	}
	mails := s.outbox.post()
	notice := s.limits.mayWrite(ctx, MailAddressTaken, user.EmailKey)
	err = s.store.Write(ctx, func(tx models.DB) error {
		mails.clear()
		user.ID = 0
		return s.register(tx, &user, mails, notice)
	})
	if err != nil {
		if notice {
			s.limits.giveBack(ctx, MailAddressTaken, user.EmailKey)
		}
		return UserView{}, "", s.takenFields(ctx, err, user, s.outbox.Sends())
	}
	mails.committed(ctx)
	s.events.record(ctx, "registered", user.ID)
	token := ""
	if !s.outbox.Sends() {
		token, err = s.tokens.Activation(user, false)
	}
	return UserView{User: user, Private: true}, token, err
}

// register writes the account, or what passes for it to a caller who must not
// learn that the address has one, and, where notice says so, to its owner.
func (s *AccountService) register(tx models.DB, user *models.User, mails *post, notice bool) error {
	if err := models.NameReserved(tx, user.UsernameKey); err != nil {
		return err
	}
	owner, err := models.UserByEmailKey(tx, user.EmailKey)
	switch {
	case err == nil && s.outbox.Sends():
		decoy := *user
		decoy.EmailKey = "decoy/" + rand.Text()
		if err := models.CreateDecoy(tx, &decoy); err != nil {
			return err
		}
		user.ID, user.Version = decoy.ID, decoy.Version
		if !notice {
			return mails.addNothing(tx)
		}
		return s.tellOwner(tx, owner, mails)
	case err == nil:
		return models.ErrDuplicate
	case !errors.Is(err, models.ErrNotFound):
		return err
	}
	if err := models.CreateUser(tx, user); err != nil {
		return err
	}
	return mails.add(tx, MailActivation, user.ID, "")
}

// tellOwner writes to whoever owns an address that somebody registered with
// again. Where the account still waits for its confirmation, either may be the
// owner; the password of the first and its link are good for nothing from here
// on, so that nobody confirms an account to which a stranger has the password.
func (s *AccountService) tellOwner(tx models.DB, owner models.User, mails *post) error {
	if owner.Pending() {
		s.setPassword(&owner, "")
		if err := models.UpdateUser(tx, &owner); err != nil {
			return err
		}
	}
	return mails.add(tx, MailAddressTaken, owner.ID, "")
}

// CreateSuperuser makes an active staff account. It is for the command line
// and fails as Register does.
func (s *AccountService) CreateSuperuser(ctx context.Context, in NewAccount) (models.User, error) {
	in.Active, in.Staff = true, true
	user, err := s.create(ctx, in, func(models.DB) error { return nil })
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

// create makes an account; the owner of one that is not active is sent the link
// that confirms it.
// authorize is asked within the transaction.
func (s *AccountService) create(ctx context.Context, in NewAccount, authorize func(tx models.DB) error) (models.User, error) {
	user, err := s.prepare(in)
	if err != nil {
		return models.User{}, err
	}
	// Outside the transaction: other writes must not wait for a hash.
	if user.PasswordHash, err = s.passwords.Hash(ctx, in.Password); err != nil {
		return models.User{}, err
	}
	mails := s.outbox.post()
	err = s.store.Write(ctx, func(tx models.DB) error {
		mails.clear()
		user.ID = 0
		if err := authorize(tx); err != nil {
			return err
		}
		if err := models.ReleaseName(tx, user.UsernameKey); err != nil { // nobody holds it
			return err
		}
		if err := models.CreateUser(tx, &user); err != nil || in.Active {
			return err
		}
		return mails.add(tx, MailActivation, user.ID, "")
	})
	if err == nil {
		mails.committed(ctx)
	}
	return user, s.takenFields(ctx, err, user, false)
}

// takenFields says which of an account's names is the duplicate, but not that an
// address is, where that is a secret. The database decides that one is; looking
// first would leave a gap for a second request.
func (s *AccountService) takenFields(ctx context.Context, err error, u models.User, secret bool) error {
	if !errors.Is(err, models.ErrDuplicate) {
		return err
	}
	username, email, lookupErr := models.TakenNames(s.store.Read(ctx), u.UsernameKey, u.EmailKey, u.ID)
	if lookupErr != nil {
		return lookupErr
	}
	fields := Fields{}
	if username {
		fields.Add("username", "A user with that username already exists.")
	}
	if email && !secret {
		fields.Add("email", "A user with that email already exists.")
	}
	if len(fields) == 0 { // the other account went away in between, or was never kept
		return (&Error{Code: CodeBusy, Message: "Another request uses this name or address right now. Try again.", RetryAfter: time.Second}).Because(err)
	}
	return fields.Err(invalidUser)
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
