package handlers

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/models"
	"dueto/services"
)

// eventView is a security event in an answer.
type eventView struct{ models.SecurityEvent }

var eventMembers = keyed([]member[eventView]{
	{name: "id", schema: idSchema("The number of the event."), append: func(b []byte, e *eventView) []byte { return strconv.AppendInt(b, e.ID, 10) }},
	{name: "at", schema: timeSchema("When it was."), append: func(b []byte, e *eventView) []byte { return appendMoment(b, momentOf(e.At)) }},
	{name: "event", schema: textSchema("What happened, such as `login`, `login failed` or `password changed`."), append: func(b []byte, e *eventView) []byte { return appendString(b, e.Event) }},
	{name: "by", schema: nullable(idSchema("The number of the account that did it, where it was another.")), append: func(b []byte, e *eventView) []byte { return appendReference(b, reference(e.ByID)) }},
	{name: "session", schema: nullable(idSchema("The number of the session that it was done in.")), append: func(b []byte, e *eventView) []byte { return appendReference(b, reference(e.SessionID)) }},
	{name: "address", schema: nullable(textSchema("The network address that it came from.")), append: func(b []byte, e *eventView) []byte { return appendNonEmpty(b, e.Address) }},
	{name: "request_id", schema: nullable(textSchema("The `X-Request-Id` of the request.")), append: func(b []byte, e *eventView) []byte { return appendNonEmpty(b, e.RequestID) }},
})

// UsersEventsList describes GET /users/{id}/events with some lengths of pages.
func UsersEventsList(paging Paging) Operation {
	return Operation{
		Text:    "Newest first; of each kind the last 100 are kept. For oneself, staff and those with `users.view`.",
		Query:   pageParams(paging),
		Answers: []Answer{ok("A page of the events.", listSchema(resourceSchema[struct{}]("Event", "Something that happened to an account.", eventMembers), ""), headerLink)},
	}
}

// UsersPasswordReset describes POST /users/{id}/password/reset.
var UsersPasswordReset = Operation{
	Text:    "For staff and those with `users.change`, and not for oneself. The body is not read.",
	Fails:   []services.Code{services.CodeConflict},
	Answers: []Answer{accepted("The password no longer works, and a link goes out.")},
}

// ListEvents answers GET /users/{id}/events and /users/me/events.
func (h *UserHandler) ListEvents(c *gin.Context) error {
	id, err := userID(c)
	if err != nil {
		return err
	}
	path := "/users/" + strconv.FormatInt(id, 10) + "/events"
	q := newQuery(c, h.events)
	page := q.page(path, nil)
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
