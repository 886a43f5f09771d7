package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// DocsRead describes GET /docs.
var DocsRead = Operation{
	Text:  "Signs in, and sends what is written there to this server.",
	Plain: true, Storeless: true,
	Answers: []Answer{
		{Status: http.StatusOK, Text: "The page.", Body: textSchema(""), Type: "text/html", Headers: []string{headerETag}},
		unchanged(),
	},
}

// DocsFileRead describes GET /docs/{name}.
var DocsFileRead = Operation{
	Text:  "The style sheets and scripts of the page, named with a hash of their content.",
	Plain: true, Storeless: true, Fails: []services.Code{services.CodeNotFound},
	Answers: []Answer{
		{Status: http.StatusOK, Text: "The file.", Body: textSchema(""), Type: "text/css", Headers: []string{headerETag, "Content-Encoding"}},
		{Status: http.StatusOK, Text: "The file.", Body: textSchema(""), Type: "text/javascript", Headers: []string{headerETag, "Content-Encoding"}},
		unchanged(),
	},
}

// Docs is the page on which people read and try the API.
type Docs interface {
	// Page gives the page, its Content-Security-Policy, and a version that is
	// another for other bytes.
	Page() (body []byte, policy, version string)
	// File gives a file that the page loads, or nil, with its type and version.
	// It may be packed with gzip where that is wanted.
	File(name string, gzip bool) (body []byte, mediaType, version string, packed bool)
}

// DocsHandler answers for /docs.
type DocsHandler struct{ docs Docs }

// NewDocsHandler makes the handler.
func NewDocsHandler(docs Docs) *DocsHandler { return &DocsHandler{docs: docs} }

var (
	// docsCache has a client ask each time whether the page is still the same.
	docsCache = []string{"public, no-cache"}
	// docsFileCache lets everybody keep a file for good: another version has
	// another name.
	docsFileCache = []string{"public, max-age=31536000, immutable"}
)

// Page answers GET /docs, whatever is asked for: there is nothing else to give.
func (h *DocsHandler) Page(c *gin.Context) error {
	page, policy, version := h.docs.Page()
	header := c.Writer.Header()
	header["Cache-Control"] = docsCache
	header.Set("Content-Security-Policy", policy)
	if notModified(c, version) {
		return nil
	}
	return sendAs(c, http.StatusOK, []string{"text/html; charset=utf-8"}, page)
}

// File answers GET /docs/{name} with a file of the page.
func (h *DocsHandler) File(c *gin.Context) error {
	body, mediaType, version, packed := h.docs.File(c.Param("name"), takesGzip(c.Request))
	if body == nil {
		return services.ErrNotFound
	}
	header := c.Writer.Header()
	header["Cache-Control"] = docsFileCache
	header.Add("Vary", "Accept-Encoding")
	if notModified(c, version) {
		return nil
	}
	if packed {
		header.Set("Content-Encoding", "gzip")
	}
	return sendAs(c, http.StatusOK, []string{mediaType}, body)
}

// takesGzip reports whether a client can unpack gzip (RFC 9110, 12.5.3).
func takesGzip(r *http.Request) bool {
	named, any := -1.0, -1.0 // weights, of gzip and of what is not named
	for _, field := range r.Header["Accept-Encoding"] {
		for part := range strings.SplitSeq(field, ",") {
			coding, parameter, _ := strings.Cut(part, ";")
			weight := 1.0
			if q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameter)), "q="); ok {
				weight, _ = strconv.ParseFloat(q, 64) // what is no number is none that it takes
			}
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				named = weight
			case "*":
				any = weight
			}
		}
	}
	return named > 0 || (named < 0 && any > 0)
}
