// Package handlers turns requests into calls of the services and their results
// into answers. Each handler binds, calls one service method, converts and
// responds; rules are elsewhere.
package handlers

import (
	"strconv"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// Func is a handler: it answers, or returns why it did not.
type Func func(c *gin.Context) error

// Wrap makes a Func one of the router's: its error goes to the renderer.
func Wrap(f Func) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := f(c); err != nil {
			_ = c.Error(err)
			c.Abort()
		}
	}
}

// pathID takes the id from the path. What is not a positive 64-bit integer
// names nothing.
func pathID(c *gin.Context) (int64, error) {
	text := c.Param("id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 || text[0] == '+' || text[0] == '0' {
		return 0, services.ErrNotFound
	}
	return id, nil
}

// Links makes absolute URLs from the public one.
type Links struct{ base string }

// NewLinks takes the public URL.
func NewLinks(publicURL string) Links { return Links{base: publicURL} }

// To gives the URL of a path that begins with a slash.
func (l Links) To(path string) string { return l.base + path }
