package handlers

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/models"
)

// eventView is a security event in an answer.
type eventView struct{ models.SecurityEvent }

var eventMembers = keyed([]member[eventView]{
	{name: "id", append: func(b []byte, e *eventView) []byte { return strconv.AppendInt(b, e.ID, 10) }},
	{name: "at", append: func(b []byte, e *eventView) []byte { return appendMoment(b, momentOf(e.At)) }},
	{name: "event", append: func(b []byte, e *eventView) []byte { return appendString(b, e.Event) }},
	{name: "by", append: func(b []byte, e *eventView) []byte { return appendReference(b, reference(e.ByID)) }},
	{name: "session", append: func(b []byte, e *eventView) []byte { return appendReference(b, reference(e.SessionID)) }},
	{name: "address", append: func(b []byte, e *eventView) []byte { return appendNonEmpty(b, e.Address) }},
	{name: "request_id", append: func(b []byte, e *eventView) []byte { return appendNonEmpty(b, e.RequestID) }},
})

// EventListQuery names the parameters of GET /users/{id}/events.
var EventListQuery = []string{"page_size", "cursor", "page"}

// ListEvents answers GET /users/{id}/events and /users/me/events.
func (h *UserHandler) ListEvents(c *gin.Context) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	path := "/users/" + strconv.FormatInt(id, 10) + "/events"
	q := newQuery(c)
	page := q.page(path, h.paging, nil)
	if err := q.err(); err != nil {
		return err
	}
	list, info, err := h.users.ListEvents(c.Request.Context(), middleware.Actor(c), id, page)
	if err != nil {
		return err
	}
	setPageHeaders(c, q, h.links.To(path), info)
	view := func(e *models.SecurityEvent) eventView { return eventView{*e} }
	return sendList(c, list, view, func(*eventView) []member[eventView] { return eventMembers })
}

// ForceReset answers POST /users/{id}/password/reset. Its body says nothing and
// is not read.
func (h *UserHandler) ForceReset(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := h.users.ForceReset(c.Request.Context(), middleware.Actor(c), id); err != nil {
		return err
	}
	return sendValue(c, http.StatusAccepted, detail{"The password no longer works, and all sessions and API tokens are ended. A link to set a new one is on its way."})
}
