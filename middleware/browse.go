package middleware

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

// Answer is what handlers answered, for a page to show.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // JSON
}

// Show makes the page for an answer, and gives its Content-Security-Policy.
type Show func(c *gin.Context, answer Answer) (page []byte, policy string)

// Browse shows what is answered to GET and HEAD as a page, where it is JSON and
// the client likes HTML better. The handlers behind it, and what renders their
// errors, answer as they always do. Paths of the patterns that are named after
// show are answered as they are.
func Browse(show Show, plain ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
			return
		}
		if pattern := c.FullPath(); pattern != "" {
			for _, p := range plain {
				if p == pattern {
					return
				}
			}
		}
		h := c.Writer.Header()
		h["Vary"] = append(h["Vary"], "Accept")
		if !wantsPage(c.Request) {
			return
		}
		// The page has no ETag: it shows who is signed in, besides the answer.
		c.Request.Header.Del("If-None-Match")
		kept := &keptAnswer{ResponseWriter: c.Writer, status: http.StatusOK}
		c.Writer = kept
		c.Next()
		c.Writer = kept.ResponseWriter
		kept.send(c, show)
	}
}

// keptAnswer keeps an answer back. Its headers are those of the real one.
type keptAnswer struct {
	gin.ResponseWriter
	status int
	body   bytes.Buffer
	begun  bool
}

// WriteHeader implements http.ResponseWriter.
func (k *keptAnswer) WriteHeader(status int) {
	if !k.begun {
		k.status = status
	}
}

// WriteHeaderNow implements gin.ResponseWriter.
func (k *keptAnswer) WriteHeaderNow() { k.begun = true }

// Write implements http.ResponseWriter.
func (k *keptAnswer) Write(b []byte) (int, error) {
	k.begun = true
	return k.body.Write(b)
}

// WriteString implements io.StringWriter.
func (k *keptAnswer) WriteString(s string) (int, error) {
	k.begun = true
	return k.body.WriteString(s)
}

// Flush implements http.Flusher: the rest is waited for.
func (k *keptAnswer) Flush() { k.begun = true }

// Status implements gin.ResponseWriter.
func (k *keptAnswer) Status() int { return k.status }

// Size implements gin.ResponseWriter.
func (k *keptAnswer) Size() int { return k.body.Len() }

// Written implements gin.ResponseWriter.
func (k *keptAnswer) Written() bool { return k.begun }

// send sends the page that shows the answer or, where that is no JSON, the
// answer itself.
func (k *keptAnswer) send(c *gin.Context, show Show) {
	h, body := c.Writer.Header(), k.body.Bytes()
	if isJSON(h.Get("Content-Type")) {
		page, policy := show(c, Answer{Status: k.status, Header: h.Clone(), Body: body})
		setPage(h, policy)
		h.Set("Content-Length", strconv.Itoa(len(page)))
		h.Del("ETag")
		body = page
	}
	c.Writer.WriteHeader(k.status)
	c.Writer.WriteHeaderNow()
	_, _ = c.Writer.Write(body) // the client is gone: nobody to tell
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// setPage sets the headers of a page. Its forms go to where it came from, which
// browsers tell by Origin only if the page lets them.
func setPage(h http.Header, policy string) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin")
}
