package middleware

import (
	"bytes"
	"mime"
	"net/http"
	"slices"
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

// Browsing is how answers are shown as pages.
type Browsing struct {
	// Show makes the page for an answer.
	Show func(c *gin.Context, answer Answer) []byte
	// Policy is the Content-Security-Policy of such pages.
	Policy string
	// AtOnce is how many pages are made at a time, 1 at least: the rest wait.
	AtOnce int
	// Plain are the patterns of the paths that are answered as they are.
	Plain []string
}

// Browse finds out whether the client wants a page, for WantsPage too, and shows
// what is answered to GET and HEAD as one, where it is JSON. The handlers behind
// it, and what renders their errors, answer as they always do.
func Browse(b Browsing) gin.HandlerFunc {
	slots := make(chan struct{}, max(1, b.AtOnce))
	return func(c *gin.Context) {
		if slices.Contains(b.Plain, c.FullPath()) {
			return
		}
		wanted := wantsPage(c.Request)
		if wanted {
			c.Set(pageKey, true)
		}
		if !reads(c.Request) {
			return
		}
		h := c.Writer.Header()
		if vary := h["Vary"]; slices.Equal(vary, varyByCaller) {
			h["Vary"] = varyOfReads
		} else {
			h["Vary"] = append(vary, "Accept")
		}
		if !wanted {
			return
		}
		// The page has no ETag: it shows who is signed in, besides the answer.
		c.Request.Header.Del("If-None-Match")
		kept := &keptAnswer{ResponseWriter: c.Writer, status: http.StatusOK, head: c.Request.Method == http.MethodHead}
		c.Writer = kept
		c.Next()
		c.Writer = kept.ResponseWriter
		body := kept.body.Bytes()
		if h := c.Writer.Header(); isJSON(h.Get("Content-Type")) {
			body = nil
			if !kept.head {
				body = b.page(c, slots, kept)
			}
			SetPage(h, b.Policy)
			h.Del("ETag")
			h.Del("Content-Length")
			if !kept.head {
				h.Set("Content-Length", strconv.Itoa(len(body)))
			}
		}
		kept.send(body)
	}
}

// page makes the page of an answer, once there is a slot for it. Whoever has
// gone meanwhile is sent nothing.
func (b Browsing) page(c *gin.Context, slots chan struct{}, kept *keptAnswer) []byte {
	select {
	case slots <- struct{}{}:
	case <-c.Request.Context().Done():
		panic(http.ErrAbortHandler)
	}
	defer func() { <-slots }()
	return b.Show(c, Answer{Status: kept.status, Header: c.Writer.Header().Clone(), Body: kept.body.Bytes()})
}

// keptAnswer keeps an answer back, but for the body of one to HEAD, which nobody
// is sent. Its headers are those of the real one.
type keptAnswer struct {
	gin.ResponseWriter
	status int
	head   bool
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
	if k.head {
		return len(b), nil
	}
	return k.body.Write(b)
}

// WriteString implements io.StringWriter.
func (k *keptAnswer) WriteString(s string) (int, error) {
	k.begun = true
	if k.head {
		return len(s), nil
	}
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

// send writes a body with the answer's status. What was kept is let go before:
// the client may read slowly.
func (k *keptAnswer) send(body []byte) {
	k.body = bytes.Buffer{}
	k.ResponseWriter.WriteHeader(k.status)
	k.ResponseWriter.WriteHeaderNow()
	_, _ = k.ResponseWriter.Write(body) // the client is gone: nobody to tell
}

func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// SetPage sets the headers of a page. Its forms go to where it came from, which
// browsers tell by Origin only if the page lets them. No page is for all: it may
// show who is signed in.
func SetPage(h http.Header, policy string) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin")
	if strings.Contains(h.Get("Cache-Control"), "public") {
		h.Set("Cache-Control", "no-cache")
	}
}
