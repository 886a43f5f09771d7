package middleware

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// OwnWrites has those read from the primary who change something, or did a while
// ago. changes says that the route may change something by any method, as one
// that a link leads to.
func OwnWrites(w *services.OwnWrites, changes bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		actor, err := Actor(c), error(nil)
		switch c.Request.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions:
			if !changes {
				actor = w.Recall(c.Request.Context(), actor)
				break
			}
			fallthrough
		default:
			actor, err = w.Begin(c.Request.Context(), actor)
		}
		if err != nil {
			_ = c.Error(err)
			c.Abort()
			return
		}
		c.Set(actorKey, actor)
	}
}
