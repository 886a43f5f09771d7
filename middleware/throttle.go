package middleware

import (
	"slices"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// Throttle refuses a client whose address asks more often than a class allows.
// Paths of the patterns that are named after it are free.
func Throttle(t *services.Throttle, class services.RateClass, free ...string) gin.HandlerFunc {
	if t == nil {
		return func(*gin.Context) {}
	}
	return func(c *gin.Context) {
		if slices.Contains(free, c.FullPath()) {
			return
		}
		if err := t.Allow(c.Request.Context(), class, services.ClientAddress(c.Request.Context())); err != nil {
			_ = c.Error(err)
			c.Abort()
		}
	}
}
