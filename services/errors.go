// Package services holds the rules: who may do what, what makes a valid
// account or task, how tokens and sessions live and die. Transactions start
// here. It knows nothing of HTTP.
package services

import (
	"context"
	"errors"
	"time"

	"dueto/models"
)

// Code is a stable word for a kind of failure, for programs to switch on.
type Code string

// The codes that clients meet. One table in middleware turns them into statuses.
const (
	CodeInvalid          Code = "invalid"
	CodeMalformed        Code = "malformed"
	CodeNotAuthenticated Code = "not_authenticated"
	CodeTokenNotValid    Code = "token_not_valid"
	CodeTokenExpired     Code = "token_expired"
	CodeUserInactive     Code = "user_inactive"
	CodeNoActiveAccount  Code = "no_active_account"
	CodePermissionDenied Code = "permission_denied"
	CodeNotFound         Code = "not_found"
	CodeMethodNotAllowed Code = "method_not_allowed"
	CodeAlreadyActive    Code = "already_active"
	CodeConflict         Code = "conflict"
	CodeCSRF             Code = "csrf_failed"
	CodePrecondition     Code = "precondition_failed"
	CodeTooLarge         Code = "too_large"
	CodeUnsupportedMedia Code = "unsupported_media_type"
	CodeThrottled        Code = "throttled"
	CodeBusy             Code = "busy"
	CodeStorage          Code = "storage_unavailable"
	CodeTimeout          Code = "timeout"
	CodeInternal         Code = "internal"
)

// Error is a failure that a client may be told of: Message and Fields are
// public, the cause is for the log. An error of any other type is a defect and
// told to nobody.
type Error struct {
	Code    Code
	Message string
	// Fields says what is wrong with which member or parameter.
	Fields Fields
	// RetryAfter is how long to wait before trying again, if that may help.
	RetryAfter time.Duration
	cause      error
}

// Error gives the public message and the private cause.
func (e *Error) Error() string {
	if e.cause == nil {
		return string(e.Code) + ": " + e.Message
	}
	return string(e.Code) + ": " + e.Message + ": " + e.cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Because returns a copy of e with a cause for the log.
func (e *Error) Because(cause error) *Error {
	copied := *e
	copied.cause = cause
	return &copied
}

// NewError makes a failure with a code and a public message.
func NewError(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// Fields collects what is wrong with each member of an input.
type Fields map[string][]string

// maxComplaints keeps an answer shorter than a request full of mistakes.
const maxComplaints = 50

// Full reports whether there are as many complaints as are answered.
func (f Fields) Full() bool { return len(f) >= maxComplaints }

// Add notes one more complaint about a member, unless there are enough.
func (f Fields) Add(name, complaint string) {
	list, known := f[name]
	if (known || !f.Full()) && len(list) < maxComplaints {
		f[name] = append(list, complaint)
	}
}

// Err gives nil where nothing is wrong, else a CodeInvalid failure of all complaints.
func (f Fields) Err(message string) error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Message: message, Fields: f}
}

// FieldError is a CodeInvalid failure with a single complaint.
func FieldError(message, name, complaint string) error {
	return Fields{name: {complaint}}.Err(message)
}

// The failures that more than one place returns. The texts are Django REST
// Framework's and drf-jwt's, which clients know.
var (
	ErrNotAuthenticated = NewError(CodeNotAuthenticated, "Authentication credentials were not provided.")
	ErrTokenNotValid    = NewError(CodeTokenNotValid, "Error decoding signature.")
	ErrTokenExpired     = NewError(CodeTokenExpired, "Signature has expired.")
	ErrUserInactive     = NewError(CodeUserInactive, "User inactive or deleted.")
	ErrNoActiveAccount  = NewError(CodeNoActiveAccount, "No active account found with the given credentials")
	ErrPermissionDenied = NewError(CodePermissionDenied, "You do not have permission to perform this action.")
	ErrNotFound         = NewError(CodeNotFound, "Not found.")
	ErrAlreadyActive    = NewError(CodeAlreadyActive, "This account is already active.")
	ErrCSRF             = NewError(CodeCSRF, "CSRF Failed: CSRF token missing or incorrect.")
	ErrPrecondition     = NewError(CodePrecondition, "It has changed since you read it. Read it again, then repeat the change.")
)

// Public gives what a client may be told of any error: the failure that it is,
// or one that tells nothing, with err as its cause.
func Public(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, models.ErrUndecided):
		return (&Error{
			Code: CodeStorage, Message: "The storage went away while this was being kept. Look whether it was before you try again.", RetryAfter: 5 * time.Second,
		}).Because(err)
	case errors.Is(err, models.ErrUnavailable), errors.Is(err, models.ErrCorrupt):
		return (&Error{
			Code: CodeStorage, Message: "The storage cannot do this now. Nothing was changed.", RetryAfter: 5 * time.Second,
		}).Because(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return (&Error{
			Code: CodeTimeout, Message: "This took too long. Nothing was changed.", RetryAfter: time.Second,
		}).Because(err)
	default:
		return NewError(CodeInternal, "Something went wrong on the server.").Because(err)
	}
}
