package handlers

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/services"
)

// AuthHandler answers for /auth: what makes and ends accounts and sessions.
type AuthHandler struct {
	accounts *services.AccountService
	sessions *services.SessionService
	cookies  middleware.Cookies
	links    Links
	pages    Pages
}

// NewAuthHandler makes the handler.
func NewAuthHandler(accounts *services.AccountService, sessions *services.SessionService, cookies middleware.Cookies, links Links, pages Pages) *AuthHandler {
	return &AuthHandler{accounts: accounts, sessions: sessions, cookies: cookies, links: links, pages: pages}
}

// registerRequest is the body of POST /auth/register.
type registerRequest struct {
	Username Opt[string]      `json:"username" validate:"required"`
	Email    Opt[string]      `json:"email" validate:"required" rules:"max=254" format:"idn-email" doc:"Where the confirmation goes."`
	Password Opt[newPassword] `json:"password" validate:"required"`
}

func (r *registerRequest) input() services.NewAccount {
	return services.NewAccount{Username: r.Username.Value, Email: r.Email.Value, Password: string(r.Password.Value)}
}

// Register answers POST /auth/register.
func (h *AuthHandler) Register(c *gin.Context) error {
	var req registerRequest
	rules := func() error { return h.accounts.CheckNewAccount(req.input()) }
	if err := bind(c, &req, body{message: "The user is not valid.", rules: rules}); err != nil {
		return err
	}
	view, token, err := h.accounts.Register(c.Request.Context(), req.input())
	if err != nil {
		return err
	}
	u := userView{UserView: view, base: h.links.base}
	if token == "" {
		return sendObject(c, http.StatusCreated, u, userMembers)
	}
	u.confirmation = h.links.To("/auth/activate/" + token)
	return sendObject(c, http.StatusCreated, u, registeredMembers)
}

// loginRequest is the body of POST /auth/login.
type loginRequest struct {
	Username Opt[string] `json:"username" validate:"required,min=1,max=254" doc:"The name or the e-mail address."`
	Password Opt[string] `json:"password" validate:"required,min=1" format:"password"`
	Mode     Opt[string] `json:"mode" validate:"oneof=json one-cookie two-cookies" doc:"How the tokens are carried: in the answer (json), or in cookies."`
}

// tokenResponse is what a login or a refresh answers.
type tokenResponse struct {
	Access    string `json:"access" doc:"The access token, which goes into the Authorization header."`
	Refresh   string `json:"refresh" doc:"The refresh token, which is good for one new pair."`
	TokenType string `json:"token_type" doc:"Bearer: what comes before the access token."`
	ExpiresIn int64  `json:"expires_in" doc:"How many seconds the access token lasts."`
}

// cookieResponse is what a login or a refresh answers where cookies carry the
// tokens.
type cookieResponse struct {
	Mode      string `json:"mode" rules:"oneof=one-cookie two-cookies" doc:"How the tokens are carried."`
	ExpiresIn int64  `json:"expires_in" doc:"How many seconds the access token lasts."`
}

func (h *AuthHandler) sendTokens(c *gin.Context, p services.TokenPair) error {
	expiresIn := int64(p.ExpiresIn.Seconds())
	if p.Mode == services.ModeJSON {
		return sendValue(c, http.StatusOK, tokenResponse{Access: p.Access, Refresh: p.Refresh, TokenType: "Bearer", ExpiresIn: expiresIn})
	}
	h.cookies.Set(c, p)
	return sendValue(c, http.StatusOK, cookieResponse{Mode: p.Mode, ExpiresIn: expiresIn})
}

// maxUserAgent is how many bytes are kept of what a device calls itself.
const maxUserAgent = 200

// Login answers POST /auth/login.
func (h *AuthHandler) Login(c *gin.Context) error {
	var req loginRequest
	if err := bind(c, &req, body{message: "The login is not valid."}); err != nil {
		return err
	}
	agent := strings.ToValidUTF8(c.Request.UserAgent(), "")
	pair, err := h.sessions.Login(c.Request.Context(), services.Login{
		Username: req.Username.Value, Password: req.Password.Value,
		UserAgent: strings.ToValidUTF8(agent[:min(len(agent), maxUserAgent)], ""), Address: services.ClientAddress(c.Request.Context()), Mode: req.Mode.Value,
	})
	if err != nil {
		return err
	}
	return h.sendTokens(c, pair)
}

const invalidToken = "The token is not valid."

// refreshRequest is the body of POST /auth/refresh and /auth/logout; a browser
// has a cookie for it.
type refreshRequest struct {
	Refresh Opt[string] `json:"refresh" validate:"min=1" doc:"The refresh token."`
}

// refreshCredential takes the refresh token from the body or, where there is
// none in it, from the first cookie that is there, which cookie tells.
func (h *AuthHandler) refreshCredential(
	c *gin.Context, cookies ...func(*http.Request) (services.Credential, bool, error),
) (credential services.Credential, cookie bool, err error) {
	var req refreshRequest
	if err := bind(c, &req, body{message: invalidToken, optional: true}); err != nil || req.Refresh.Set {
		return services.Credential{Token: req.Refresh.Value}, false, err
	}
	for _, read := range cookies {
		if credential, cookie, err = read(c.Request); cookie || err != nil {
			return credential, cookie, err
		}
	}
	return credential, false, services.FieldError(invalidToken, "refresh", required)
}

// Refresh answers POST /auth/refresh.
func (h *AuthHandler) Refresh(c *gin.Context) error {
	credential, _, err := h.refreshCredential(c, h.cookies.Refresh)
	if err != nil {
		return err
	}
	pair, err := h.sessions.Refresh(c.Request.Context(), credential)
	if err != nil {
		return err
	}
	return h.sendTokens(c, pair)
}

// Logout answers POST /auth/logout. Cookies that are good for nothing any more
// are taken away too.
func (h *AuthHandler) Logout(c *gin.Context) error {
	credential, cookie, err := h.refreshCredential(c, h.cookies.Refresh, h.cookies.Access)
	if err != nil {
		return err
	}
	err = h.sessions.Logout(c.Request.Context(), credential)
	var refused *services.Error
	dead := errors.As(err, &refused) && (refused.Code == services.CodeTokenExpired || refused.Code == services.CodeTokenNotValid)
	if cookie && (err == nil || dead) {
		h.cookies.Clear(c)
	}
	if err != nil {
		return err
	}
	return noContent(c)
}

// verifyRequest is the body of POST /auth/verify; a browser has a cookie for it.
type verifyRequest struct {
	Token Opt[string] `json:"token" validate:"min=1" doc:"An access or refresh token."`
}

// Verify answers POST /auth/verify.
func (h *AuthHandler) Verify(c *gin.Context) error {
	var req verifyRequest
	if err := bind(c, &req, body{message: invalidToken, optional: true}); err != nil {
		return err
	}
	credential := services.Credential{Token: req.Token.Value}
	if !req.Token.Set {
		var cookie bool
		var err error
		if credential, cookie, err = h.cookies.Access(c.Request); err != nil {
			return err
		}
		if !cookie {
			return services.FieldError(invalidToken, "token", required)
		}
	}
	claims, err := h.sessions.Verify(c.Request.Context(), credential)
	if err != nil {
		return err
	}
	return sendValue(c, http.StatusOK, claims)
}
