package conform

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Exchange is a request and its answer.
type Exchange struct {
	Method string
	URL    *url.URL
	// Sent are the request's headers and body.
	Sent     http.Header
	SentBody []byte
	Status   int
	// Got are the answer's headers and body.
	Got     http.Header
	GotBody []byte
}

// Rule is one of the things that an exchange is held against.
type Rule string

// The rules. What a request must be holds for those that are answered with a
// status below 400: others may be wrong, and are refused for it.
const (
	Path          Rule = "path"           // is documented, or the answer is an error
	Method        Rule = "method"         // is documented, or the answer is an error
	Allow         Rule = "allow"          // lists the documented methods, in a 405
	Status        Rule = "status"         // is documented
	MediaType     Rule = "media type"     // of the answer is documented
	Body          Rule = "body"           // of the answer is valid
	NoBody        Rule = "no body"        // is where none is documented or possible
	Problem       Rule = "problem"        // has the answer's status, as every error has
	Header        Rule = "header"         // of the answer is documented
	HeaderValue   Rule = "header value"   // is valid
	HeaderMissing Rule = "header missing" // if it is documented as required
	Cookie        Rule = "cookie"         // that is set is documented

	Parameter        Rule = "parameter"         // of the query or the path is documented
	ParameterValue   Rule = "parameter value"   // is valid, in a header too
	ParameterMissing Rule = "parameter missing" // if it is documented as required
	SentHeader       Rule = "sent header"       // is documented, unless every client has it
	SentMediaType    Rule = "sent media type"   // is documented
	SentBody         Rule = "sent body"         // is valid, and documented
	SentBodyMissing  Rule = "sent body missing" // if it is documented as required
	Credential       Rule = "credential"        // is one of those that are documented as enough
)

// Finding is a way in which an exchange is not what the document says.
type Finding struct {
	Rule Rule
	Text string
}

func (f Finding) String() string { return string(f.Rule) + ": " + f.Text }

// check is an exchange that is being held against a document.
type check struct {
	*Document
	Exchange
	findings []Finding
}

// Check gives all that is wrong with an exchange, and the answer of the document
// that it is an instance of, such as "GET /tasks/{id} 200", if it is one.
func (d *Document) Check(x Exchange) (findings []Finding, seen string) {
	c := &check{Document: d, Exchange: x}
	p, variables := d.find(x.URL.Path)
	if p == nil {
		c.outside(Path, "is not documented")
		return c.findings, ""
	}
	op := p.operations[x.Method]
	shown := op
	if get := p.operations[http.MethodGet]; x.Method == http.MethodHead && get != nil {
		shown = get // whose body HEAD tells of
		if op == nil {
			op = get
		}
	}
	if op == nil {
		c.outside(Method, "is not documented")
		if x.Status == http.StatusMethodNotAllowed {
			c.allow(p)
		}
		return c.findings, ""
	}
	if x.Status < http.StatusBadRequest {
		c.request(op, variables)
	}
	return c.findings, c.answer(op, shown)
}

func (c *check) wrong(rule Rule, format string, args ...any) {
	c.findings = append(c.findings, Finding{rule, fmt.Sprintf(format, args...)})
}

// outside holds the answer to what is not in the document against the one rule
// that there is for it: it is an error, in the form of all errors.
func (c *check) outside(rule Rule, what string) {
	if c.Status < http.StatusBadRequest {
		c.wrong(rule, "%s, and answered with %d", what, c.Status)
		return
	}
	c.body(map[string]*schema{problemType: c.problem})
}

func (c *check) allow(p *path) {
	allowed := strings.Split(c.Got.Get("Allow"), ", ")
	slices.Sort(allowed)
	if methods := p.methods(); !slices.Equal(allowed, methods) {
		c.wrong(Allow, "has %q; the document has %q", allowed, methods)
	}
}

// answer holds the answer against those of an operation, and its body against
// those of the one that shows it.
func (c *check) answer(op, shown *operation) (seen string) {
	key := op.answer(c.Status)
	if key == "" {
		c.wrong(Status, "%d is not documented", c.Status)
		return ""
	}
	c.headers(op.responses[key])
	if body := shown.responses[shown.answer(c.Status)]; body != nil {
		c.body(body.content)
	}
	return op.key + " " + key
}

// answer gives the key of the response that describes a status, or "".
func (op *operation) answer(status int) string {
	exact := strconv.Itoa(status)
	for _, key := range []string{exact, exact[:1] + "XX", "default"} {
		if op.responses[key] != nil {
			return key
		}
	}
	return ""
}

// transport are the headers of an answer that belong to HTTP itself.
var transport = []string{"Connection", "Content-Length", "Content-Type", "Date", "Keep-Alive", "Trailer", "Transfer-Encoding", "Upgrade"}

// browsers are the headers by which browsers protect their users, the same on
// every answer: a test of their own holds them, and the document would be longer
// by them for nobody.
var browsers = []string{"Content-Security-Policy", "Referrer-Policy", "Strict-Transport-Security", "X-Content-Type-Options"}

// headers holds the answer's headers against those that are documented.
func (c *check) headers(documented *response) {
	for name, header := range documented.headers {
		values := c.Got[name]
		switch {
		case len(values) == 0:
			if header.required {
				c.wrong(HeaderMissing, "%s", name)
			}
			continue
		case name != "Set-Cookie": // whose fields cannot be joined
			values = []string{strings.Join(values, ", ")}
		}
		for _, value := range values {
			if err := c.validate(header.schema, header.schema.value([]string{value}, header.explode)); err != nil {
				c.wrong(HeaderValue, "%s %q: %v", name, value, err)
			}
		}
	}
	for name := range c.Got {
		if documented.headers[name] == nil && !slices.Contains(transport, name) && !slices.Contains(browsers, name) {
			c.wrong(Header, "%s is not documented", name)
		}
	}
	c.setCookies(documented.headers["Set-Cookie"])
}

// setCookies holds the names of cookies against those that the document speaks
// of, unless the header has a pattern, which says what they are.
func (c *check) setCookies(documented *parameter) {
	if documented != nil && documented.schema.raw["pattern"] != nil {
		return
	}
	for _, line := range c.Got["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			c.wrong(Cookie, "%q: %v", line, err)
		} else if !c.cookies[cookie.Name] {
			c.wrong(Cookie, "%s is not documented", cookie.Name)
		}
	}
}

// body holds the answer's body against what its media type may have.
func (c *check) body(content map[string]*schema) {
	// Of an answer to HEAD only the type is to be seen.
	never := c.Method == http.MethodHead || c.Status == http.StatusNoContent || c.Status == http.StatusNotModified
	switch {
	case never && len(c.GotBody) > 0:
		c.wrong(NoBody, "there cannot be one")
		return
	case len(content) == 0:
		if len(c.GotBody) > 0 || c.Got.Get("Content-Type") != "" {
			c.wrong(NoBody, "none is documented")
		}
		return
	}
	kind := mediaType(c.Got.Get("Content-Type"))
	documented := content[kind]
	if documented == nil {
		c.wrong(MediaType, "%q is not documented; %q are", kind, slices.Sorted(maps.Keys(content)))
		return
	}
	if never {
		return
	}
	value, err := documented.decode(kind, c.GotBody)
	if err == nil {
		err = c.validate(documented, value)
	}
	if err != nil {
		c.wrong(Body, "%v", err)
	}
	if status := object(value)["status"]; kind == problemType && fmt.Sprint(status) != strconv.Itoa(c.Status) {
		c.wrong(Problem, "status %d has %v", c.Status, status)
	}
}

// request holds what the client sent against the operation that took it.
func (c *check) request(op *operation, variables map[string]string) {
	c.query(op)
	for name, value := range variables {
		if documented := op.parameters[field{"path", name}]; documented == nil {
			c.wrong(Parameter, "%s of the path is not documented", name)
		} else {
			c.parameter(documented, name, []string{value})
		}
	}
	c.sentHeaders(op)
	c.sentBody(op.body)
	if len(op.security) > 0 && !slices.ContainsFunc(op.security, c.has) {
		c.wrong(Credential, "there is none of those that are documented")
	}
}

// query holds the query string against the parameters. One that is an object
// takes those that have no name of their own.
func (c *check) query(op *operation) {
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		c.wrong(Parameter, "%v", err)
	}
	anyOther := slices.ContainsFunc(slices.Collect(maps.Keys(op.parameters)), func(f field) bool {
		return f.in == "query" && op.parameters[f].schema.is("object")
	})
	for name, given := range values {
		if documented := op.parameters[field{"query", name}]; documented != nil {
			c.parameter(documented, name, given)
		} else if !anyOther {
			c.wrong(Parameter, "%s is not documented", name)
		}
	}
	for f, documented := range op.parameters {
		if f.in == "query" && documented.required && !values.Has(f.name) {
			c.wrong(ParameterMissing, "%s", f.name)
		}
	}
}

// everywhere are the headers that a client may send whatever it asks for: they
// belong to HTTP, to the credentials, to browsers and to proxies.
var everywhere = append([]string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Cookie", "Expect", "Host", "Origin", "Pragma",
	"Purpose", "Referer", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Purpose", "User-Agent", "Via",
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
}, transport...)

// sentHeaders holds the request's headers against the parameters.
func (c *check) sentHeaders(op *operation) {
	for name, values := range c.Sent {
		if documented := op.parameters[field{"header", name}]; documented != nil {
			c.parameter(documented, name, []string{strings.Join(values, ", ")})
		} else if !slices.Contains(everywhere, name) && !c.keys[name] {
			c.wrong(SentHeader, "%s is not documented", name)
		}
	}
	for f, documented := range op.parameters {
		if f.in == "header" && documented.required && len(c.Sent[f.name]) == 0 {
			c.wrong(ParameterMissing, "%s", f.name)
		}
	}
}

func (c *check) parameter(documented *parameter, name string, given []string) {
	if err := c.validate(documented.schema, documented.schema.value(given, documented.explode)); err != nil {
		c.wrong(ParameterValue, "%s %q: %v", name, given, err)
	}
}

func (c *check) sentBody(documented *requestBody) {
	switch {
	case len(c.SentBody) == 0:
		if documented != nil && documented.required {
			c.wrong(SentBodyMissing, "it is required")
		}
		return
	case documented == nil:
		c.wrong(SentBody, "none is documented")
		return
	}
	kind := mediaType(c.Sent.Get("Content-Type"))
	s := documented.content[kind]
	if s == nil {
		c.wrong(SentMediaType, "%q is not documented; %q are", kind, slices.Sorted(maps.Keys(documented.content)))
		return
	}
	value, err := s.decode(kind, c.SentBody)
	if err == nil {
		err = c.validate(s, value)
	}
	if err != nil {
		c.wrong(SentBody, "%v", err)
	}
}

// has reports whether the request has all credentials of a requirement; an empty
// one needs none.
func (c *check) has(requirement map[string]any) bool {
	for name := range requirement {
		scheme := c.schemes[name]
		key := text(scheme["name"])
		var found bool
		switch {
		case scheme["type"] == "http":
			kind, _, _ := strings.Cut(c.Sent.Get("Authorization"), " ")
			found = strings.EqualFold(kind, text(scheme["scheme"]))
		case scheme["in"] == "cookie":
			found = slices.ContainsFunc(cookies(c.Sent), func(cookie *http.Cookie) bool { return cookie.Name == key })
		case scheme["in"] == "header":
			found = c.Sent.Get(key) != ""
		}
		if !found {
			return false
		}
	}
	return true
}

func cookies(sent http.Header) []*http.Cookie { return (&http.Request{Header: sent}).Cookies() }
