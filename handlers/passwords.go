package handlers

import (
	"errors"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/services"
)

// changePasswordRequest is the body of POST /auth/password/change.
type changePasswordRequest struct {
	OldPassword Opt[string]      `json:"old_password" validate:"required,min=1" format:"password"`
	NewPassword Opt[newPassword] `json:"new_password" validate:"required,min=1"`
}

// ChangePassword answers POST /auth/password/change.
func (h *AuthHandler) ChangePassword(c *gin.Context) error {
	var req changePasswordRequest
	if err := bind(c, &req, body{message: "The password is not valid."}); err != nil {
		return err
	}
	err := h.accounts.ChangePassword(c.Request.Context(), middleware.Actor(c), req.OldPassword.Value, string(req.NewPassword.Value))
	if err != nil {
		return err
	}
	return noContent(c)
}

// emailRequest is the body of POST /auth/activate/resend and
// /auth/password/reset.
type emailRequest struct {
	Email Opt[string] `json:"email" validate:"required" rules:"max=254" format:"idn-email"`
}

// Resend answers POST /auth/activate/resend, alike for all addresses.
func (h *AuthHandler) Resend(c *gin.Context) error {
	var req emailRequest
	if err := bind(c, &req, body{message: "The address is not valid."}); err != nil {
		return err
	}
	if err := h.accounts.ResendActivation(c.Request.Context(), req.Email.Value); err != nil {
		return err
	}
	return sendValue(c, http.StatusAccepted, detail{"If an account with this address waits for its confirmation, a link is on its way."})
}

// RequestReset answers POST /auth/password/reset, alike for all addresses.
func (h *AuthHandler) RequestReset(c *gin.Context) error {
	var req emailRequest
	if err := bind(c, &req, body{message: "The address is not valid."}); err != nil {
		return err
	}
	if err := h.accounts.RequestReset(c.Request.Context(), req.Email.Value); err != nil {
		return err
	}
	return sendValue(c, http.StatusAccepted, detail{"If there is an active account with this address, a link is on its way."})
}

// confirmResetRequest is the body of POST /auth/password/reset/confirm.
type confirmResetRequest struct {
	Token       Opt[string]      `json:"token" validate:"required,min=1" doc:"What the link ends with."`
	NewPassword Opt[newPassword] `json:"new_password" validate:"required,min=1"`
}

// ConfirmReset answers POST /auth/password/reset/confirm.
func (h *AuthHandler) ConfirmReset(c *gin.Context) error {
	var req confirmResetRequest
	if err := bind(c, &req, body{message: "The password is not valid."}); err != nil {
		return err
	}
	if err := h.accounts.ConfirmReset(c.Request.Context(), req.Token.Value, string(req.NewPassword.Value)); err != nil {
		return err
	}
	return noContent(c)
}

const (
	passwordSet  = "The password is set. Sign in with it."
	passwordForm = "Choose a new password of at least 8 characters."                               //nolint:gosec // what a page says
	passwordPost = "Send a POST with this token and new_password to /auth/password/reset/confirm." //nolint:gosec // likewise
)

// ResetPage answers GET /auth/password/reset/{token}: a link that people follow
// to the form for a new password.
func (h *AuthHandler) ResetPage(c *gin.Context) error {
	err := h.accounts.CheckReset(c.Request.Context(), c.Param("token"))
	return h.sendReset(c, passwordForm, passwordPost, true, err)
}

// ResetByForm answers POST /auth/password/reset/{token}, from the page's form.
func (h *AuthHandler) ResetByForm(c *gin.Context) error {
	kind, _, _ := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		return services.NewError(services.CodeUnsupportedMedia, "This URL takes a form. Programs post JSON to /auth/password/reset/confirm.")
	}
	if err := c.Request.ParseForm(); err != nil {
		return unreadable(err)
	}
	password := c.Request.PostForm.Get("new_password")
	err := error(unequal{services.FieldError("The password is not valid.", "new_password", "The two are not the same.")})
	if password == c.Request.PostForm.Get("repeated") {
		err = h.accounts.ConfirmReset(c.Request.Context(), c.Param("token"), password)
	}
	return h.sendReset(c, passwordSet, passwordSet, false, err)
}

// unequal is the error of a form whose second password is another.
type unequal struct{ error }

// Unwrap gives the error.
func (e unequal) Unwrap() error { return e.error }

// wrongField gives the field of the form that an error is about, and why.
func wrongField(err error) (field string, complaints []string) {
	var invalid *services.Error
	if !errors.As(err, &invalid) || invalid.Code != services.CodeInvalid {
		return "", nil
	}
	if errors.As(err, new(unequal)) {
		return "repeated", invalid.Fields["new_password"]
	}
	return "new_password", invalid.Fields["new_password"]
}

// sendReset says how a reset stands, to people and to programs. What is wrong
// with a password is said beside the form.
func (h *AuthHandler) sendReset(c *gin.Context, people, programs string, form bool, err error) error {
	varyByAccept(c)
	switch {
	case err != nil && middleware.WantsPage(c):
		sentence, onward := deadLink(err, "/auth/password/reset")
		wrong, complaints := wrongField(err)
		page, policy := h.pages.Reset(sentence, wrong != "", wrong, complaints, onward)
		return pageError{err, page, policy}
	case err != nil:
		return err
	case !middleware.WantsPage(c):
		return sendValue(c, http.StatusOK, detail{programs})
	}
	onward := signIn
	if form {
		onward = ""
	}
	page, policy := h.pages.Reset(people, form, "", nil, onward)
	return sendPage(c, page, policy)
}
