package models

import (
	"database/sql"
	"fmt"
)

// SecurityEvent is a row of security_events. Times are stored as Micros gives
// them.
type SecurityEvent struct {
	ID        int64
	UserID    int64
	Event     string
	At        int64
	ByID      sql.NullInt64 // who did it, where somebody else did
	SessionID sql.NullInt64
	Address   string
	RequestID string
}

// LoginEvent is the event of a login, from whose address one may sign in again
// whatever others try elsewhere.
const LoginEvent = "login"

const eventColumns = "id, user_id, event, at, by_id, session_id, address, request_id"

// scanEvent follows eventColumns.
var scanEvent = scanner[SecurityEvent]{8, func(e *SecurityEvent, b *rowBuffer) {
	e.ID, e.UserID, e.Event, e.At = b.int64(0), b.int64(1), b.string(2), b.int64(3)
	e.ByID, e.SessionID, e.Address, e.RequestID = b.nullInt64(4), b.nullInt64(5), b.string(6), b.string(7)
}}

// AddSecurityEvent inserts the event, and forgets all but the last so many of
// its kind: of each kind apart, so that a flood of failed logins does not wash
// away the rest. Where there is no such account nothing stays, at the same
// price: how busy the store is afterwards must not tell that there is one.
func AddSecurityEvent(tx DB, e SecurityEvent, keep int) error {
	n, err := tx.execCount(`INSERT INTO security_events (user_id, event, at, by_id, session_id, address, request_id)
		SELECT id, ?, ?, ?, ?, ?, ? FROM users WHERE id = ?`,
		e.Event, e.At, e.ByID, e.SessionID, e.Address, e.RequestID, e.UserID)
	if err != nil {
		return fmt.Errorf("add security event: %w", err)
	}
	if n == 0 {
		return addNoEvent(tx, e)
	}
	return tx.exec(`DELETE FROM security_events WHERE user_id = ? AND event = ? AND id <=
		(SELECT id FROM security_events WHERE user_id = ? AND event = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`,
		e.UserID, e.Event, e.UserID, e.Event, keep)
}

// addNoEvent inserts an event, under any account, and removes it.
func addNoEvent(tx DB, e SecurityEvent) error {
	err := tx.exec(`INSERT INTO security_events (user_id, event, at, by_id, session_id, address, request_id)
		SELECT id, '', ?, ?, ?, ?, ? FROM users ORDER BY id LIMIT 1`, e.At, e.ByID, e.SessionID, e.Address, e.RequestID)
	if err != nil {
		return fmt.Errorf("add no security event: %w", err)
	}
	return tx.exec("DELETE FROM security_events WHERE id = (SELECT max(id) FROM security_events) AND event = ''")
}

var eventSorts = sortColumns[SecurityEvent]{
	"id": column("id", func(e SecurityEvent) any { return e.ID }),
}

// EventPosition gives an event's place in an order, for Page.Position.
func EventPosition(order Order, e SecurityEvent) []any { return eventSorts.position(order, e) }

// ListEvents reads one page of what happened to an account.
func ListEvents(db DB, userID int64, p Page) ([]SecurityEvent, error) {
	q := listQuery{sel: "SELECT " + eventColumns + " FROM security_events"}
	q.filter("user_id = "+boundInteger, userID)
	return list(db, q, eventSorts, p, scanEvent)
}
