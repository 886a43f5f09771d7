package models

import (
	"database/sql"
	"errors"
	"fmt"
)

// The states of a message.
const (
	MessageWaiting = "waiting"
	MessageSent    = "sent"
	MessageFailed  = "failed"  // refused for good, or tried for too long
	MessageDropped = "dropped" // there was nothing left to say
)

// Message is a row of outbox. Times are stored as Micros gives them.
type Message struct {
	ID            int64
	Kind          string
	UserID        sql.NullInt64
	Address       string // "" is the account's address at the time of sending
	State         string
	Attempts      int64
	CreatedAt     int64 `gorm:"autoCreateTime:false"`
	NextAttemptAt int64
	FinishedAt    sql.NullInt64
	LastError     string
}

// TableName tells gorm the table.
func (Message) TableName() string { return "outbox" }

// AddMessage inserts a message that waits to be sent, and sets its ID.
func AddMessage(tx DB, m *Message) error {
	m.State, m.NextAttemptAt = MessageWaiting, m.CreatedAt
	if err := tx.gorm().Create(m).Error; err != nil {
		return fmt.Errorf("add message: %w", translate(err))
	}
	return nil
}

// AddNoMessage does what AddMessage does, at the same price, and leaves nothing:
// how long a request takes must not tell whether there is somebody to write to.
func AddNoMessage(tx DB, now int64) error {
	m := Message{Kind: "none", CreatedAt: now}
	if err := AddMessage(tx, &m); err != nil {
		return err
	}
	return tx.exec("DELETE FROM outbox WHERE id = ?", m.ID)
}

// ClaimMessage gives the message that has waited longest of those that are due,
// and keeps it from other senders until a moment. It fails with ErrNotFound
// where none is due.
func ClaimMessage(tx DB, now, until int64) (Message, error) {
	var m Message
	err := tx.gorm().Where("state = 'waiting' AND next_attempt_at <= ?", now).Order("next_attempt_at, id").Take(&m).Error
	if err != nil {
		return Message{}, translate(err)
	}
	m.Attempts++
	m.NextAttemptAt = until
	err = tx.exec("UPDATE outbox SET attempts = ?, next_attempt_at = ? WHERE id = ?", m.Attempts, m.NextAttemptAt, m.ID)
	return m, err
}

// PostponeMessage has a message tried again at a moment.
func PostponeMessage(tx DB, id, at int64, reason string) error {
	return tx.exec("UPDATE outbox SET next_attempt_at = ?, last_error = ? WHERE id = ? AND state = 'waiting'", at, reason, id)
}

// FinishMessage ends a message in a state other than waiting.
func FinishMessage(tx DB, id int64, state, reason string, now int64) error {
	return tx.exec("UPDATE outbox SET state = ?, last_error = ?, finished_at = ? WHERE id = ?", state, reason, now, id)
}

// NextMessageAt tells when the next message is due; found is whether one waits.
func NextMessageAt(db DB) (at int64, found bool, err error) {
	at, err = scalar(db, "SELECT next_attempt_at FROM outbox WHERE state = 'waiting' ORDER BY next_attempt_at LIMIT 1")
	if errors.Is(err, ErrNotFound) {
		return 0, false, nil
	}
	return at, err == nil, err
}

// TidyMessages gives up the messages that wait since before a moment, and
// forgets those that were finished before another.
func TidyMessages(tx DB, now, waitingSince, finishedBefore int64) error {
	err := tx.exec(`UPDATE outbox SET state = 'failed', finished_at = ?,
		last_error = trim('waited for too long; ' || last_error, '; ') WHERE state = 'waiting' AND created_at < ?`, now, waitingSince)
	if err != nil {
		return err
	}
	return tx.exec("DELETE FROM outbox WHERE finished_at < ?", finishedBefore)
}

// Messages lists the last messages, those that wait first, each newest first.
func Messages(db DB, limit int) ([]Message, error) {
	list := []Message{}
	err := db.gorm().Order("state <> 'waiting', id DESC").Limit(limit).Find(&list).Error
	return list, translate(err)
}

// MessageByID gives a message, or ErrNotFound.
func MessageByID(db DB, id int64) (Message, error) {
	var m Message
	err := db.gorm().Where("id = ?", id).Take(&m).Error
	return m, translate(err)
}
