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
	Name        Opt[string]    `json:"name" validate:"required" rules:"min=1,max=100"`
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
	{name: "id", schema: idSchema("The number of the token."), append: func(b []byte, t *apiTokenView) []byte { return strconv.AppendInt(b, t.ID, 10) }},
	{name: "url", schema: urlSchema("Where the token is."), append: func(b []byte, t *apiTokenView) []byte {
		return appendString(b, t.base+"/auth/tokens/"+strconv.FormatInt(t.ID, 10))
	}},
	{name: "name", schema: described("What it is for."), append: func(b []byte, t *apiTokenView) []byte { return appendString(b, t.Name) }},
	{name: "last_four", schema: within(4, 4, textSchema("The end of its key, to know it again by.")), append: func(b []byte, t *apiTokenView) []byte { return appendString(b, t.LastFour) }},
	{name: "permissions", schema: listSchema(permissionSchema(), "The words that it is limited to; null, the default, is no limit."), append: func(b []byte, t *apiTokenView) []byte {
		if !t.Permissions.Valid {
			return append(b, "null"...)
		}
		return append(b, t.Permissions.String...)
	}},
	{name: "created_at", schema: timeSchema("When it was made."), append: func(b []byte, t *apiTokenView) []byte { return appendMoment(b, momentOf(t.CreatedAt)) }},
	{name: "expires_at", schema: described("When it ends: a time to come, or null for never; where absent, in 90 days."), append: func(b []byte, t *apiTokenView) []byte { return appendMoment(b, moment(t.ExpiresAt)) }},
	{name: "last_used_at", schema: nullable(timeSchema("When it was used last, to the minute or so.")), append: func(b []byte, t *apiTokenView) []byte { return appendMoment(b, moment(t.LastUsedAt)) }},
})

// newAPITokenMembers are what making one answers.
var newAPITokenMembers = append(apiTokenMembers[:len(apiTokenMembers):len(apiTokenMembers)],
	keyed([]member[apiTokenView]{
		{name: "key", schema: textSchema("The key: what comes after `Authorization: Token`. It is not shown again."), append: func(b []byte, t *apiTokenView) []byte { return appendString(b, t.key) }},
	})...)

var apiTokenSchema = resourceSchema[createAPITokenRequest]("APIToken", "A key by which a program acts for an account.", apiTokenMembers)

// What can be asked of API tokens.
var (
	TokensList = Operation{
		Text:    "One's own, oldest first.",
		Answers: []Answer{ok("The tokens, without their keys.", listSchema(apiTokenSchema, ""))},
	}
	TokensCreate = Operation{
		Text:    "An account has at most 100.",
		Body:    requestSchema[createAPITokenRequest]("NewAPIToken", "An API token to make.", schemas(newAPITokenMembers)...),
		Fails:   []services.Code{services.CodeConflict},
		Answers: []Answer{created("The new token, with its key.", resourceSchema[createAPITokenRequest]("CreatedAPIToken", "An API token and its key, which is shown this once.", newAPITokenMembers), headerLocation)},
	}
	TokensRead = Operation{
		Answers: []Answer{ok("The token, without its key.", apiTokenSchema)},
	}
	TokensRevoke = Operation{
		Answers: []Answer{done("It is good for nothing any more.")},
	}
)

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
