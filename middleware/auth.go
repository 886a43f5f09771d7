package middleware

import (
	"context"
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

// Authenticator tells whom a token speaks for.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (services.Actor, error)
}

// Authenticate finds out who is asking. No credential is nobody; a credential
// that is not good is refused, and never taken for nobody.
func Authenticate(auth Authenticator) gin.HandlerFunc {
	return func(c *gin.Context) {
		h := c.Writer.Header()
		h["Cache-Control"] = revalidate
		token, given, err := credential(c.Request.Header["Authorization"])
		if err == nil && given {
			var actor services.Actor
			actor, err = auth.Authenticate(c.Request.Context(), token)
			if err == nil {
				c.Set(actorKey, actor)
				h["Cache-Control"] = noStore
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

// credential takes the token out of an Authorization field: "Bearer", "JWT" or
// "Token" in any case. Another scheme is not for us and counts as none.
func credential(fields []string) (token string, given bool, err error) {
	if len(fields) == 0 {
		return "", false, nil
	}
	if len(fields) > 1 {
		return "", false, services.NewError(services.CodeMalformed, "Send one Authorization header.")
	}
	field := strings.TrimSpace(fields[0])
	end := strings.IndexAny(field+" ", " \t")
	switch strings.ToLower(field[:end]) {
	case "bearer", "jwt", "token":
		return strings.TrimSpace(field[end:]), true, nil
	default:
		return "", false, nil
	}
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
