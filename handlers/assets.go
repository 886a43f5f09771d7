package handlers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// AssetRead describes GET /static/{name}.
var AssetRead = Operation{
	Text:  "Style sheets, scripts and pictures of pages, named with a hash of their content.",
	Plain: true, Storeless: true, Fails: []services.Code{services.CodeNotFound},
	Answers: []Answer{
		{Status: http.StatusOK, Text: "The file.", Body: textSchema(""), Type: "text/css", Headers: []string{headerETag}},
		{Status: http.StatusOK, Text: "The file.", Body: textSchema(""), Type: "text/javascript", Headers: []string{headerETag}},
		{Status: http.StatusOK, Text: "The file.", Body: textSchema(""), Type: "image/svg+xml", Headers: []string{headerETag}},
		unchanged(),
	},
}

// assetCache lets everybody keep a file for good: another version has another name.
var assetCache = []string{"public, max-age=31536000, immutable"}

// Asset answers GET /static/{name} with what read gives: a file of a page, its
// type and its version, or no type where there is none of that name.
func Asset(read func(name string) (body []byte, contentType, version string)) Func {
	return func(c *gin.Context) error {
		body, contentType, version := read(c.Param("name"))
		if contentType == "" {
			return services.ErrNotFound
		}
		c.Writer.Header()["Cache-Control"] = assetCache
		if notModified(c, version) {
			return nil
		}
		return sendAs(c, http.StatusOK, []string{contentType}, body)
	}
}
