package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// Pages renders what a browser is shown in place of JSON.
type Pages interface {
	// Activation shows where a confirmation stands: a sentence, and a button
	// that confirms where one is left to press. It gives the page and its
	// Content-Security-Policy.
	Activation(sentence string, button bool) (page []byte, policy string)
}

const (
	activated   = "User activated."
	pressToPost = "Send a POST to this URL to activate the user."
)

// ActivateByLink answers GET /auth/activate/{token}. The link was handed out
// in an answer, so following it confirms; but a browser is asked to press a
// button, and neither HEAD nor a prefetch confirms anything.
func (h *AuthHandler) ActivateByLink(c *gin.Context) error {
	looksOnly := c.Request.Method == http.MethodHead || strings.Contains(c.GetHeader("Sec-Purpose"), "prefetch") ||
		strings.EqualFold(c.GetHeader("Purpose"), "prefetch")
	if looksOnly || wantsHTML(c) {
		err := h.accounts.CheckActivation(c.Request.Context(), c.Param("token"))
		return h.sendActivation(c, pressToPost, true, err)
	}
	return h.Activate(c)
}

// Activate answers POST /auth/activate/{token}, from a program or from the
// page's form. Its body says nothing and is not read.
func (h *AuthHandler) Activate(c *gin.Context) error {
	err := h.accounts.Activate(c.Request.Context(), c.Param("token"))
	return h.sendActivation(c, activated, false, err)
}

func (h *AuthHandler) sendActivation(c *gin.Context, sentence string, button bool, err error) error {
	c.Writer.Header().Add("Vary", "Accept")
	html := wantsHTML(c)
	switch {
	case err != nil && html:
		page, policy := h.pages.Activation(services.Public(err).Message, false)
		return pageError{err, page, policy}
	case err != nil:
		return err
	case !html:
		return sendValue(c, http.StatusOK, detail{sentence})
	}
	if button {
		sentence = "Press the button to activate your account."
	}
	page, policy := h.pages.Activation(sentence, button)
	c.Header("Content-Type", "text/html; charset=utf-8")
	c.Header("Content-Security-Policy", policy)
	c.Header("Content-Length", strconv.Itoa(len(page)))
	c.Writer.WriteHeader(http.StatusOK)
	_, _ = c.Writer.Write(page)
	return nil
}

// pageError is an error that a browser is shown as a page.
type pageError struct {
	error
	page   []byte
	policy string
}

// Unwrap gives the error.
func (e pageError) Unwrap() error { return e.error }

// Page gives the page and its Content-Security-Policy.
func (e pageError) Page() (page []byte, policy string) { return e.page, e.policy }

// wantsHTML reports whether a person in a browser is asking.
func wantsHTML(c *gin.Context) bool {
	return strings.Contains(c.GetHeader("Accept"), "text/html")
}
