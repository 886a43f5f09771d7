package middleware

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

const actorKey = "dueto.actor"

// Actor gives who is asking: nobody, unless Authenticate found somebody.
func Actor(c *gin.Context) services.Actor {
	if v, ok := c.Get(actorKey); ok {
		return v.(services.Actor)
	}
	return services.Actor{}
}

// Authenticator tells whom a credential speaks for.
type Authenticator interface {
	Authenticate(ctx context.Context, credential services.Credential) (services.Actor, error)
}

// Authenticate finds out who is asking. No credential is nobody; a credential
// that is not good is refused, and never taken for nobody.
func Authenticate(auth Authenticator, cookies Cookies) gin.HandlerFunc {
	return func(c *gin.Context) {
		h := c.Writer.Header()
		h["Cache-Control"] = revalidate
		credential, given, err := cookies.credential(c.Request)
		if err == nil && given {
			h["Cache-Control"] = noStore
			var actor services.Actor
			if actor, err = auth.Authenticate(c.Request.Context(), credential); err == nil {
				c.Set(actorKey, actor)
			}
		}
		if err != nil {
			_ = c.Error(err)
			c.Abort()
		}
	}
}

var (
	// revalidate lets caches keep what anybody may read, and ask whether it holds.
	revalidate = []string{"no-cache"}
	noStore    = []string{"no-store"}
)

// NoStore marks answers that carry a token or are personal.
func NoStore(c *gin.Context) { c.Writer.Header()["Cache-Control"] = noStore }

// Given reports whether a request brings a credential, whether or not it is good.
func (ck Cookies) Given(r *http.Request) bool {
	_, given, err := ck.credential(r)
	return given || err != nil
}

// credential takes the token out of the Authorization field or, where there is
// none, out of a cookie.
func (ck Cookies) credential(r *http.Request) (services.Credential, bool, error) {
	if fields := r.Header["Authorization"]; len(fields) > 0 {
		return fromHeader(fields)
	}
	return ck.Access(r)
}

// fromHeader reads "Bearer", "JWT" or "Token" in any case. Another scheme is not
// for us and counts as none.
func fromHeader(fields []string) (services.Credential, bool, error) {
	if len(fields) > 1 {
		return services.Credential{}, false, services.NewError(services.CodeMalformed, "Send one Authorization header.")
	}
	field := strings.TrimSpace(fields[0])
	end := strings.IndexAny(field+" ", " \t")
	scheme := strings.ToLower(field[:end])
	if !slices.Contains([]string{"bearer", "jwt", "token"}, scheme) {
		return services.Credential{}, false, nil
	}
	return services.Credential{Token: strings.TrimSpace(field[end:]), Key: scheme == "token"}, true, nil
}

// RequireActor refuses those who are not signed in.
func RequireActor(c *gin.Context) {
	if !Actor(c).Authenticated() {
		_ = c.Error(services.ErrNotAuthenticated)
		c.Abort()
	}
}

// RequirePermission refuses those who do not hold a word.
func RequirePermission(word string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !Actor(c).May(word) {
			_ = c.Error(services.ErrPermissionDenied)
			c.Abort()
		}
	}
}

// RequireScope refuses API tokens that are not made for what a word names.
func RequireScope(word string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := Actor(c).CheckScope(word); err != nil {
			_ = c.Error(err)
			c.Abort()
		}
	}
}
