package handlers

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/models"
	"dueto/services"
)

// APITokenHandler answers for /auth/tokens.
type APITokenHandler struct {
	tokens *services.APITokenService
	links  Links
}

// NewAPITokenHandler makes the handler.
func NewAPITokenHandler(tokens *services.APITokenService, links Links) *APITokenHandler {
	return &APITokenHandler{tokens: tokens, links: links}
}

// createAPITokenRequest is the body of POST /auth/tokens.
type createAPITokenRequest struct {
	Name        Opt[string]    `json:"name" validate:"required"`
	Permissions Opt[[]string]  `json:"permissions" validate:"max=50" nullable:"true"`
	ExpiresAt   Opt[timestamp] `json:"expires_at" nullable:"true"`
}

func (r *createAPITokenRequest) input() services.NewAPIToken {
	in := services.NewAPIToken{Name: r.Name.Value, ExpiresAt: timeChange(r.ExpiresAt)}
	if r.Permissions.Set && !r.Permissions.Null {
		in.Permissions = &r.Permissions.Value
	}
	return in
}

// apiTokenView is an API token in an answer.
type apiTokenView struct {
	models.APIToken
	base string
	key  string // known when it is made, and never again
}

var apiTokenMembers = keyed([]member[apiTokenView]{
	{name: "id", append: func(b []byte, t *apiTokenView) []byte { return strconv.AppendInt(b, t.ID, 10) }},
	{name: "url", append: func(b []byte, t *apiTokenView) []byte {
		return appendString(b, t.base+"/auth/tokens/"+strconv.FormatInt(t.ID, 10))
	}},
	{name: "name", append: func(b []byte, t *apiTokenView) []byte { return appendString(b, t.Name) }},
	{name: "last_four", append: func(b []byte, t *apiTokenView) []byte { return appendString(b, t.LastFour) }},
	{name: "permissions", append: func(b []byte, t *apiTokenView) []byte {
		if !t.Permissions.Valid {
			return append(b, "null"...)
		}
		return append(b, t.Permissions.String...)
	}},
	{name: "created_at", append: func(b []byte, t *apiTokenView) []byte { return appendMoment(b, momentOf(t.CreatedAt)) }},
	{name: "expires_at", append: func(b []byte, t *apiTokenView) []byte { return appendMoment(b, moment(t.ExpiresAt)) }},
	{name: "last_used_at", append: func(b []byte, t *apiTokenView) []byte { return appendMoment(b, moment(t.LastUsedAt)) }},
})

// newAPITokenMembers are what making one answers.
var newAPITokenMembers = append(apiTokenMembers[:len(apiTokenMembers):len(apiTokenMembers)],
	keyed([]member[apiTokenView]{
		{name: "key", append: func(b []byte, t *apiTokenView) []byte { return appendString(b, t.key) }},
	})...)

func (h *APITokenHandler) view(t *models.APIToken) apiTokenView {
	return apiTokenView{APIToken: *t, base: h.links.base}
}

// Create answers POST /auth/tokens.
func (h *APITokenHandler) Create(c *gin.Context) error {
	var req createAPITokenRequest
	rules := func() error { return h.tokens.CheckNew(req.input()) }
	if err := bind(c, &req, body{message: "The token is not valid.", readOnly: memberNames(newAPITokenMembers), rules: rules}); err != nil {
		return err
	}
	token, key, err := h.tokens.Create(c.Request.Context(), middleware.Actor(c), req.input())
	if err != nil {
		return err
	}
	view := h.view(&token)
	view.key = key
	c.Header("Location", h.links.To("/auth/tokens/"+strconv.FormatInt(token.ID, 10)))
	return sendObject(c, http.StatusCreated, view, newAPITokenMembers)
}

// List answers GET /auth/tokens.
func (h *APITokenHandler) List(c *gin.Context) error {
	list, err := h.tokens.List(c.Request.Context(), middleware.Actor(c))
	if err != nil {
		return err
	}
	return sendList(c, list, h.view, func(*apiTokenView) []member[apiTokenView] { return apiTokenMembers })
}

// Get answers GET /auth/tokens/{id}.
func (h *APITokenHandler) Get(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	token, err := h.tokens.Get(c.Request.Context(), middleware.Actor(c), id)
	if err != nil {
		return err
	}
	return sendObject(c, http.StatusOK, h.view(&token), apiTokenMembers)
}

// Revoke answers DELETE /auth/tokens/{id}.
func (h *APITokenHandler) Revoke(c *gin.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	if err := h.tokens.Revoke(c.Request.Context(), middleware.Actor(c), id); err != nil {
		return err
	}
	return noContent(c)
}
