package handlers

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// AuthHandler answers for /auth: what makes and ends accounts and sessions.
type AuthHandler struct {
	accounts *services.AccountService
	sessions *services.SessionService
	links    Links
	pages    Pages
}

// NewAuthHandler makes the handler.
func NewAuthHandler(accounts *services.AccountService, sessions *services.SessionService, links Links, pages Pages) *AuthHandler {
	return &AuthHandler{accounts: accounts, sessions: sessions, links: links, pages: pages}
}

// registerRequest is the body of POST /auth/register.
type registerRequest struct {
	Username Opt[string] `json:"username" validate:"required"`
	Email    Opt[string] `json:"email" validate:"required"`
	Password Opt[string] `json:"password" validate:"required"`
}

func (r *registerRequest) input() services.NewAccount {
	return services.NewAccount{Username: r.Username.Value, Email: r.Email.Value, Password: r.Password.Value}
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
	u := userView{UserView: view, base: h.links.base, confirmation: h.links.To("/auth/activate/" + token)}
	return sendObject(c, http.StatusCreated, u, registeredMembers)
}

// resendRequest is the body of POST /auth/activate/resend.
type resendRequest struct {
	Email Opt[string] `json:"email" validate:"required"`
}

// Resend answers POST /auth/activate/resend, alike for all addresses.
func (h *AuthHandler) Resend(c *gin.Context) error {
	var req resendRequest
	if err := bind(c, &req, body{message: "The address is not valid."}); err != nil {
		return err
	}
	if err := h.accounts.ResendActivation(c.Request.Context(), req.Email.Value); err != nil {
		return err
	}
	return sendValue(c, http.StatusAccepted, detail{"If an account with this address waits for its confirmation, the request was passed on."})
}

// loginRequest is the body of POST /auth/login.
type loginRequest struct {
	Username Opt[string] `json:"username" validate:"required,min=1,max=254"`
	Password Opt[string] `json:"password" validate:"required,min=1"`
}

// tokenResponse is what a login or a refresh answers.
type tokenResponse struct {
	Access    string `json:"access"`
	Refresh   string `json:"refresh"`
	TokenType string `json:"token_type"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

func newTokenResponse(p services.TokenPair) tokenResponse {
	return tokenResponse{Access: p.Access, Refresh: p.Refresh, TokenType: "Bearer", ExpiresIn: int64(p.ExpiresIn.Seconds())}
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
		UserAgent: strings.ToValidUTF8(agent[:min(len(agent), maxUserAgent)], ""), Address: c.ClientIP(),
	})
	if err != nil {
		return err
	}
	return sendValue(c, http.StatusOK, newTokenResponse(pair))
}

// refreshRequest is the body of POST /auth/refresh and /auth/logout.
type refreshRequest struct {
	Refresh Opt[string] `json:"refresh" validate:"required,min=1"`
}

// Refresh answers POST /auth/refresh.
func (h *AuthHandler) Refresh(c *gin.Context) error {
	var req refreshRequest
	if err := bind(c, &req, body{message: "The token is not valid."}); err != nil {
		return err
	}
	pair, err := h.sessions.Refresh(c.Request.Context(), req.Refresh.Value)
	if err != nil {
		return err
	}
	return sendValue(c, http.StatusOK, newTokenResponse(pair))
}

// verifyRequest is the body of POST /auth/verify.
type verifyRequest struct {
	Token Opt[string] `json:"token" validate:"required,min=1"`
}

// Verify answers POST /auth/verify.
func (h *AuthHandler) Verify(c *gin.Context) error {
	var req verifyRequest
	if err := bind(c, &req, body{message: "The token is not valid."}); err != nil {
		return err
	}
	claims, err := h.sessions.Verify(c.Request.Context(), req.Token.Value)
	if err != nil {
		return err
	}
	return sendValue(c, http.StatusOK, claims)
}

// Logout answers POST /auth/logout.
func (h *AuthHandler) Logout(c *gin.Context) error {
	var req refreshRequest
	if err := bind(c, &req, body{message: "The token is not valid."}); err != nil {
		return err
	}
	if err := h.sessions.Logout(c.Request.Context(), req.Refresh.Value); err != nil {
		return err
	}
	return noContent(c)
}
