package routes

import (
	"net/http"
	"slices"
	"strings"

	"dueto/handlers"
	"dueto/middleware"
	"dueto/openapi"
	"dueto/services"
)

// refusals gives the codes that a route is refused with, by status. They follow
// from its doors, and from what its handler takes.
func (d *describer) refusals(route Route) map[int][]services.Code {
	all := map[int][]services.Code{}
	add := func(codes ...services.Code) {
		for _, code := range codes {
			status := middleware.Status(code)
			if !slices.Contains(all[status], code) {
				all[status] = append(all[status], code)
			}
		}
	}
	does, authenticated := route.Does, route.Access != Credentials
	add(services.CodeInternal)
	add(does.Fails...)
	if !handlers.TakesAny(does.Query) || does.Body != nil {
		add(services.CodeInvalid, services.CodeMalformed)
	}
	if does.Body != nil {
		add(services.CodeTooLarge, services.CodeUnsupportedMedia)
	}
	if authenticated {
		add(services.CodeTokenExpired, services.CodeTokenNotValid, services.CodeUserInactive)
	}
	if route.Access == SignedIn || (route.Access == Reader && d.closed()) {
		add(services.CodeNotAuthenticated)
	}
	if authenticated && route.Scope != services.AnyScope {
		add(services.CodePermissionDenied)
	}
	if unsafe(route.Method) {
		add(services.CodeCSRF)
	}
	if strings.Contains(route.Path, ":id") && route.Method != http.MethodOptions {
		add(services.CodeNotFound)
	}
	if does.Guarded {
		add(services.CodePrecondition)
	}
	if route.Rate != services.RateExempt {
		add(services.CodeThrottled)
	}
	if !does.Storeless && (authenticated || route.Method != http.MethodOptions) {
		add(services.CodeBusy, services.CodeStorage, services.CodeTimeout)
	}
	for status := range all {
		slices.Sort(all[status])
	}
	return all
}

// refusal gives a refusal, which is described once for all routes that have it.
func (d *describer) refusal(route Route, status int, codes []services.Code) openapi.Response {
	name := refusalName(codes)
	body := problemSchema(name+"Problem", codes)
	switch {
	case route.Method == http.MethodHead:
		name += "Head"
	case refusedAsPage(route, status):
		name += "Page"
	}
	headers := refusalHeaders(status)
	if status == http.StatusUnauthorized && route.Does.Clears {
		name, headers = name+"AndCleared", append(headers, "Set-Cookie")
	}
	if _, known := d.parts.Responses[name]; !known {
		r := openapi.Response{Description: http.StatusText(status) + ": " + strings.Join(meanings(codes), "; ") + ".", Headers: headerRefs(headers)}
		if route.Method != http.MethodHead {
			r.Content = map[string]openapi.Media{"application/problem+json": {Schema: d.schema(body), Examples: d.examples.refusals(codes)}}
			if refusedAsPage(route, status) {
				r.Content[mediaHTML] = page
			}
		}
		d.parts.Responses[name] = r
	}
	return openapi.Response{Ref: "#/components/responses/" + name}
}

// refusedAsPage reports whether a browser is shown a refusal as a page. A form
// is answered with JSON where it does not get to its handler's rules.
func refusedAsPage(route Route, status int) bool {
	switch status {
	case http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusTooManyRequests:
		return route.Does.Paged && !unsafe(route.Method)
	}
	return route.Does.Paged
}

var page = openapi.Media{Schema: &openapi.Schema{Type: openapi.Types{openapi.String}, Description: "A page for people."}}

// refusalNames are of refusals with several codes.
var refusalNames = map[string]string{
	"invalid malformed": "Invalid",
	"not_authenticated token_expired token_not_valid user_inactive": "Unauthorized",
	"token_expired token_not_valid user_inactive":                   "TokenRefused",
	"csrf_failed permission_denied":                                 "Forbidden",
	"busy storage_unavailable timeout":                              "Unavailable",
}

// refusalKey is how refusalNames lists codes, which are sorted.
func refusalKey(codes []services.Code) string {
	words := make([]string, len(codes))
	for i, code := range codes {
		words[i] = string(code)
	}
	return strings.Join(words, " ")
}

// refusalName names a refusal by its codes; one of a single code is named after
// it.
func refusalName(codes []services.Code) string {
	key := refusalKey(codes)
	if name := refusalNames[key]; name != "" {
		return name
	}
	var name strings.Builder
	for _, part := range strings.FieldsFunc(key, func(r rune) bool { return r == '_' || r == ' ' }) {
		name.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return name.String()
}

// meaning says what a code means.
var meaning = map[services.Code]string{
	services.CodeInvalid:          "a member or parameter is wrong, see `errors`",
	services.CodeMalformed:        "the body is not JSON, the query string not well-formed, or there are two credentials",
	services.CodeNotAuthenticated: "there is no credential",
	services.CodeTokenNotValid:    "the token is not good",
	services.CodeTokenExpired:     "the token's time is over",
	services.CodeUserInactive:     "the account was deactivated or deleted",
	services.CodeNoActiveAccount:  "the login failed, whatever the reason",
	services.CodePermissionDenied: "one may not do that, or the API token lacks the word for it",
	services.CodeNotFound:         "there is no such thing, or one may not see it",
	services.CodeAlreadyActive:    "the link was used",
	services.CodeConflict:         "the state of things forbids it",
	services.CodeCSRF:             "by cookie and without the right `X-CSRFToken`, or sent by a page of another origin",
	services.CodePrecondition:     "it changed since it was read",
	services.CodeTooLarge:         "the body is over 1 MiB",
	services.CodeUnsupportedMedia: "the body is of another type",
	services.CodeThrottled:        "too many requests, or too many failures",
	services.CodeBusy:             "too many ask for the same just now",
	services.CodeStorage:          "the store is away",
	services.CodeTimeout:          "it took too long",
	services.CodeInternal:         "a defect, which the log has under the request's id",
}

func meanings(codes []services.Code) []string {
	list := make([]string, len(codes))
	for i, code := range codes {
		list[i] = "`" + string(code) + "`, " + meaning[code]
	}
	return list
}

// problem is the body of every refusal.
var problem = func() *openapi.Schema {
	s := openapi.Of[middleware.Problem]("Problem", "What went wrong (RFC 9457).")
	s.Properties.Get("type").Const = "about:blank"
	return s
}()

// problemSchema describes the body of a refusal with some codes.
func problemSchema(title string, codes []services.Code) *openapi.Schema {
	code := &openapi.Schema{Type: openapi.Types{openapi.String}}
	for _, c := range codes {
		code.Enum = append(code.Enum, c)
	}
	return &openapi.Schema{Title: title, AllOf: []*openapi.Schema{
		problem, {Type: openapi.Types{openapi.Object}, Properties: openapi.Properties{{Name: "code", Schema: code}}},
	}}
}

// everywhere are the headers of every answer.
var everywhere = []string{"Cache-Control", "Vary", "X-Request-Id"}

func refusalHeaders(status int) []string {
	names := slices.Clone(everywhere)
	switch status {
	case http.StatusUnauthorized:
		names = append(names, "WWW-Authenticate")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		names = append(names, "Retry-After")
	}
	return names
}

func headerRefs(names []string) map[string]openapi.Header {
	refs := map[string]openapi.Header{}
	for _, name := range names {
		refs[name] = openapi.Header{Ref: "#/components/headers/" + name}
	}
	return refs
}

// headers describes the headers of answers.
func headers() map[string]openapi.Header {
	text := &openapi.Schema{Type: openapi.Types{openapi.String}}
	number := &openapi.Schema{Type: openapi.Types{openapi.Integer}, Minimum: new(int64(0))}
	cookies := &openapi.Schema{Type: openapi.Types{openapi.String}, Pattern: "^(csrftoken|jwt_access|jwt_access_payload|jwt_access_token|jwt_refresh)="}
	return map[string]openapi.Header{
		"Allow":            {Schema: text, Required: true, Description: "The methods of the path."},
		"Cache-Control":    {Schema: text, Required: true, Description: "`no-store` where somebody was signed in, and of errors; else `no-cache`: what anybody may read can be kept, and asked for anew with `If-None-Match`."},
		"Content-Encoding": {Schema: text, Description: "`gzip` where the client takes it."},
		"ETag":             {Schema: text, Required: true, Description: "The version, for `If-None-Match` and `If-Match`."},
		"Link":             {Schema: text, Description: "Where the neighbours of the page are: `rel=\"next\"` and `rel=\"prev\"` (RFC 8288)."},
		"Location":         {Schema: &openapi.Schema{Type: openapi.Types{openapi.String}, Format: "uri"}, Required: true, Description: "Where the new resource is."},
		"Retry-After":      {Schema: number, Required: true, Description: "After how many seconds to try again."},
		"Set-Cookie":       {Schema: cookies, Description: "Cookies that carry tokens, or that take them away; one in each field."},
		"Vary":             {Schema: text, Required: true, Description: "The request's headers that the answer depends on."},
		"WWW-Authenticate": {Schema: text, Required: true, Description: "`Bearer`, with `error=\"invalid_token\"` where a token was sent and refused (RFC 6750)."},
		"X-Request-Id":     {Schema: text, Required: true, Description: "The id of the request, which the log has too."},
		"X-Total-Count":    {Schema: number, Description: "How many there are in all, with `count=exact`."},
	}
}
