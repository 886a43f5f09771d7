package handlers

import (
	"cmp"
	"net/http"
	"regexp"
	"strings"

	"dueto/openapi"
	"dueto/services"
)

// Operation says what a handler takes and gives, for the API's description of
// itself. What follows from the route (who may call it, and what that is refused
// with) is not in it.
type Operation struct {
	// Text says more than the route's summary.
	Text string
	// Query lists the parameters that there are; others are refused.
	Query []Param
	// Body is what a request carries; nil is nothing.
	Body *openapi.Schema
	// BodyType is the media type of the body, where it is not JSON.
	BodyType string
	// Optional lets the body be absent.
	Optional bool
	// Answers are those to what succeeded.
	Answers []Answer
	// Fails lists the codes that the service adds to those of the route.
	Fails []services.Code
	// Clears says that cookies whose tokens are refused are taken away.
	Clears bool
	// Guarded says that If-Match is heeded.
	Guarded bool
	// Paged says that a browser is shown a page in place of JSON, of errors too.
	Paged bool
	// Cookies says which cookies stand in for the token of the body.
	Cookies Cookies
	// Plain says that no page shows the answer, whatever a client likes better.
	Plain bool
	// Storeless says that nothing is asked of the store.
	Storeless bool
}

// Cookies are kinds of cookies that carry tokens.
type Cookies uint8

// The kinds.
const (
	RefreshCookie Cookies = 1 << iota
	AccessCookies
)

// Param is a parameter of the query string. Handlers read it within the bounds of
// its schema.
type Param struct {
	Name   string
	Text   string
	Schema *openapi.Schema
}

// Answer is one way to succeed.
type Answer struct {
	Status int
	Text   string
	// Body is nil where there is none.
	Body *openapi.Schema
	// Type is the body's media type, where it is not JSON.
	Type string
	// Headers names what the answer has besides what all have.
	Headers []string
}

const mediaJSON = "application/json"

// MediaType gives the media type of the body.
func (a Answer) MediaType() string { return cmp.Or(a.Type, mediaJSON) }

// BodyMediaType gives the media type of what a request carries.
func (o Operation) BodyMediaType() string { return cmp.Or(o.BodyType, mediaJSON) }

// The headers that some answers have.
const (
	headerETag     = "ETag"
	headerLink     = "Link"
	headerLocation = "Location"
	headerTotal    = "X-Total-Count"
	headerCookies  = "Set-Cookie"
)

// ok is a 200 with a body.
func ok(text string, body *openapi.Schema, headers ...string) Answer {
	return Answer{Status: http.StatusOK, Text: text, Body: body, Headers: headers}
}

// created is the 201 of a new resource, whose place it tells.
func created(text string, body *openapi.Schema, headers ...string) Answer {
	return Answer{Status: http.StatusCreated, Text: text, Body: body, Headers: headers}
}

// accepted is the 202 of what is done later, if it is.
func accepted(text string) Answer {
	return Answer{Status: http.StatusAccepted, Text: text, Body: detailSchema}
}

// done is a 204.
func done(text string, headers ...string) Answer {
	return Answer{Status: http.StatusNoContent, Text: text, Headers: headers}
}

// unchanged is the 304 to an If-None-Match that holds.
func unchanged() Answer {
	return Answer{Status: http.StatusNotModified, Text: "It is as `If-None-Match` has it.", Headers: []string{headerETag}}
}

// tokenFails are the codes of tokens that are refused.
var tokenFails = []services.Code{services.CodeTokenExpired, services.CodeTokenNotValid, services.CodeUserInactive}

// Paging is how long pages are.
type Paging struct{ Default, Max int }

// pageParams are the parameters of a list that comes in pages.
func pageParams(paging Paging) []Param {
	size := &openapi.Schema{Type: openapi.Types{openapi.Integer}, Minimum: new(int64(1)), Maximum: new(int64(paging.Max)), Default: paging.Default}
	return []Param{
		{"page_size", "How many there are on a page.", size},
		{"cursor", "The place to go on from: the `Link` header of a page has it.", &openapi.Schema{Type: openapi.Types{openapi.String}, MinLength: new(int64(1))}},
		{"page", "A page by its number, in place of `cursor`; within the first 1,000,000 rows.",
			&openapi.Schema{Type: openapi.Types{openapi.Integer}, Minimum: new(int64(1)), Maximum: new(int64(services.MaxOffset))}},
	}
}

// listParams are the parameters of a list with sort keys and members to choose.
func listParams(paging Paging, keys, members []string, filters ...Param) []Param {
	list := append(pageParams(paging), choiceParam("count", "Adds `X-Total-Count`.", "exact"),
		Param{"ordering", "Sort keys, separated by commas: " + quoted(keys) + "; `-` before one is descending. By default by `id`, which also decides between equals.", commaList("-?", keys)},
		Param{"fields", "The members to answer with, separated by commas; all by default.", commaList("", members)})
	return append(list, filters...)
}

func quoted(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }

// commaList is a text that lists words.
func commaList(before string, words []string) *openapi.Schema {
	escaped := make([]string, len(words))
	for i, word := range words {
		escaped[i] = regexp.QuoteMeta(word)
	}
	one := " *" + before + "(" + strings.Join(escaped, "|") + ") *"
	return &openapi.Schema{Type: openapi.Types{openapi.String}, Pattern: "^" + one + "(," + one + ")*$"}
}

func boolParam(name, text string) Param {
	return Param{name, text, &openapi.Schema{Type: openapi.Types{openapi.Boolean}}}
}

func idParam(name, text string) Param {
	return Param{name, text, idSchema("")}
}

func timeParam(name, text string) Param {
	return Param{name, text + " A time with an offset; in a URL, `+` is written `%2B`.", timeSchema("")}
}

// memberParam is bounded as a member of the resource is.
func memberParam(name, text string, resource *openapi.Schema, member string) Param {
	s := *resource.Properties.Get(member)
	s.Description = ""
	return Param{name, text, &s}
}

func choiceParam(name, text string, words ...string) Param {
	return Param{name, text, &openapi.Schema{Type: openapi.Types{openapi.String}, Enum: anyOf(words)}}
}
