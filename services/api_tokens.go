package services

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dueto/models"
)

const (
	// apiKeyPrefix tells people and scanners for leaked secrets what a key is.
	apiKeyPrefix = "dueto_"
	// APITokenTTL is how long an API token lasts that does not say.
	APITokenTTL = 90 * 24 * time.Hour
	// maxAPITokens is how many an account can have.
	maxAPITokens = 100
	// apiTokenUse is how exactly the last use of a token is noted: reads must not
	// each become a write.
	apiTokenUse = time.Minute
)

var keyEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newAPIKey makes a key: the prefix, 256 random bits, and a checksum of both, so
// that a key cut short or mistyped is told from one that is not known.
func newAPIKey() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	body := apiKeyPrefix + keyEncoding.EncodeToString(random)
	return body + apiKeyChecksum(body)
}

func apiKeyChecksum(body string) string {
	return keyEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

// apiKeyWellFormed reports whether a key can be one of ours.
func apiKeyWellFormed(key string) bool {
	at := len(apiKeyPrefix) + keyEncoding.EncodedLen(32)
	return len(key) > at && key[at:] == apiKeyChecksum(key[:at])
}

// hashAPIKey gives the form in which a key is stored. It needs no salt and no
// price: nobody can guess 256 random bits.
func hashAPIKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// APITokenService makes, lists and revokes API tokens, for programs that act
// for an account, and tells who they are.
type APITokenService struct {
	store    *models.Store
	deferred *Deferred
	events   *Events
	now      func() time.Time
}

// NewAPITokenService makes the service; now is the clock.
func NewAPITokenService(store *models.Store, deferred *Deferred, events *Events, now func() time.Time) *APITokenService {
	return &APITokenService{store: store, deferred: deferred, events: events, now: now}
}

// NewAPIToken is what an API token is made from.
type NewAPIToken struct {
	Name string
	// Permissions are the words that the token is limited to; nil is no limit.
	Permissions *[]string
	// ExpiresAt is when it ends. Not set is in APITokenTTL, nil is never.
	ExpiresAt Change[*time.Time]
}

// CheckNew reports what Create would fail with but for the number of tokens.
func (s *APITokenService) CheckNew(in NewAPIToken) error {
	_, err := s.prepare(in)
	return err
}

func (s *APITokenService) prepare(in NewAPIToken) (models.APIToken, error) {
	fields := Fields{}
	now := s.now()
	t := models.APIToken{Name: strings.TrimSpace(in.Name), CreatedAt: models.Micros(now)}
	switch {
	case t.Name == "":
		fields.Add("name", "This field may not be blank.")
	case utf8.RuneCountInString(t.Name) > 100:
		fields.Add("name", "Ensure this field has no more than 100 characters.")
	case !utf8.ValidString(t.Name): // from the command line; PostgreSQL keeps no such text
		fields.Add("name", "This is not valid text.")
	case strings.ContainsFunc(t.Name, unicode.IsControl):
		fields.Add("name", "A name must not contain control characters.")
	}
	if in.Permissions != nil {
		t.Permissions = sql.NullString{String: jsonList(checkPermissions(fields, *in.Permissions)), Valid: true}
	}
	switch until := in.ExpiresAt.To; {
	case !in.ExpiresAt.Set:
		t.ExpiresAt = models.NullMicros(new(now.Add(APITokenTTL)))
	case until != nil && !until.After(now):
		fields.Add("expires_at", "Enter a time that is yet to come.")
	default:
		t.ExpiresAt = models.NullMicros(until)
	}
	return t, fields.Err("The token is not valid.")
}

// Create makes a token for the actor's account and gives its key, which is
// nowhere to be seen again. It fails with CodeInvalid, or CodeConflict where the
// account has too many.
func (s *APITokenService) Create(ctx context.Context, actor Actor, in NewAPIToken) (models.APIToken, string, error) {
	if !actor.Authenticated() {
		return models.APIToken{}, "", ErrNotAuthenticated
	}
	return s.create(ctx, actor.UserID, in, false, func(tx models.DB) error {
		_, err := actor.standing(tx, models.Micros(s.now()))
		return err
	})
}

// CreateByName makes a token for an account, in place of those of the same name
// where reset is set. It is for the command line and fails with CodeNotFound
// too.
func (s *APITokenService) CreateByName(ctx context.Context, username string, in NewAPIToken, reset bool) (models.APIToken, string, error) {
	user, err := userByName(s.store.Read(ctx), username)
	if err != nil {
		return models.APIToken{}, "", err
	}
	return s.create(ctx, user.ID, in, reset, func(models.DB) error { return nil })
}

// create makes a token; authorize is asked within the transaction.
func (s *APITokenService) create(
	ctx context.Context, userID int64, in NewAPIToken, reset bool, authorize func(tx models.DB) error,
) (models.APIToken, string, error) {
	t, err := s.prepare(in)
	if err != nil {
		return t, "", err
	}
	key := newAPIKey()
	t.UserID, t.KeyHash, t.LastFour = userID, hashAPIKey(key), key[len(key)-4:]
	err = s.store.Write(ctx, func(tx models.DB) error {
		t.ID = 0
		if err := authorize(tx); err != nil {
			return err
		}
		if reset {
			if _, err := models.DeleteAPITokensOf(tx, userID, t.Name); err != nil {
				return err
			}
		}
		created, err := models.CreateAPIToken(tx, &t, maxAPITokens)
		if err == nil && !created {
			return NewError(CodeConflict, "There are 100 API tokens already. Revoke one first.")
		}
		return err
	})
	if err != nil {
		return models.APIToken{}, "", err
	}
	s.events.record(ctx, "API token created", userID, "token_id", t.ID)
	return t, key, nil
}

// List gives the tokens of the actor's account, oldest first.
func (s *APITokenService) List(ctx context.Context, actor Actor) ([]models.APIToken, error) {
	if !actor.Authenticated() {
		return nil, ErrNotAuthenticated
	}
	s.deferred.settle(ctx)
	return models.APITokensOf(s.store.Read(ctx), actor.UserID)
}

// ListByName gives the tokens of an account, or of all for an empty name. It is
// for the command line and fails with CodeNotFound.
func (s *APITokenService) ListByName(ctx context.Context, username string) ([]models.APIToken, error) {
	db := s.store.Read(ctx)
	if username == "" {
		return models.APITokensOf(db, 0)
	}
	user, err := userByName(db, username)
	if err != nil {
		return nil, err
	}
	return models.APITokensOf(db, user.ID)
}

// Get gives a token of the actor's account, or fails with CodeNotFound.
func (s *APITokenService) Get(ctx context.Context, actor Actor, id int64) (models.APIToken, error) {
	s.deferred.settle(ctx)
	return s.own(s.store.Read(ctx), actor, id)
}

func (s *APITokenService) own(db models.DB, actor Actor, id int64) (models.APIToken, error) {
	t, err := models.APITokenByID(db, id)
	if errors.Is(err, models.ErrNotFound) || (err == nil && t.UserID != actor.UserID) {
		return models.APIToken{}, ErrNotFound
	}
	return t, err
}

// Revoke ends a token of the actor's account, or fails with CodeNotFound.
func (s *APITokenService) Revoke(ctx context.Context, actor Actor, id int64) error {
	return s.revoke(ctx, id, func(tx models.DB) (models.APIToken, error) { return s.own(tx, actor, id) })
}

// RevokeByID ends any token. It is for the command line and fails with
// CodeNotFound.
func (s *APITokenService) RevokeByID(ctx context.Context, id int64) error {
	return s.revoke(ctx, id, func(tx models.DB) (models.APIToken, error) {
		t, err := models.APITokenByID(tx, id)
		if errors.Is(err, models.ErrNotFound) {
			return t, NewError(CodeNotFound, fmt.Sprintf("There is no API token %d.", id))
		}
		return t, err
	})
}

func (s *APITokenService) revoke(ctx context.Context, id int64, find func(models.DB) (models.APIToken, error)) error {
	var t models.APIToken
	err := s.store.Write(ctx, func(tx models.DB) (err error) {
		if t, err = find(tx); err != nil {
			return err
		}
		return models.DeleteAPIToken(tx, id)
	})
	if err == nil {
		s.events.record(ctx, "API token revoked", t.UserID, "token_id", id)
	}
	return err
}

// authenticate tells whom a key speaks for, and notes that it was used.
func (s *APITokenService) authenticate(ctx context.Context, key string) (Actor, error) {
	if !apiKeyWellFormed(key) {
		return Actor{}, ErrTokenNotValid
	}
	t, user, err := models.APITokenUser(s.store.Read(ctx), hashAPIKey(key))
	now := models.Micros(s.now())
	switch {
	case errors.Is(err, models.ErrNotFound):
		return Actor{}, ErrTokenNotValid
	case err != nil:
		return Actor{}, err
	case !user.Active():
		return Actor{}, ErrUserInactive
	case t.ExpiresAt.Valid && t.ExpiresAt.Int64 <= now:
		return Actor{}, ErrTokenExpired
	}
	if since := now - apiTokenUse.Microseconds(); !t.LastUsedAt.Valid || t.LastUsedAt.Int64 <= since {
		// Nobody who reads waits for a store that is busy or takes no writes.
		s.deferred.add(func(tx models.DB) error { return models.TouchAPIToken(tx, t.ID, now, since) })
	}
	return actorOfToken(user, t), nil
}
