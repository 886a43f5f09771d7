package handlers

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// Root answers GET / with the resources by name.
func Root(resources map[string]string) Func {
	return func(c *gin.Context) error { return sendValue(c, http.StatusOK, resources) }
}

var (
	contentJWKS = []string{"application/jwk-set+json"} // RFC 7517, 8.5.2
	// jwksCache lets those who check tokens keep the keys for a while; one whose
	// kid they do not know makes them ask again.
	jwksCache = []string{"public, max-age=300"}
)

// JWKS answers GET /.well-known/jwks.json with what keys gives.
func JWKS(keys func() []byte) Func {
	return func(c *gin.Context) error {
		c.Writer.Header()["Cache-Control"] = jwksCache
		return sendAs(c, http.StatusOK, contentJWKS, keys())
	}
}

// HealthHandler answers for those who watch the server.
type HealthHandler struct {
	ready    func(context.Context) error
	draining *atomic.Bool
}

// NewHealthHandler makes the handler; ready tries the store, and draining says
// that the server is about to stop.
func NewHealthHandler(ready func(context.Context) error, draining *atomic.Bool) *HealthHandler {
	return &HealthHandler{ready: ready, draining: draining}
}

// statusResponse is what the probes answer.
type statusResponse struct {
	Status string `json:"status"`
}

// Alive answers GET /healthz: the process answers.
func (h *HealthHandler) Alive(c *gin.Context) error {
	return sendValue(c, http.StatusOK, statusResponse{"ok"})
}

// Ready answers GET /readyz: the store can be read and written.
func (h *HealthHandler) Ready(c *gin.Context) error {
	if h.draining.Load() {
		return &services.Error{Code: services.CodeBusy, Message: "The server is stopping.", RetryAfter: time.Second}
	}
	if err := h.ready(c.Request.Context()); err != nil {
		return err
	}
	return sendValue(c, http.StatusOK, statusResponse{"ready"})
}

// Options answers OPTIONS with what the path allows.
func Options(allow string) Func {
	return func(c *gin.Context) error {
		c.Header("Allow", allow)
		return noContent(c)
	}
}
