package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/gin-gonic/gin"
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

// docsCache has a client ask each time whether the page is still the same.
var docsCache = []string{"public, no-cache"}

// Docs answers GET /docs with the page on which people read and try the API,
// whatever is asked for: there is nothing else to give.
func Docs(page []byte, policy string) Func {
	sum := sha256.Sum256(page)
	version := hex.EncodeToString(sum[:8])
	return func(c *gin.Context) error {
		header := c.Writer.Header()
		header["Cache-Control"] = docsCache
		header.Set("Content-Security-Policy", policy)
		if notModified(c, version) {
			return nil
		}
		return sendAs(c, http.StatusOK, []string{"text/html; charset=utf-8"}, page)
	}
}
