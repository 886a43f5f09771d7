package models

import (
	"database/sql"
	"fmt"
)

// APIToken is a row of api_tokens. Times are stored as Micros gives them.
type APIToken struct {
	ID       int64
	UserID   int64
	Name     string
	KeyHash  string // SHA-256 of the key, in hexadecimal
	LastFour string
	// Permissions is a JSON array of the words that the token is limited to;
	// NULL is no limit.
	Permissions sql.NullString
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	ExpiresAt   sql.NullInt64
	LastUsedAt  sql.NullInt64
}

// TableName tells gorm the table, which it would spell otherwise.
func (APIToken) TableName() string { return "api_tokens" }

// APITokenUser gives the token with that hash together with its account, or
// ErrNotFound. Of the account it fills what SessionUser does.
func APITokenUser(db DB, keyHash string) (APIToken, User, error) {
	t := APIToken{KeyHash: keyHash}
	var u User
	const columns, from = `SELECT t.id, t.user_id, t.permissions, t.expires_at, t.last_used_at,
		u.id, u.username, u.is_staff, u.permissions, u.activated_at, u.disabled_at, `,
		` FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE t.key_hash = ` + boundText
	query := columns + "NULL" + from
	if db.replicated {
		query = columns + wroteAgo + from
	}
	err := first(db, func(rows row) error {
		return rows.Scan(&t.ID, &t.UserID, &t.Permissions, &t.ExpiresAt, &t.LastUsedAt,
			&u.ID, &u.Username, &u.IsStaff, &u.Permissions, &u.ActivatedAt, &u.DisabledAt, &u.WroteAgo)
	}, query, keyHash)
	return t, u, err
}

// CreateAPIToken inserts the token and sets its ID, unless the account has as
// many as it may, which created tells.
func CreateAPIToken(tx DB, t *APIToken, most int) (created bool, err error) {
	n, err := scalar(tx, "SELECT count(*) FROM api_tokens WHERE user_id = ?", t.UserID)
	if err != nil || n >= int64(most) {
		return false, err
	}
	if err := tx.gorm().Create(t).Error; err != nil {
		return false, fmt.Errorf("create API token: %w", translate(err))
	}
	return true, nil
}

// APITokensOf lists the tokens of an account, oldest first; 0 means of all
// accounts.
func APITokensOf(db DB, userID int64) ([]APIToken, error) {
	list := []APIToken{}
	q := db.gorm().Order("id")
	if userID != 0 {
		q = q.Where("user_id = ?", userID)
	}
	return list, translate(q.Find(&list).Error)
}

// APITokenByID gives a token, or ErrNotFound.
func APITokenByID(db DB, id int64) (APIToken, error) {
	var t APIToken
	err := db.gorm().Where("id = ?", id).Take(&t).Error
	return t, translate(err)
}

// TouchAPIToken notes that a token was used, unless that was noted since a
// moment.
func TouchAPIToken(tx DB, id, now, unlessSince int64) error {
	return tx.exec("UPDATE api_tokens SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at <= ?)", now, id, unlessSince)
}

// DeleteAPIToken removes a token, or fails with ErrNotFound.
func DeleteAPIToken(tx DB, id int64) error {
	return affectedOne(tx.execCount("DELETE FROM api_tokens WHERE id = ?", id))
}

// DeleteAPITokensOf removes the tokens of an account, of one name where that is
// not empty, and returns how many.
func DeleteAPITokensOf(tx DB, userID int64, name string) (int64, error) {
	if name == "" {
		return tx.execCount("DELETE FROM api_tokens WHERE user_id = ?", userID)
	}
	return tx.execCount("DELETE FROM api_tokens WHERE user_id = ? AND name = ?", userID, name)
}
