package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// AssetRead describes GET /static/{name}.
var AssetRead = Operation{
	Text:  "Style sheets, scripts and pictures of pages, named with a hash of their content.",
	Plain: true, Storeless: true, Fails: []services.Code{services.CodeNotFound},
	Answers: []Answer{assetAnswer("text/css"), assetAnswer("text/javascript"), assetAnswer("image/svg+xml"), unchanged()},
}

func assetAnswer(mediaType string) Answer {
	return Answer{
		Status: http.StatusOK, Text: "The file.", Body: textSchema(""), Type: mediaType, Headers: []string{headerETag, "Content-Encoding"},
	}
}

// assetCache lets everybody keep a file for good: another version has another name.
var assetCache = []string{"public, max-age=31536000, immutable"}

// Asset answers GET /static/{name} with what read gives: a file of a page, its
// type and its version, or no type where there is none of that name. It may be
// packed with gzip where that is taken.
func Asset(read func(name string, gzip bool) (body []byte, mediaType, version string, packed bool)) Func {
	return func(c *gin.Context) error {
		body, mediaType, version, packed := read(c.Param("name"), takesGzip(c.Request))
		if mediaType == "" {
			return services.ErrNotFound
		}
		header := c.Writer.Header()
		header["Cache-Control"] = assetCache
		header.Add("Vary", "Accept-Encoding")
		if notModified(c, version) {
			return nil
		}
		if packed {
			header.Set("Content-Encoding", "gzip")
		}
		return sendAs(c, http.StatusOK, []string{mediaType}, body)
	}
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
