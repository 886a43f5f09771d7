// Package middleware is what every request passes on its way to a handler: its
// id, the log, recovery, errors, limits, who is asking, and whether they may.
package middleware

import (
	"encoding/json"
	"errors"
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
	services.CodeConflict:         http.StatusConflict,
	services.CodeCSRF:             http.StatusForbidden,
	services.CodePrecondition:     http.StatusPreconditionFailed,
	services.CodeTooLarge:         http.StatusRequestEntityTooLarge,
	services.CodeUnsupportedMedia: http.StatusUnsupportedMediaType,
	services.CodeThrottled:        http.StatusTooManyRequests,
	services.CodeBusy:             http.StatusServiceUnavailable,
	services.CodeStorage:          http.StatusServiceUnavailable,
	services.CodeTimeout:          http.StatusServiceUnavailable,
	services.CodeInternal:         http.StatusInternalServerError,
}

// Status gives the status of a code.
func Status(code services.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// Problem is the body of every error: RFC 9457's members, and those that
// clients of Django REST Framework look for.
type Problem struct {
	Type      string          `json:"type"`
	Title     string          `json:"title" doc:"The status in words."`
	Status    int             `json:"status"`
	Detail    string          `json:"detail" doc:"A sentence for people."`
	Code      services.Code   `json:"code" doc:"A word for programs."`
	Errors    services.Fields `json:"errors,omitempty" doc:"What is wrong with which member or parameter."`
	RequestID string          `json:"request_id" doc:"The same as in X-Request-Id."`
}

// Errors renders what the handlers behind it fail with.
func Errors(log *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Next()
		if last := c.Errors.Last(); last != nil {
			fail(c, log, last.Err)
		}
	}
}

// fail answers with an error. An answer that has begun cannot be taken back:
// its connection is cut, so that no client takes half of it for the whole.
func fail(c *gin.Context, log *slog.Logger, err error) {
	if c.Writer.Written() {
		log.Error("request failed after its answer began", "request_id", services.RequestID(c.Request.Context()),
			"route", c.FullPath(), "error", err.Error())
		panic(http.ErrAbortHandler)
	}
	render(c, log, err)
}

// render writes an error's answer, and logs the cause where it is ours. An
// error that brings a page is shown as one.
func render(c *gin.Context, log *slog.Logger, err error) {
	public := services.Public(err)
	status := Status(public.Code)
	requestID := services.RequestID(c.Request.Context())
	if status >= http.StatusInternalServerError {
		log.Error("request failed", "request_id", requestID, "route", c.FullPath(), "code", public.Code, "error", public.Error())
	}
	h := c.Writer.Header()
	body, ok := page(h, err)
	if !ok {
		h.Set("Content-Type", "application/problem+json")
		body, _ = json.Marshal(Problem{ // of strings and a number: cannot fail
			Type: "about:blank", Title: http.StatusText(status), Status: status,
			Detail: public.Message, Code: public.Code, Errors: public.Fields, RequestID: requestID,
		})
		body = append(body, '\n')
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge(public))
	}
	if public.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(public.RetryAfter.Seconds()))))
	}
	c.Writer.WriteHeader(status)
	_, _ = c.Writer.Write(body)
}

// page gives the page that an error brings, if it does, and sets its headers.
func page(h http.Header, err error) (body []byte, ok bool) {
	var shown interface {
		Page() (page []byte, policy string)
	}
	if !errors.As(err, &shown) {
		return nil, false
	}
	body, policy := shown.Page()
	SetPage(h, policy)
	return body, true
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

// NoRoute answers a path that there is none of, or that does not have the
// method; allow gives a path's methods, or "".
func NoRoute(allow func(path string) string) gin.HandlerFunc {
	return func(c *gin.Context) {
		err := services.ErrNotFound
		if methods := allow(c.Request.URL.Path); methods != "" {
			c.Header("Allow", methods)
			err = services.NewError(services.CodeMethodNotAllowed, `Method "`+printable(c.Request.Method)+`" not allowed.`)
		}
		_ = c.Error(err)
		c.Abort()
	}
}

// printable cuts a method name that a client made up.
func printable(method string) string {
	if len(method) > 20 {
		return method[:20] + "..."
	}
	return method
}
