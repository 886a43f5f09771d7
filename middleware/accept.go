package middleware

import (
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

const pageKey = "dueto.page"

// WantsPage reports whether a page is what the client wants, as Browse has found
// out.
func WantsPage(c *gin.Context) bool { return c.GetBool(pageKey) }

// formatJSON and formatHTML are what ?format= takes, for GET and HEAD.
const formatJSON, formatHTML = "json", "html"

// wantsPage reports whether a request is to be answered by a page: where
// ?format= says so or, without it, where its Accept fields do. The parameter is
// taken out of the query, so that neither the route nor its links have it; a
// value that is neither stays there, for the route to refuse.
func wantsPage(r *http.Request) bool {
	if reads(r) && strings.Contains(r.URL.RawQuery, "format") {
		if format := takeFormat(r.URL); format != "" {
			return format == formatHTML
		}
	}
	return prefersHTML(r.Header["Accept"])
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

func takeFormat(u *url.URL) string {
	var formats, rest []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil && decoded == "format" {
			formats = append(formats, value)
		} else {
			rest = append(rest, pair)
		}
	}
	if len(formats) != 1 || (formats[0] != formatHTML && formats[0] != formatJSON) {
		return ""
	}
	u.RawQuery = strings.Join(rest, "&")
	return formats[0]
}

// prefersHTML reports whether Accept fields want text/html more than
// application/json (RFC 9110, 12.5.1). Where they want both alike, as */* does,
// it is a program that asks.
func prefersHTML(accept []string) bool {
	if len(accept) == 0 || (len(accept) == 1 && (accept[0] == "*/*" || accept[0] == "application/json")) {
		return false
	}
	html, json := quality{}, quality{}
	for _, field := range accept {
		for part := range strings.SplitSeq(field, ",") {
			media, params, err := mime.ParseMediaType(part)
			weight, ok := weigh(params)
			if err != nil || !ok {
				continue // what is not well-formed says nothing
			}
			html.take(media, "text/*", "text/html", weight)
			json.take(media, "application/*", "application/json", weight)
		}
	}
	return html.weight > json.weight
}

// quality is how much a type is wanted, by the range that fits it best.
type quality struct {
	fit    int
	weight float64
}

func (q *quality) take(media, class, exact string, weight float64) {
	fit := 1 + slices.Index([]string{"*/*", class, exact}, media)
	if fit > q.fit || (fit > 0 && fit == q.fit && weight > q.weight) {
		q.fit, q.weight = fit, weight
	}
}

// qvalue is a weight as RFC 9110, 12.4.2 has it.
var qvalue = regexp.MustCompile(`^(0(\.\d{0,3})?|1(\.0{0,3})?)$`)

// weigh gives the weight of a range, 1 where it has none. A range with another
// parameter than a charset that is ours is of something that we do not have.
func weigh(params map[string]string) (weight float64, ok bool) {
	weight = 1
	for name, value := range params {
		switch {
		case name == "q" && qvalue.MatchString(value):
			weight, _ = strconv.ParseFloat(value, 64)
		case name == "charset" && strings.EqualFold(value, "utf-8"):
		default:
			return 0, false
		}
	}
	return weight, true
}
