package handlers

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/models"
	"dueto/services"
)

// sessionView is a session in an answer.
type sessionView struct {
	models.Session
	base    string
	current bool
}

var sessionMembers = keyed([]member[sessionView]{
	{name: "id", schema: idSchema("The number of the session."), append: func(b []byte, s *sessionView) []byte { return strconv.AppendInt(b, s.ID, 10) }},
	{name: "url", schema: urlSchema("Where the session is."), append: func(b []byte, s *sessionView) []byte {
		return appendString(b, s.base+"/auth/sessions/"+strconv.FormatInt(s.ID, 10))
	}},
	{name: "current", schema: boolSchema("Whether it is the one that asks."), append: func(b []byte, s *sessionView) []byte { return strconv.AppendBool(b, s.current) }},
	{name: "mode", schema: choiceSchema("How its tokens are carried.", services.ModeJSON, services.ModeOneCookie, services.ModeTwoCookies), append: func(b []byte, s *sessionView) []byte { return appendString(b, s.Mode) }},
	{name: "user_agent", schema: textSchema("What the device that signed in calls itself."), append: func(b []byte, s *sessionView) []byte { return appendString(b, s.UserAgent) }},
	{name: "address", schema: textSchema("The network address that it signed in from."), append: func(b []byte, s *sessionView) []byte { return appendString(b, s.Address) }},
	{name: "created_at", schema: timeSchema("When it signed in."), append: func(b []byte, s *sessionView) []byte { return appendMoment(b, momentOf(s.CreatedAt)) }},
	{name: "last_used_at", schema: timeSchema("When it signed in or renewed its tokens last."), append: func(b []byte, s *sessionView) []byte { return appendMoment(b, momentOf(s.LastUsedAt)) }},
	{name: "expires_at", schema: timeSchema("When it ends, however often it is renewed."), append: func(b []byte, s *sessionView) []byte { return appendMoment(b, momentOf(s.ExpiresAt)) }},
})

// SessionsList describes GET /auth/sessions of a server with some modes.
func SessionsList(modes Modes) Operation {
	return Operation{
		Text:    "Those that last, the one used last first.",
		Answers: []Answer{ok("The sessions.", listSchema(modes.sessionSchema(), ""))},
	}
}

// SessionsEndOthers describes DELETE /auth/sessions, likewise.
func SessionsEndOthers(modes Modes) Operation {
	return Operation{
		Query:   sessionsEndQuery,
		Answers: []Answer{done(modes.andCookies("They are ended.", "With `all`, cookies that one was signed in by are taken away."), modes.headers()...)},
	}
}

var sessionsEndQuery = []Param{boolParam("all", "One's own too.")}

// SessionsRead describes GET /auth/sessions/{id}, likewise.
func SessionsRead(modes Modes) Operation {
	return Operation{Answers: []Answer{ok("The session.", modes.sessionSchema())}}
}

// SessionsEnd describes DELETE /auth/sessions/{id}, likewise.
func SessionsEnd(modes Modes) Operation {
	return Operation{
		Answers: []Answer{done(modes.andCookies("It is ended.", "Cookies that it was signed in by are taken away."), modes.headers()...)},
	}
}

func (h *AuthHandler) sessionView(c *gin.Context) func(*models.Session) sessionView {
	own := middleware.Actor(c).SessionID
	return func(s *models.Session) sessionView {
		return sessionView{Session: *s, base: h.links.base, current: s.ID == own}
	}
}

// ListSessions answers GET /auth/sessions.
func (h *AuthHandler) ListSessions(c *gin.Context) error {
	list, err := h.sessions.List(c.Request.Context(), middleware.Actor(c))
	if err != nil {
		return err
	}
	return sendList(c, list, h.sessionView(c), func(*sessionView) []member[sessionView] { return sessionMembers })
}

// GetSession answers GET /auth/sessions/{id}.
func (h *AuthHandler) GetSession(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	session, err := h.sessions.Get(c.Request.Context(), middleware.Actor(c), id)
	if err != nil {
		return err
	}
	return sendObject(c, http.StatusOK, h.sessionView(c)(&session), sessionMembers)
}

// EndSession answers DELETE /auth/sessions/{id}.
func (h *AuthHandler) EndSession(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	actor := middleware.Actor(c)
	if err := h.sessions.End(c.Request.Context(), actor, id); err != nil {
		return err
	}
	if id == actor.SessionID {
		h.cookies.ClearSent(c)
	}
	return noContent(c)
}

// EndSessions answers DELETE /auth/sessions.
func (h *AuthHandler) EndSessions(c *gin.Context) error {
	q := newQuery(c, sessionsEndQuery)
	all := q.bool("all")
	if err := q.err(); err != nil {
		return err
	}
	own := all != nil && *all
	if err := h.sessions.EndOthers(c.Request.Context(), middleware.Actor(c), own); err != nil {
		return err
	}
	if own {
		h.cookies.ClearSent(c)
	}
	return noContent(c)
}
