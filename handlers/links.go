package handlers

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/services"
)

// Pages renders what a browser is shown in place of JSON. Each gives the page
// and its Content-Security-Policy.
type Pages interface {
	// Confirm shows where a confirmation stands: a sentence, a button that confirms
	// where one is left to press, and a link to the path where one goes on.
	Confirm(title, sentence, button, onward string) (page []byte, policy string)
	// Reset shows a sentence and, where a password is to be set, the form for it
	// with the field that is wrong and why, and such a link.
	Reset(sentence string, form bool, wrong string, complaints []string, onward string) (page []byte, policy string)
}

// signIn is where people go on when a link has done its work.
const signIn = "/auth/login"

// deadLink says to people what is wrong with a link, and where they go on: again
// is where another is asked for.
func deadLink(err error, again string) (sentence, onward string) {
	public := services.Public(err)
	switch public.Code {
	case services.CodeTokenExpired, services.CodeTokenNotValid:
		return "This link has been used, has expired, or is damaged.", again
	case services.CodeAlreadyActive:
		return public.Message, signIn
	}
	return public.Message, ""
}

// confirmation is what is said of a link that confirms something.
type confirmation struct {
	title       string
	done        string
	button      string
	press, post string // what is left to do, for people and for programs
	onward      string // where one goes on when it is done
	again       string // where another link is asked for
}

var (
	activation = confirmation{
		"Activate your account", "User activated.", "Activate my account",
		"Press the button to activate your account.", "Send a POST to this URL to activate the user.",
		signIn, "/auth/activate/resend",
	}
	emailConfirmation = confirmation{
		"Confirm your address", "Email confirmed.", "Confirm my address",
		"Press the button to confirm your new address.", "Send a POST to this URL to confirm the address.",
		"", "",
	}
)

// ActivateByLink answers GET /auth/activate/{token}. A link that was handed out
// in an answer confirms when a program follows it; but whoever is shown a page is
// asked to press a button, and neither a link that went by mail nor HEAD nor a
// prefetch confirms anything.
func (h *AuthHandler) ActivateByLink(c *gin.Context) error {
	ctx, token := c.Request.Context(), c.Param("token")
	if looksOnly(c) || middleware.WantsPage(c) {
		return h.sendConfirmation(c, activation, false, h.accounts.CheckActivation(ctx, token))
	}
	done, err := h.accounts.ActivateByLink(ctx, token)
	return h.sendConfirmation(c, activation, done, err)
}

// Activate answers POST /auth/activate/{token}, from a program or from the
// page's form. Its body says nothing and is not read.
func (h *AuthHandler) Activate(c *gin.Context) error {
	return h.sendConfirmation(c, activation, true, h.accounts.Activate(c.Request.Context(), c.Param("token")))
}

// CheckEmail answers GET /auth/email/confirm/{token}, which confirms nothing.
func (h *AuthHandler) CheckEmail(c *gin.Context) error {
	return h.sendConfirmation(c, emailConfirmation, false, h.accounts.CheckEmail(c.Request.Context(), c.Param("token")))
}

// ConfirmEmail answers POST /auth/email/confirm/{token}, as Activate does.
func (h *AuthHandler) ConfirmEmail(c *gin.Context) error {
	return h.sendConfirmation(c, emailConfirmation, true, h.accounts.ConfirmEmail(c.Request.Context(), c.Param("token")))
}

// looksOnly reports whether a request is one that nobody made by hand. Older
// browsers tell in headers of their own.
func looksOnly(c *gin.Context) bool {
	return c.Request.Method == http.MethodHead || strings.Contains(c.GetHeader("Sec-Purpose"), "prefetch") ||
		slices.ContainsFunc([]string{"Purpose", "X-Purpose", "X-Moz"}, func(name string) bool {
			purpose := c.GetHeader(name)
			return strings.EqualFold(purpose, "prefetch") || strings.EqualFold(purpose, "preview")
		})
}

func (h *AuthHandler) sendConfirmation(c *gin.Context, what confirmation, done bool, err error) error {
	varyByAccept(c)
	sentence, button := what.done, ""
	if !done {
		sentence, button = what.post, what.button
	}
	if !middleware.WantsPage(c) {
		if err != nil {
			return err
		}
		return sendValue(c, http.StatusOK, detail{sentence})
	}
	if err != nil {
		sentence, onward := deadLink(err, what.again)
		page, policy := h.pages.Confirm(what.title, sentence, "", onward)
		return pageError{err, page, policy}
	}
	onward := what.onward
	if !done {
		sentence, onward = what.press, ""
	}
	page, policy := h.pages.Confirm(what.title, sentence, button, onward)
	return sendPage(c, page, policy)
}

// sendPage writes a page.
func sendPage(c *gin.Context, page []byte, policy string) error {
	h := c.Writer.Header()
	middleware.SetPage(h, policy)
	h.Set("Content-Length", strconv.Itoa(len(page)))
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

// varyByAccept says that the answer follows the Accept header, where that is not
// said already.
func varyByAccept(c *gin.Context) {
	if h := c.Writer.Header(); !slices.Contains(h["Vary"], "Accept") {
		h.Add("Vary", "Accept")
	}
}
