package handlers

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/openapi"
	"dueto/services"
)

var contentJSON = []string{mediaJSON}

// shortBody is within what net/http buffers before it sends headers.
const shortBody = 1024

// sendJSON writes a body that is JSON already.
func sendJSON(c *gin.Context, status int, body []byte) error {
	return sendAs(c, status, contentJSON, body)
}

// sendAs writes a body of any type.
func sendAs(c *gin.Context, status int, contentType []string, body []byte) error {
	h := c.Writer.Header()
	h["Content-Type"] = contentType
	// net/http finds the length of a short body itself, but not for HEAD.
	if len(body) > shortBody || c.Request.Method == http.MethodHead {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	c.Writer.WriteHeader(status)
	_, _ = c.Writer.Write(body) // the client is gone: nobody to tell
	return nil
}

// sendValue writes any value as JSON.
func sendValue(c *gin.Context, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return sendJSON(c, status, append(body, '\n'))
}

// sendObject writes a resource by its members.
func sendObject[T any](c *gin.Context, status int, v T, members []member[T]) error {
	p := getBuffer()
	b := append(appendObject(*p, &v, members), '\n')
	defer putBuffer(p, b)
	return sendJSON(c, status, b)
}

// sendList writes a list of resources; see appendList.
func sendList[R, T any](c *gin.Context, rows []R, convert func(*R) T, members func(*T) []member[T]) error {
	p := getBuffer()
	b := append(appendList(*p, rows, convert, members), '\n')
	defer putBuffer(p, b)
	return sendJSON(c, http.StatusOK, b)
}

// detail is an answer that is a sentence.
type detail struct {
	Detail string `json:"detail" doc:"A sentence for people."`
}

var detailSchema = openapi.Of[detail]("Detail", "An answer that is a sentence.")

func noContent(c *gin.Context) error {
	c.Writer.WriteHeader(http.StatusNoContent)
	return nil
}

// notModified sets the ETag and, where the client has this version already,
// answers 304 (RFC 9110, 13.1.2).
func notModified(c *gin.Context, version string) bool {
	etag := quoteETag(version)
	c.Writer.Header()["Etag"] = []string{etag}
	for _, field := range c.Request.Header["If-None-Match"] {
		for candidate := range strings.SplitSeq(field, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
				c.Writer.WriteHeader(http.StatusNotModified)
				return true
			}
		}
	}
	return false
}

func setETag(c *gin.Context, version string) {
	c.Writer.Header()["Etag"] = []string{quoteETag(version)}
}

func quoteETag(version string) string { return `"` + version + `"` }

// expected reads If-Match (RFC 9110, 13.1.1). A weak tag matches nothing.
func expected(c *gin.Context) services.Expected {
	var e services.Expected
	for _, field := range c.Request.Header["If-Match"] {
		e.Given = true
		for tag := range strings.SplitSeq(field, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" {
				e.Any = true
			} else if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
				e.Versions = append(e.Versions, tag[1:len(tag)-1])
			}
		}
	}
	return e
}
