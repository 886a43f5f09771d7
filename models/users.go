package models

import (
	"cmp"
	"database/sql"
	"fmt"
	"strings"
)

// User is a row of users. Times are stored as Micros gives them.
type User struct {
	ID           int64
	Username     string
	UsernameKey  string // lower-case form, unique
	Email        string // as typed
	EmailKey     string // canonical form, unique
	PasswordHash string
	IsStaff      bool
	Permissions  string // a JSON array of strings, as it is answered
	TimeZone     string
	DateJoined   int64
	ActivatedAt  sql.NullInt64 // confirmed, by link or by an operator
	DisabledAt   sql.NullInt64 // by an operator
	LastLogin    sql.NullInt64
	// PasswordChangedAt stays when the same password is hashed anew.
	PasswordChangedAt int64
	Version           int64  // counts the changes, from 1
	PendingEmail      string // the next address, until it is confirmed; as typed
	// WroteAgo is how long ago the account asked for a change, in microseconds.
	// Only SessionUser and APITokenUser fill it, where there are replicas.
	WroteAgo sql.NullInt64 `gorm:"-"`
}

// Active reports whether the account may act: confirmed and not deactivated.
func (u User) Active() bool { return u.ActivatedAt.Valid && !u.DisabledAt.Valid }

// Pending reports whether the account waits for its confirmation.
func (u User) Pending() bool { return !u.ActivatedAt.Valid && !u.DisabledAt.Valid }

const userColumns = `id, username, username_key, email, email_key, password_hash, is_staff, permissions,
	time_zone, date_joined, activated_at, disabled_at, last_login, password_changed_at, version, pending_email`

// scanUser follows userColumns.
var scanUser = scanner[User]{16, func(u *User, b *rowBuffer) {
	u.ID, u.Username, u.UsernameKey = b.int64(0), b.string(1), b.string(2)
	u.Email, u.EmailKey, u.PasswordHash = b.string(3), b.string(4), b.string(5)
	u.IsStaff, u.Permissions, u.TimeZone = b.bool(6), b.string(7), b.string(8)
	u.DateJoined, u.ActivatedAt, u.DisabledAt = b.int64(9), b.nullInt64(10), b.nullInt64(11)
	u.LastLogin, u.PasswordChangedAt, u.Version = b.nullInt64(12), b.int64(13), b.int64(14)
	u.PendingEmail = b.string(15)
}}

// UserByID gives the account, or ErrNotFound.
func UserByID(db DB, id int64) (User, error) { return userWhere(db, "id = ?", id) }

// UserByUsernameKey gives the account with that lower-case name, or ErrNotFound.
func UserByUsernameKey(db DB, key string) (User, error) {
	return userWhere(db, "username_key = ?", key)
}

// UserByEmailKey gives the account with that canonical address, or ErrNotFound.
func UserByEmailKey(db DB, key string) (User, error) { return userWhere(db, "email_key = ?", key) }

func userWhere(db DB, condition string, arg any) (User, error) {
	return one(db, scanUser, "SELECT "+userColumns+" FROM users WHERE "+condition, arg)
}

// UserByLogin gives the account that a login name means, or ErrNotFound. Where
// one account has it as its name and another as its address, a confirmed
// address comes first.
func UserByLogin(db DB, usernameKey, emailKey string) (User, error) {
	// Past the mapper, of which a look-up that finds nothing takes less: with
	// enough logins one could tell.
	found, err := all(db, scanUser, "SELECT "+userColumns+" FROM users WHERE username_key = ? OR email_key = ?", usernameKey, emailKey)
	if err != nil {
		return User{}, err
	}
	var byName, byPendingEmail *User
	for i, u := range found {
		switch {
		case u.EmailKey == emailKey && u.ActivatedAt.Valid:
			return u, nil
		case u.UsernameKey == usernameKey:
			byName = &found[i]
		default:
			byPendingEmail = &found[i]
		}
	}
	if u := cmp.Or(byName, byPendingEmail); u != nil {
		return *u, nil
	}
	return User{}, ErrNotFound
}

// CreateUser inserts the account and sets its ID and Version. It fails with
// ErrDuplicate when the name or the address is taken; see TakenNames.
func CreateUser(tx DB, u *User) error {
	u.Version = 1
	if err := tx.gorm().Create(u).Error; err != nil {
		return fmt.Errorf("create user: %w", translate(err))
	}
	return nil
}

// CreateDecoy does what CreateUser does, at the same price, for a name whose
// address has an account: all that stays is the name, taken for good.
func CreateDecoy(tx DB, u *User) error {
	if err := CreateUser(tx, u); err != nil {
		return err
	}
	if err := tx.exec("DELETE FROM users WHERE id = ?", u.ID); err != nil {
		return fmt.Errorf("remove decoy: %w", err)
	}
	return tx.exec("INSERT INTO reserved_names (username_key, reserved_at) VALUES (?, ?)", u.UsernameKey, u.DateJoined)
}

// ReleaseName lets a name be taken that a decoy holds.
func ReleaseName(tx DB, usernameKey string) error {
	return tx.exec("DELETE FROM reserved_names WHERE username_key = ?", usernameKey)
}

// NameReserved fails with ErrDuplicate where the name was taken, by an account as
// by a decoy: PostgreSQL gives a number to a row that it then refuses, and who
// counts on would see which of the two it was.
func NameReserved(tx DB, usernameKey string) error {
	n, err := scalar(tx, `SELECT (SELECT count(*) FROM reserved_names WHERE username_key = ?)
		+ (SELECT count(*) FROM users WHERE username_key = ?)`, usernameKey, usernameKey)
	if err == nil && n > 0 {
		return ErrDuplicate
	}
	return err
}

// TakenNames tells which of the two another account than except holds.
func TakenNames(db DB, usernameKey, emailKey string, except int64) (username, email bool, err error) {
	err = each(db, func(rows row) error {
		var name, address string
		if err := rows.Scan(&name, &address); err != nil {
			return err
		}
		username = username || name == usernameKey
		email = email || address == emailKey
		return nil
	}, `SELECT username_key, email_key FROM users WHERE (username_key = ? OR email_key = ?) AND id <> ?
		UNION ALL SELECT username_key, '' FROM reserved_names WHERE username_key = ?`,
		usernameKey, emailKey, except, usernameKey)
	return username, email, err
}

// UpdateUser writes all the changeable columns and counts the version up. It
// fails with ErrNotFound or ErrDuplicate.
func UpdateUser(tx DB, u *User) error {
	u.Version++
	res := tx.gorm().Select("username", "username_key", "email", "email_key", "password_hash", "is_staff", "permissions",
		"time_zone", "activated_at", "disabled_at", "last_login", "password_changed_at", "version", "pending_email").Updates(u)
	if err := affectedOne(res.RowsAffected, translate(res.Error)); err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	return nil
}

// DeleteUser removes the account and its sessions; its tasks stay, without it,
// which is a change to them.
func DeleteUser(tx DB, id, now int64) error {
	if err := tx.takeTime(); err != nil {
		return err
	}
	err := tx.exec(`UPDATE tasks SET person_id = CASE WHEN person_id = ? THEN NULL ELSE person_id END,
		created_by = CASE WHEN created_by = ? THEN NULL ELSE created_by END, updated_at = ?, version = version + 1
		WHERE person_id = ? OR created_by = ?`, id, id, now, id, id)
	if err != nil {
		return fmt.Errorf("leave the tasks of a user: %w", err)
	}
	if err := affectedOne(tx.execCount("DELETE FROM users WHERE id = ?", id)); err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	return nil
}

// placeholders gives n parameters, comma-separated.
func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }
