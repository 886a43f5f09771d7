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
	// Beyond says that the request is meant to be what the document does not have.
	Beyond bool
	// Page says that the client may be shown a page: it asks for HTML where the
	// server can render its JSON so. The document has the JSON alone.
	Page bool
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
	Problem       Rule = "problem"        // has the members of RFC 9457, and the answer's status, in words too
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
// that it is an instance of, as Documented lists it, if it is one.
func (d *Document) Check(x Exchange) (findings []Finding, seen string) {
	c := &check{Document: d, Exchange: x}
	p, variables := d.find(x.URL.Path)
	if p == nil {
		c.outside(Path)
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
		c.outside(Method)
		if x.Status == http.StatusMethodNotAllowed {
			c.allow(p)
		}
		return c.findings, ""
	}
	if x.Status < http.StatusBadRequest && !x.Beyond {
		c.request(op, variables)
	}
	return c.findings, c.answer(op, shown)
}

func (c *check) wrong(rule Rule, format string, args ...any) {
	c.findings = append(c.findings, Finding{rule, fmt.Sprintf(format, args...)})
}

// outside holds the answer to what is not in the document against the rule that
// there is for it: it is an error, and one that the document has for its status,
// if it has any.
func (c *check) outside(rule Rule) {
	if c.Status < http.StatusBadRequest {
		c.wrong(rule, "is not documented, and answered with %d", c.Status)
		return
	}
	known := c.errors[strconv.Itoa(c.Status)]
	switch kind := mediaType(c.Got.Get("Content-Type")); {
	case kind == problemType && c.Method != http.MethodHead:
		c.problem()
	case kind == pageType && c.mayShow(): // what a browser is shown of it
	case kind != problemType && len(known) == 0:
		c.wrong(MediaType, "%q of an error", kind)
	}
	var findings []Finding
	for _, documented := range known {
		one := &check{Document: c.Document, Exchange: c.Exchange}
		one.headers(documented, documented.content)
		if c.Method != http.MethodHead || len(documented.content) > 0 {
			one.body(documented.content)
		}
		if findings = one.findings; len(findings) == 0 {
			return
		}
	}
	c.findings = append(c.findings, findings...)
}

// problem holds an error's body against RFC 9457.
func (c *check) problem() {
	value, err := (&schema{}).decode(problemType, c.GotBody)
	if err != nil {
		c.wrong(Body, "%v", err)
		return
	}
	members := object(value)
	if fmt.Sprint(members["status"]) != strconv.Itoa(c.Status) || text(members["title"]) != http.StatusText(c.Status) || text(members["detail"]) == "" {
		c.wrong(Problem, "status %d has %v", c.Status, value)
	}
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
	body := shown.responses[shown.answer(c.Status)]
	if body == nil {
		body = &response{}
	}
	c.headers(op.responses[key], body.content)
	if body.content != nil {
		c.body(body.content)
	}
	if kind := mediaType(c.Got.Get("Content-Type")); op.responses[key].content[kind] != nil {
		return op.key + " " + key + " " + kind
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

// etag is the version of the JSON, which a page that shows more than it does not have.
const etag = "Etag"

// mayShow reports whether a page may be answered in place of JSON.
func (c *check) mayShow() bool {
	return c.Page && (c.Method == http.MethodGet || c.Method == http.MethodHead)
}

// shows reports whether the answer is a page in place of JSON that is documented.
func (c *check) shows(content map[string]*schema) bool {
	return c.mayShow() && mediaType(c.Got.Get("Content-Type")) == pageType && content[pageType] == nil &&
		slices.ContainsFunc(slices.Collect(maps.Keys(content)), isJSON)
}

// transport are the headers of an answer that belong to HTTP itself.
var transport = []string{"Connection", "Content-Length", "Content-Type", "Date", "Keep-Alive", "Trailer", "Transfer-Encoding", "Upgrade"}

// browsers are the headers that tell browsers what a page may do, and are the same
// for every path. The document would be longer by them for nobody.
var browsers = []string{
	"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
	"Access-Control-Expose-Headers", "Access-Control-Max-Age",
	"Content-Security-Policy", "Referrer-Policy", "Strict-Transport-Security", "X-Content-Type-Options",
}

// headers holds the answer's headers against those that are documented; content
// is what the body may be.
func (c *check) headers(documented *response, content map[string]*schema) {
	for name, header := range documented.headers {
		values := c.Got[name]
		switch {
		case len(values) == 0:
			if header.required && (name != etag || !c.shows(content)) {
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
	if c.shows(content) {
		return
	}
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
	if kind == problemType {
		c.problem()
	}
}
