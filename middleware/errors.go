// Package middleware is what every request passes on its way to a handler: its
// id, the log, recovery, errors, limits, who is asking, and whether they may.
package middleware

import (
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// statuses is the only table from codes to HTTP statuses.
var statuses = map[services.Code]int{
	services.CodeInvalid:          http.StatusBadRequest,
	services.CodeMalformed:        http.StatusBadRequest,
	services.CodeNotAuthenticated: http.StatusUnauthorized,
	services.CodeTokenNotValid:    http.StatusUnauthorized,
	services.CodeTokenExpired:     http.StatusUnauthorized,
	services.CodeUserInactive:     http.StatusUnauthorized,
	services.CodeNoActiveAccount:  http.StatusUnauthorized,
	services.CodePermissionDenied: http.StatusForbidden,
	services.CodeNotFound:         http.StatusNotFound,
	services.CodeMethodNotAllowed: http.StatusMethodNotAllowed,
	services.CodeAlreadyActive:    http.StatusConflict,
	services.CodePrecondition:     http.StatusPreconditionFailed,
	services.CodeTooLarge:         http.StatusRequestEntityTooLarge,
	services.CodeUnsupportedMedia: http.StatusUnsupportedMediaType,
	services.CodeBusy:             http.StatusServiceUnavailable,
	services.CodeStorage:          http.StatusServiceUnavailable,
	services.CodeTimeout:          http.StatusServiceUnavailable,
	services.CodeInternal:         http.StatusInternalServerError,
}

// Problem is the body of every error: RFC 9457's members, and those that
// clients of Django REST Framework look for.
type Problem struct {
	Type      string          `json:"type"`
	Title     string          `json:"title"`
	Status    int             `json:"status"`
	Detail    string          `json:"detail"`
	Code      services.Code   `json:"code"`
	Errors    services.Fields `json:"errors,omitempty"`
	RequestID string          `json:"request_id"`
}

// Errors renders what the handlers behind it fail with.
func Errors(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Next()
		if last := c.Errors.Last(); last != nil && !c.Writer.Written() {
			render(c, log, last.Err)
		}
	}
}

// render writes an error's answer, and logs the cause where it is ours.
func render(c *gin.Context, log *slog.Logger, err error) {
	public := services.Public(err)
	h := c.Writer.Header()
	status := ErrorHeaders(h, public)
	requestID := services.RequestID(c.Request.Context())
	if status >= http.StatusInternalServerError {
		log.Error("request failed", "request_id", requestID, "route", c.FullPath(), "code", public.Code, "error", public.Error())
	}
	body, _ := json.Marshal(Problem{ // of strings and a number: cannot fail
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: public.Message, Code: public.Code, Errors: public.Fields, RequestID: requestID,
	})
	body = append(body, '\n')
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.Writer.WriteHeader(status)
	_, _ = c.Writer.Write(body)
}

// ErrorHeaders sets the headers that an error's answer has whatever its body
// looks like, and gives its status.
func ErrorHeaders(h http.Header, err *services.Error) (status int) {
	status, ok := statuses[err.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge(err))
	}
	if err.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(err.RetryAfter.Seconds()))))
	}
	return status
}

// challenge gives the WWW-Authenticate field of a 401 (RFC 6750, section 3): a
// token that was sent and refused is told from one that was not sent.
func challenge(err *services.Error) string {
	const realm = `Bearer realm="dueto"`
	switch err.Code {
	case services.CodeTokenNotValid, services.CodeTokenExpired, services.CodeUserInactive:
		return realm + `, error="invalid_token", error_description="` + err.Message + `"`
	default:
		return realm
	}
}

// NoRoute answers a path that there is none of.
func NoRoute(c *gin.Context) { _ = c.Error(services.ErrNotFound) }

// NoMethod answers a method that the path does not have; the router has set Allow.
func NoMethod(c *gin.Context) {
	_ = c.Error(services.NewError(services.CodeMethodNotAllowed, `Method "`+printable(c.Request.Method)+`" not allowed.`))
}

// printable cuts a method name that a client made up.
func printable(method string) string {
	if len(method) > 20 {
		return method[:20] + "..."
	}
	return method
}
