package routes

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dueto/config"
	"dueto/handlers"
	"dueto/openapi"
	"dueto/services"
)

// apiVersion moves when a client that keeps to the document has to change.
const apiVersion = "1"

const apiDescription = `Tasks and accounts. JSON in UTF-8 in and out; each path is the same with and without a slash at its end.

- **Signing in**: ` + "`POST /auth/login`" + ` gives tokens, or cookies; programs use API tokens. A bad credential is refused, and never taken for none.
- **Members and parameters** that there are not are refused by name. Members that only the server sets may be sent back, and are ignored.
- **Times** are RFC 3339 with an offset, and come back in UTC.
- **Lists** are arrays. The ` + "`Link`" + ` header leads to their neighbours.
- **Versions**: what has an ` + "`ETag`" + ` takes it in ` + "`If-None-Match`" + ` (304 while nothing changed) and ` + "`If-Match`" + ` (412 once something did).
- **Errors** are ` + "`application/problem+json`" + `, with a ` + "`code`" + ` for programs and a ` + "`detail`" + ` for people.
- **Browsers** are shown what is answered to GET as a page, of errors too: whoever likes ` + "`text/html`" + ` better in ` + "`Accept`" + `, or asks for ` + "`format=html`" + `. The paths below have the JSON alone, but for those with pages of their own.
- ` + "`X-Request-Id`" + ` is taken from the request or made, and answered.`

// The groups of operations, in the order in which they are shown.
const (
	tagTasks    = "tasks"
	tagUsers    = "users"
	tagAuth     = "auth"
	tagSessions = "sessions"
	tagTokens   = "tokens"
	tagServer   = "server"
	tagImplied  = "head and options"
)

var tags = []openapi.Tag{
	{Name: tagTasks, Description: "What is to be done, by whom and when."},
	{Name: tagUsers, Description: "Accounts, one's own among them."},
	{Name: tagAuth, Description: "Accounts and their passwords, for those who are not signed in yet; tokens."},
	{Name: tagSessions, Description: "The logins of one's account."},
	{Name: tagTokens, Description: "API tokens, by which programs act for one's account."},
	{Name: tagServer, Description: "The server itself."},
	{Name: tagImplied, Description: "HEAD wherever GET is, and OPTIONS on every path."},
}

// tagOfWord has the group of the operations whose ID begins with a word.
var tagOfWord = map[string]string{
	"tasks": tagTasks, "users": tagUsers, "me": tagUsers, "auth": tagAuth, "sessions": tagSessions, "tokens": tagTokens,
	"root": tagServer, "health": tagServer, "jwks": tagServer, "openapi": tagServer, "docs": tagServer, "asset": tagServer,
}

// tagOf gives the group of a route. One whose ID begins with another word is a
// mistake that every start of a server shows.
func tagOf(route Route) string {
	if route.Method == http.MethodHead || route.Method == http.MethodOptions {
		return tagImplied
	}
	word, _, _ := strings.Cut(route.ID, "_")
	tag := tagOfWord[word]
	if tag == "" {
		panic("no group has the operation " + route.ID)
	}
	return tag
}

// describer makes the document of a server with some settings.
type describer struct {
	config   config.Config
	examples examples
	parts    openapi.Components
}

// Document describes the API as a server with these settings serves it. Config
// must have its PublicURL set.
func Document(c config.Config) *openapi.Document {
	d := &describer{config: c, examples: readExamples(strings.TrimRight(c.PublicURL, "/")).in(c.AuthModes), parts: openapi.Components{
		Schemas: map[string]*openapi.Schema{}, Responses: map[string]openapi.Response{},
		Headers: headers(), SecuritySchemes: securitySchemes(c.AuthModes),
	}}
	if len(cookieSchemes(c.AuthModes, handlers.RefreshCookie)) == 0 {
		delete(d.parts.Headers, "Set-Cookie")
	}
	paths := map[string]openapi.PathItem{}
	for _, route := range withImplied(tableOf(c)) {
		path := parameter.ReplaceAllString(route.Path, "{$1}")
		if paths[path] == nil {
			paths[path] = openapi.PathItem{}
		}
		paths[path][strings.ToLower(route.Method)] = d.operation(route)
	}
	return &openapi.Document{
		OpenAPI: openapi.Version,
		Info: openapi.Info{
			Title: "Dueto", Summary: "A task API with accounts.", Description: apiDescription, Version: apiVersion,
			License: &openapi.License{Name: "MIT", Identifier: "MIT"},
		},
		Servers: []openapi.Server{{URL: cmp.Or(strings.TrimRight(c.PublicURL, "/"), "/"), Description: "This server."}},
		Tags:    tags, Paths: paths, Components: d.parts,
	}
}

var parameter = regexp.MustCompile(`:(\w+)`)

func (d *describer) operation(route Route) *openapi.Operation {
	op := &openapi.Operation{
		ID: route.ID, Tags: []string{tagOf(route)}, Summary: route.Summary, Description: route.Does.Text,
		Parameters: d.parameters(route), Responses: d.responses(route), Security: d.security(route),
	}
	if route.Method == http.MethodHead {
		op.Summary, op.Description = "As GET, without the body: "+strings.ToLower(route.Summary[:1])+route.Summary[1:], ""
	}
	if body := route.Does.Body; body != nil {
		media := openapi.Media{Schema: d.schema(body), Examples: d.examples.requests(route.ID)}
		op.RequestBody = &openapi.RequestBody{Required: !route.Does.Optional, Content: map[string]openapi.Media{route.Does.BodyMediaType(): media}}
	}
	return op
}

func (d *describer) parameters(route Route) (list []openapi.Parameter) {
	for _, found := range parameter.FindAllStringSubmatch(route.Path, -1) {
		list = append(list, pathParameter(found[1]))
	}
	if handlers.TakesAny(route.Does.Query) {
		list = append(list, anyParameters)
	} else {
		for _, p := range route.Does.Query {
			list = append(list, openapi.Parameter{Name: p.Name, In: "query", Description: p.Text, Schema: d.named(p.Schema)})
		}
	}
	if browsable(route) {
		list = append(list, formatParameter)
	}
	etag := &openapi.Schema{Type: openapi.Types{openapi.String}}
	if slices.ContainsFunc(route.Does.Answers, func(a handlers.Answer) bool { return a.Status == http.StatusNotModified }) {
		list = append(list, openapi.Parameter{Name: "If-None-Match", In: "header", Schema: etag,
			Description: "ETags of what the client has, or `*`: answered with 304 while one of them holds."})
	}
	if route.Does.Guarded {
		list = append(list, openapi.Parameter{Name: "If-Match", In: "header", Schema: etag,
			Description: "ETags of what the client has seen, or `*`: refused with 412 where none of them holds any more."})
	}
	return list
}

// anyParameters are those that a link may have besides its own path: each is a
// member of the object (the style of forms).
var anyParameters = openapi.Parameter{Name: "others", In: "query", Description: "What mail programs and trackers add to a link. It is not looked at.",
	Schema: &openapi.Schema{Type: openapi.Types{openapi.Object}, AdditionalProperties: &openapi.Schema{Type: openapi.Types{openapi.String}}}}

// formatParameter has the last word on what a browser is shown.
var formatParameter = openapi.Parameter{Name: "format", In: "query", Description: "JSON, or a page for people. Without it, `Accept` decides.",
	Schema: &openapi.Schema{Type: openapi.Types{openapi.String}, Enum: []any{"json", "html"}}}

func pathParameter(name string) openapi.Parameter {
	p := openapi.Parameter{
		Name: name, In: "path", Required: true, Description: "What the link ends with.",
		Schema: &openapi.Schema{Type: openapi.Types{openapi.String}, MinLength: new(int64(1))},
	}
	if name == "id" {
		p.Description = "The number of it."
		p.Schema = &openapi.Schema{Type: openapi.Types{openapi.Integer}, Format: "int64", Minimum: new(int64(1))}
	}
	return p
}

// responses gives the answers to what succeeded, and the refusals.
func (d *describer) responses(route Route) map[string]openapi.Response {
	all := map[string]openapi.Response{}
	for _, answer := range route.Does.Answers {
		r := openapi.Response{Description: answer.Text, Headers: headerRefs(append(slices.Clone(everywhere), answer.Headers...))}
		if answer.Body != nil && route.Method != http.MethodHead {
			r.Content = map[string]openapi.Media{answer.MediaType(): {
				Schema: d.schema(answer.Body), Examples: d.examples.answers(route.ID, answer.Status),
			}}
			if route.Does.Paged {
				r.Content[mediaHTML] = page
			}
		}
		status := strconv.Itoa(answer.Status)
		if same, ok := all[status]; ok {
			r = otherType(route.ID+" "+status, same, r)
		}
		all[status] = r
	}
	if route.Method == http.MethodOptions && len(d.config.CORSOrigins) > 0 {
		all["204"] = openapi.Response{Description: "The answer to a preflight, which a browser asks with by itself.", Headers: headerRefs([]string{"Vary"})}
	}
	for status, codes := range d.refusals(route) {
		all[strconv.Itoa(status)] = d.refusal(route, status, codes)
	}
	return all
}

// otherType gives an answer that may be of the types of two. Only those may be
// different: an operation that says two things of one status is a mistake in its
// table, and panics.
func otherType(what string, first, second openapi.Response) openapi.Response {
	if first.Description != second.Description || !maps.Equal(first.Headers, second.Headers) {
		panic("openapi: " + what + " is described in two ways")
	}
	content := map[string]openapi.Media{}
	maps.Copy(content, first.Content)
	maps.Copy(content, second.Content)
	if len(content) != len(first.Content)+len(second.Content) || (len(first.Content) == 0) != (len(second.Content) == 0) {
		panic("openapi: " + what + " is described twice in one type, or once without a body")
	}
	first.Content = content
	return first
}

// named gives a parameter's schema: one with a title is among the components.
func (d *describer) named(s *openapi.Schema) *openapi.Schema {
	if s.Title == "" {
		return s
	}
	return d.schema(s)
}

// schema gives a schema to be written where it is used: one with a title is
// among the components, once.
func (d *describer) schema(s *openapi.Schema) *openapi.Schema {
	if s == nil || s.Title == "" {
		return d.inner(s)
	}
	if _, known := d.parts.Schemas[s.Title]; !known {
		d.parts.Schemas[s.Title] = d.inner(s)
	}
	return &openapi.Schema{Ref: "#/components/schemas/" + s.Title}
}

// shownDefault names a default in a sentence.
func shownDefault(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // of what tables have: cannot fail
	}
	if string(text) == `""` || string(text) == "[]" {
		return "empty"
	}
	return "`" + strings.Trim(string(text), `"`) + "`"
}

// inner is a copy of a schema whose parts are as schema gives them. What a member
// is by default is said in words there.
func (d *describer) inner(s *openapi.Schema) *openapi.Schema {
	if s == nil {
		return nil
	}
	out := *s
	out.Title = ""
	if s.Default != nil { // which generated types would take as always being there
		out.Default, out.Description = nil, strings.TrimSpace(s.Description+" By default "+shownDefault(s.Default)+".")
	}
	out.Items = d.schema(s.Items)
	out.Properties = slices.Clone(s.Properties)
	for i, p := range out.Properties {
		out.Properties[i].Schema = d.schema(p.Schema)
	}
	out.OneOf = slices.Clone(s.OneOf)
	for i, one := range out.OneOf {
		out.OneOf[i] = d.schema(one)
	}
	out.AllOf = slices.Clone(s.AllOf)
	for i, one := range out.AllOf {
		out.AllOf[i] = d.schema(one)
	}
	if more, ok := s.AdditionalProperties.(*openapi.Schema); ok {
		out.AdditionalProperties = d.schema(more)
	}
	return &out
}

// security lists what opens the door of a route: each by itself is enough.
func (d *describer) security(route Route) []openapi.Requirement {
	list := []openapi.Requirement{}
	if route.Access == Credentials {
		return append(list, d.cookieSecurity(route, route.Does.Cookies)...)
	}
	if route.Access == Anyone || (route.Access == Reader && !d.closed()) {
		list = append(list, openapi.Requirement{})
	}
	list = append(list, openapi.Requirement{schemeBearer: {}})
	if route.Scope != "" {
		list = append(list, openapi.Requirement{schemeToken: {}})
	}
	return append(list, d.cookieSecurity(route, handlers.AccessCookies)...)
}

// cookieSecurity lists the cookies that open a door, each with its proof where a
// change may be asked for. Where the body may have the token, none is needed.
func (d *describer) cookieSecurity(route Route, cookies handlers.Cookies) (list []openapi.Requirement) {
	if route.Access == Credentials && cookies != 0 {
		list = append(list, openapi.Requirement{})
	}
	for _, scheme := range cookieSchemes(d.config.AuthModes, cookies) {
		needed := openapi.Requirement{scheme: {}}
		if unsafe(route.Method) {
			needed[schemeCSRF] = []string{}
		}
		list = append(list, needed)
	}
	return list
}

// closed reports whether reads need an account too.
func (d *describer) closed() bool { return d.config.ReadAccess != "public" }

func unsafe(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// The security schemes.
const (
	schemeBearer  = "bearer"
	schemeToken   = "token"
	schemeCookie  = "cookie"
	schemeCookies = "two_cookies"
	schemeRefresh = "refresh_cookie"
	schemeCSRF    = "csrf"
)

// cookieSchemes gives the schemes of cookies that carry tokens in some modes.
func cookieSchemes(modes []string, cookies handlers.Cookies) (list []string) {
	has := func(mode string) bool { return slices.Contains(modes, mode) }
	if cookies&handlers.RefreshCookie != 0 && (has(services.ModeOneCookie) || has(services.ModeTwoCookies)) {
		list = append(list, schemeRefresh)
	}
	if cookies&handlers.AccessCookies != 0 && has(services.ModeOneCookie) {
		list = append(list, schemeCookie)
	}
	if cookies&handlers.AccessCookies != 0 && has(services.ModeTwoCookies) {
		list = append(list, schemeCookies)
	}
	return list
}

// securitySchemes describes the schemes that some modes have.
func securitySchemes(modes []string) map[string]openapi.SecurityScheme {
	all := map[string]openapi.SecurityScheme{
		schemeCookie:  {Type: "apiKey", In: "cookie", Name: "jwt_access", Description: "The access token of a login with `mode` `one-cookie`."},
		schemeCookies: {Type: "apiKey", In: "cookie", Name: "jwt_access_token", Description: "The access token of a login with `mode` `two-cookies`; `jwt_access_payload` beside it is for scripts to read."},
		schemeRefresh: {Type: "apiKey", In: "cookie", Name: "jwt_refresh", Description: "The refresh token of a login with cookies."},
	}
	schemes := map[string]openapi.SecurityScheme{
		schemeBearer: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The access token that a login gives."},
		schemeToken:  {Type: "apiKey", In: "header", Name: "Authorization", Description: "`Token` and a space before the key of an API token."},
	}
	for _, scheme := range cookieSchemes(modes, handlers.RefreshCookie|handlers.AccessCookies) {
		schemes[scheme] = all[scheme]
		schemes[schemeCSRF] = openapi.SecurityScheme{Type: "apiKey", In: "header", Name: "X-CSRFToken", Description: "What the cookie `csrftoken` has: the proof that a page of the site asks."}
	}
	return schemes
}
