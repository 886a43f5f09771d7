package models

import (
	"database/sql"
	"fmt"
)

// Session is a row of sessions: one login, and the generation of the only
// refresh token that still renews it. Times are stored as Micros gives them.
type Session struct {
	ID         int64
	UserID     int64
	Generation int64
	CreatedAt  int64 `gorm:"autoCreateTime:false"`
	RotatedAt  int64
	LastUsedAt int64
	ExpiresAt  int64
	RevokedAt  sql.NullInt64
	UserAgent  string
	Address    string
	Mode       string // how its tokens are carried
}

// Live reports whether the session can still be used at a moment.
func (s Session) Live(now int64) bool { return !s.RevokedAt.Valid && now < s.ExpiresAt }

// SessionUser gives a session together with its account, or ErrNotFound. Of
// both it fills only what a signed-in request is checked against and tokens are
// made from: neither is fit to be written back.
func SessionUser(db DB, sessionID int64) (Session, User, error) {
	s := Session{ID: sessionID}
	var u User
	const columns, from = `SELECT s.user_id, s.generation, s.rotated_at, s.expires_at, s.revoked_at, s.mode,
		u.id, u.username, u.is_staff, u.permissions, u.activated_at, u.disabled_at, `,
		` FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ` + boundInteger
	query := columns + "NULL" + from
	if db.replicated {
		query = columns + wroteAgo + from
	}
	err := first(db, func(rows row) error {
		return rows.Scan(&s.UserID, &s.Generation, &s.RotatedAt, &s.ExpiresAt, &s.RevokedAt, &s.Mode,
			&u.ID, &u.Username, &u.IsStaff, &u.Permissions, &u.ActivatedAt, &u.DisabledAt, &u.WroteAgo)
	}, query, sessionID)
	return s, u, err
}

// LoginAddresses gives where an account signed in from: its sessions, and the
// logins that are kept among its events.
func LoginAddresses(db DB, userID int64) ([]string, error) {
	var addresses []string
	err := few(db, func(rows row) error {
		var address string
		if err := rows.Scan(&address); err != nil {
			return err
		}
		addresses = append(addresses, address)
		return nil
	}, "SELECT address FROM sessions WHERE user_id = ? UNION SELECT address FROM security_events WHERE user_id = ? AND event = ?",
		userID, userID, LoginEvent)
	return addresses, err
}

// CreateSession inserts the session and sets its ID. The account's sessions
// that are over are removed, and of the live ones all but the keep-1 used last.
func CreateSession(tx DB, s *Session, keep int) error {
	err := tx.exec(`DELETE FROM sessions WHERE user_id = ? AND (revoked_at IS NOT NULL OR expires_at <= ?
		OR id NOT IN (SELECT id FROM sessions WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ?
			ORDER BY last_used_at DESC, id DESC LIMIT ?))`,
		s.UserID, s.CreatedAt, s.UserID, s.CreatedAt, keep-1)
	if err != nil {
		return fmt.Errorf("prune sessions: %w", err)
	}
	if err := tx.gorm().Create(s).Error; err != nil {
		return fmt.Errorf("create session: %w", translate(err))
	}
	return nil
}

// RotateSession moves a live session on from a generation and reports whether
// it was this call that did.
func RotateSession(tx DB, id, generation, now int64) (bool, error) {
	n, err := tx.execCount(`UPDATE sessions SET generation = generation + 1, rotated_at = ?, last_used_at = ?
		WHERE id = ? AND generation = ? AND revoked_at IS NULL`, now, now, id, generation)
	return n == 1, err
}

// RevokeSession ends a session and reports whether it was live until then.
func RevokeSession(tx DB, id, now int64) (bool, error) {
	n, err := tx.execCount("UPDATE sessions SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", now, id)
	return n == 1, err
}

// RevokeSessionsOf ends all sessions of an account but one, or all where that
// is 0, and returns how many.
func RevokeSessionsOf(tx DB, userID, but, now int64) (int64, error) {
	return tx.execCount("UPDATE sessions SET revoked_at = ? WHERE user_id = ? AND id <> ? AND revoked_at IS NULL", now, userID, but)
}

// LiveSessionsOf lists the sessions of an account that can still be used, the
// one used last first.
func LiveSessionsOf(db DB, userID, now int64) ([]Session, error) {
	list := []Session{}
	err := db.gorm().Where("user_id = ? AND revoked_at IS NULL AND expires_at > ?", userID, now).
		Order("last_used_at DESC, id DESC").Find(&list).Error
	return list, translate(err)
}

// SessionByID gives a session, or ErrNotFound.
func SessionByID(db DB, id int64) (Session, error) {
	var s Session
	err := db.gorm().Where("id = ?", id).Take(&s).Error
	return s, translate(err)
}
