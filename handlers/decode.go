package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"dueto/services"
)

// maxDepth is how deep a body may nest.
const maxDepth = 32

func malformed(message string) error {
	return services.NewError(services.CodeMalformed, message)
}

// readObject reads the body as one JSON object (RFC 8259) and gives its members
// undecoded. It refuses what parsers disagree on: repeated members, invalid
// UTF-8, lone surrogates, NUL, data after the object.
func readObject(c *gin.Context) (map[string]json.RawMessage, error) {
	body, err := readBody(c)
	if err != nil {
		return nil, err
	}
	if err := scan(body); err != nil {
		return nil, err
	}
	members, err := splitMembers(body)
	if err == nil && members == nil {
		return nil, malformed("JSON parse error: the body must be an object.")
	}
	return members, err
}

// readBody reads a body that says it is JSON.
func readBody(c *gin.Context) ([]byte, error) {
	if c.Request.Body == nil || c.Request.Body == http.NoBody {
		return nil, malformed("The request has no body; send a JSON object.")
	}
	h := c.Request.Header
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	if err != nil || media != "application/json" || (charset != "" && charset != "utf-8") || h.Get("Content-Encoding") != "" {
		return nil, services.NewError(services.CodeUnsupportedMedia, "Send the body as Content-Type: application/json.")
	}
	body, err := io.ReadAll(c.Request.Body)
	switch {
	case err != nil:
		return nil, unreadable(err)
	case len(bytes.TrimSpace(body)) == 0:
		return nil, malformed("The request has no body; send a JSON object.")
	}
	return body, nil
}

// unreadable says why a body could not be read.
func unreadable(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return services.NewError(services.CodeTooLarge, "The body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes.")
	}
	return malformed("The body could not be read to its end.")
}

// scan checks that the body is JSON, and what a parser would let pass or
// correct silently.
func scan(body []byte) error {
	if !utf8.Valid(body) {
		return malformed("JSON parse error: the body is not valid UTF-8.")
	}
	if err := scanText(body); err != nil {
		return err
	}
	if !json.Valid(body) {
		return malformed(syntaxError(body))
	}
	return nil
}

// scanText looks at depth and escapes; grammar is left to the parser.
func scanText(body []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case inString && b == '\\':
			skip, err := scanEscape(body[i:])
			if err != nil {
				return err
			}
			i += skip
		case b == '"':
			inString = !inString
		case !inString && (b == '{' || b == '['):
			if depth++; depth > maxDepth {
				return malformed("JSON parse error: nested deeper than " + strconv.Itoa(maxDepth) + " levels.")
			}
		case !inString && (b == '}' || b == ']'):
			depth--
		}
	}
	return nil
}

// scanEscape looks at an escape sequence and gives how many bytes follow its
// backslash.
func scanEscape(s []byte) (skip int, err error) {
	first, ok := hexEscape(s)
	if !ok {
		return 1, nil
	}
	if first == 0 {
		return 0, malformed("JSON parse error: a text contains a NUL character.")
	}
	if first < 0xD800 || first > 0xDFFF {
		return 5, nil
	}
	second, ok := hexEscape(s[6:])
	if first > 0xDBFF || !ok || second < 0xDC00 || second > 0xDFFF {
		return 0, malformed("JSON parse error: a text contains half a surrogate pair.")
	}
	return 11, nil
}

// hexEscape gives the code unit of a leading \uXXXX.
func hexEscape(s []byte) (uint64, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[2:6]), 16, 32)
	return n, err == nil
}

// syntaxError says where a body stops being JSON.
func syntaxError(body []byte) string {
	var v any
	var syntax *json.SyntaxError
	if err := json.Unmarshal(body, &v); errors.As(err, &syntax) {
		before := body[:min(int(syntax.Offset), len(body))]
		line := 1 + bytes.Count(before, []byte{'\n'})
		column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
		return "JSON parse error: " + strings.TrimPrefix(syntax.Error(), "json: ") +
			" (line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column) + ")."
	}
	return "JSON parse error: the body is not JSON."
}

// clip shortens what a client sent, to be quoted back.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}
