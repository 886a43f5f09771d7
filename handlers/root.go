package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"dueto/openapi"
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

// What can be asked of the server itself. That of the resource list is made from
// the routes.
var (
	HealthAlive = Operation{
		Storeless: true,
		Answers:   []Answer{ok("It answers.", statusSchema)},
	}
	HealthReady = Operation{
		Answers: []Answer{ok("The store can be read and written.", statusSchema)},
	}
	DocumentRead = Operation{
		Plain:   true,
		Answers: []Answer{ok("An OpenAPI 3.1 document.", documentSchema, headerETag), unchanged()},
	}
	JWKSRead = Operation{
		Text:      "The set is empty where the secret signs access tokens.",
		Storeless: true,
		Answers:   []Answer{{Status: http.StatusOK, Text: "A JWK set (RFC 7517).", Body: jwksSchema, Type: contentJWKS[0]}},
	}
)

var (
	statusSchema   = openapi.Of[statusResponse]("Status", "How the server is.")
	documentSchema = &openapi.Schema{
		Type: openapi.Types{openapi.Object}, Required: []string{"openapi", "info", "paths"},
		Properties: openapi.Properties{
			{Name: "openapi", Schema: textSchema("The version of the specification.")},
			{Name: "info", Schema: typed(openapi.Object, "")}, {Name: "paths", Schema: typed(openapi.Object, "")},
		},
	}
	jwksSchema = &openapi.Schema{
		Title: "KeySet", Type: openapi.Types{openapi.Object}, AdditionalProperties: false, Required: []string{"keys"},
		Properties: openapi.Properties{{Name: "keys", Schema: listSchema(jwkSchema, "")}},
	}
	jwkSchema = &openapi.Schema{
		Title: "Key", Type: openapi.Types{openapi.Object}, AdditionalProperties: false, Required: []string{"kty", "kid", "use", "alg"},
		Properties: openapi.Properties{
			{Name: "kty", Schema: choiceSchema("The family of the key.", "RSA", "EC", "OKP")},
			{Name: "kid", Schema: textSchema("The name of the key, which a token's header has too.")},
			{Name: "use", Schema: choiceSchema("", "sig")},
			{Name: "alg", Schema: textSchema("The algorithm that it verifies.")},
			{Name: "crv", Schema: textSchema("The curve.")},
			{Name: "x", Schema: textSchema("")}, {Name: "y", Schema: textSchema("")},
			{Name: "n", Schema: textSchema("")}, {Name: "e", Schema: textSchema("")},
		},
	}
)

// RootRead describes GET /, which answers with the URLs of these names.
func RootRead(names []string) Operation {
	s := objectSchema("Resources", "Where everything is.")
	for _, name := range names {
		s.Properties = append(s.Properties, openapi.Property{Name: name, Schema: urlSchema("")})
	}
	s.Required = names
	return Operation{Answers: []Answer{ok("The URLs of the resources, by name.", s)}}
}

// Document answers GET /openapi.json with what describe gives, which is asked
// once, by the first who wants it: starting does not wait for it.
func Document(describe func() ([]byte, error)) Func {
	type described struct {
		body    []byte
		version string
	}
	once := sync.OnceValues(func() (described, error) {
		body, err := describe()
		sum := sha256.Sum256(body)
		return described{body, base64.RawURLEncoding.EncodeToString(sum[:12])}, err
	})
	return func(c *gin.Context) error {
		document, err := once()
		if err != nil {
			return fmt.Errorf("describe the API: %w", err)
		}
		c.Writer.Header()["Cache-Control"] = documentCache
		if notModified(c, document.version) {
			return nil
		}
		return sendJSON(c, http.StatusOK, document.body)
	}
}

// documentCache has caches ask whether it is still the same.
var documentCache = []string{"no-cache"}

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
	Status string `json:"status" doc:"One word."`
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

// Options answers OPTIONS with the methods of the path and what they take.
func Options(allow string, metadata []byte) Func {
	return func(c *gin.Context) error {
		c.Header("Allow", allow)
		return sendJSON(c, http.StatusOK, metadata)
	}
}
