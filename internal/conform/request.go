package conform

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

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
	"Access-Control-Request-Headers", "Access-Control-Request-Method",
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Cookie", "Expect", "Host", "Origin", "Pragma",
	"Purpose", "Referer", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Purpose", "User-Agent", "Via",
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Moz", "X-Purpose", "X-Real-Ip", "X-Request-Id",
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
		s.leaveReadOnly(object(value))
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
			found = slices.Contains(cookieNames(c.Sent), key)
		case scheme["in"] == "header":
			found = c.Sent.Get(key) != ""
		}
		if !found {
			return false
		}
	}
	return true
}

// cookieNames lists what a request calls cookies, however many and odd they are.
func cookieNames(sent http.Header) (names []string) {
	for _, field := range sent["Cookie"] {
		for pair := range strings.SplitSeq(field, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
			names = append(names, name)
		}
	}
	return names
}
