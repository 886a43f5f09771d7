package conform

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// shop is a document with one of everything that the rules are about.
const shop = `{
"openapi": "3.1.1",
"info": {"title": "Shop", "version": "1"},
"servers": [{"url": "https://shop.test/api"}],
"security": [{}, {"bearer": []}],
"paths": {
	"/": {"get": {"responses": {"200": {"content": {"text/plain; charset=utf-8": {"schema": {"type": "string", "minLength": 1}}}}}}},
	"/things": {
		"get": {
			"parameters": [
				{"name": "size", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 9}},
				{"name": "done", "in": "query", "schema": {"type": "boolean"}},
				{"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string", "minLength": 1}}},
				{"name": "order", "in": "query", "explode": false, "schema": {"type": "array", "items": {"enum": ["id", "-id"]}}},
				{"$ref": "#/components/parameters/After"}
			],
			"responses": {
				"200": {
					"headers": {"X-Total": {"schema": {"type": "integer", "minimum": 0}}, "Vary": {"schema": {"type": "string"}}},
					"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}}}
				},
				"4XX": {"$ref": "#/components/responses/Error"}
			}
		},
		"post": {
			"security": [{"bearer": []}, {"session": [], "csrf": []}],
			"requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewThing"}}}},
			"responses": {
				"201": {
					"headers": {"Location": {"required": true, "schema": {"type": "string", "format": "uri"}}},
					"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
				},
				"default": {"$ref": "#/components/responses/Error"}
			}
		}
	},
	"/things/first": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"const": "first"}}}}}}},
	"/things/{id}": {
		"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1}}],
		"get": {
			"parameters": [{"name": "if-none-match", "in": "header", "schema": {"type": "string", "pattern": "\""}}],
			"responses": {
				"200": {"headers": {"ETag": {"schema": {"type": "string"}}}, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
				"304": {"headers": {"ETag": {"schema": {"type": "string"}}}},
				"404": {"$ref": "#/components/responses/Error"}
			}
		},
		"delete": {
			"parameters": [{"name": "If-Match", "in": "header", "required": true, "schema": {"type": "string"}}],
			"responses": {"204": {}}
		}
	},
	"/colours/{name}": {"get": {"responses": {"204": {}}}},
	"/shapes": {
		"get": {"responses": {"200": {"content": {"application/json": {"schema": {"type": "array"}}}}}},
		"head": {"responses": {"200": {"headers": {"X-Head": {"schema": {"type": "string"}}}}}}
	},
	"/links/{token}": {"get": {
		"parameters": [
			{"name": "token", "in": "path", "required": true, "schema": {"type": "string"}},
			{"name": "others", "in": "query", "schema": {"type": "object", "additionalProperties": {"type": "string"}}},
			{"name": "kind", "in": "query", "required": true, "schema": {"type": "string"}}
		],
		"responses": {"204": {}}
	}},
	"/login": {"post": {
		"requestBody": {"content": {
			"application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "additionalProperties": false}}
		}},
		"responses": {"204": {"headers": {"Set-Cookie": {"schema": {"type": "string", "pattern": "^(sid|theme)=.*; Path=/"}}}}}
	}},
	"/logout": {"post": {"responses": {"204": {"headers": {"Set-Cookie": {"schema": {"type": "string"}}}}}}}
},
"components": {
	"parameters": {"After": {"name": "after", "in": "query", "schema": {"type": "string", "format": "date-time"}}},
	"responses": {"Error": {
		"headers": {"Retry-After": {"schema": {"type": "integer"}}},
		"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
	}},
	"securitySchemes": {
		"bearer": {"type": "http", "scheme": "bearer"},
		"session": {"type": "apiKey", "in": "cookie", "name": "sid"},
		"csrf": {"type": "apiKey", "in": "header", "name": "X-CSRFToken"}
	},
	"schemas": {
		"Problem": {"type": "object", "properties": {"status": {"type": "integer"}, "title": {"type": "string"}, "detail": {"type": "string"}}, "required": ["status"], "additionalProperties": false},
		"NewThing": {"type": "object", "properties": {"name": {"type": "string"}, "id": {"type": "integer", "readOnly": true}}, "required": ["name"], "additionalProperties": false},
		"Thing": {
			"type": "object",
			"properties": {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}, "made": {"type": "string", "format": "date-time"}},
			"required": ["id", "name"],
			"additionalProperties": false
		}
	}
}}`

// said is an exchange as a test writes it: first lines, headers and body.
type said struct {
	request, sent string
	status        int
	headers, got  string
}

func (s said) exchange(t *testing.T) Exchange {
	t.Helper()
	lines := strings.Split(s.request, "\n")
	method, target, _ := strings.Cut(lines[0], " ")
	u, err := url.Parse("http://127.0.0.1:8000/api" + target)
	if err != nil {
		t.Fatal(err)
	}
	x := Exchange{Method: method, URL: u, Sent: headers(lines[1:]), SentBody: []byte(s.sent), Status: s.status, GotBody: []byte(s.got)}
	if x.Got = headers(strings.Split(s.headers, "\n")); s.got != "" && x.Got.Get("Content-Type") == "" {
		x.Got.Set("Content-Type", "application/json")
	}
	return x
}

func headers(lines []string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

const (
	thing     = `{"id":1,"name":null,"made":"2026-10-18T19:12:01Z"}`
	asJSON    = "\nContent-Type: application/json"
	asForm    = "\nContent-Type: application/x-www-form-urlencoded"
	asText    = "Content-Type: text/plain"
	asProblem = "Content-Type: application/problem+json"
	signedIn  = "\nAuthorization: bearer x"
	made      = "Location: https://shop.test/api/things/1"
)

func problem(status string) string {
	number, _ := strconv.Atoi(status)
	return `{"status":` + status + `,"title":"` + http.StatusText(number) + `","detail":"x"}`
}

var exchanges = []struct {
	name string
	said
	want Rule   // that is broken, or none
	seen string // the answer of the document
}{
	{"a list", said{"GET /things?size=9&done=true&tag=a&tag=b&order=id,-id&after=2026-10-18T19:12:01Z", "", 200, "X-Total: 1\nVary: Cookie\nDate: x", "[" + thing + "]"}, "", "GET /things 200 application/json"},
	{"a slash at the end", said{"GET /things/", "", 200, "", "[]"}, "", "GET /things 200 application/json"},
	{"the root", said{"GET /", "", 200, asText, "x"}, "", "GET / 200 text/plain"},
	{"the root without a slash", said{"GET ", "", 200, asText + "; charset=utf-8", "x"}, "", "GET / 200 text/plain"},
	{"HEAD", said{"HEAD /things", "", 200, "Content-Type: application/json\nX-Total: 1", ""}, "", "GET /things 200 application/json"},
	{"HEAD with an entry of its own", said{"HEAD /shapes", "", 200, "Content-Type: application/json\nX-Head: x", ""}, "", "HEAD /shapes 200"},
	{"a new one", said{"POST /things" + asJSON + signedIn, `{"name":"x"}`, 201, made, thing}, "", "POST /things 201 application/json"},
	{"a new one by cookie", said{"POST /things" + asJSON + "\nCookie: a=b; sid=1\nX-CSRFToken: 1", `{"name":"x"}`, 201, made, thing}, "", "POST /things 201 application/json"},
	{"refused, and rightly", said{"POST /things" + asJSON, `{"nam":"x"`, 400, asProblem, problem("400")}, "", "POST /things default application/problem+json"},
	{"refused within a range", said{"GET /things?odd=1", "", 429, asProblem + "\nRetry-After: 3", problem("429")}, "", "GET /things 4XX application/problem+json"},
	{"a path as it is comes first", said{"GET /things/first", "", 200, "", `"first"`}, "", "GET /things/first 200 application/json"},
	{"a variable", said{"GET /things/7\nIf-None-Match: \"1\"", "", 200, `ETag: "1"`, thing}, "", "GET /things/{id} 200 application/json"},
	{"not changed", said{"GET /things/7\nIf-None-Match: \"1\"", "", 304, `ETag: "1"`, ""}, "", "GET /things/{id} 304"},
	{"gone", said{"DELETE /things/7\nIf-Match: *", "", 204, "", ""}, "", "DELETE /things/{id} 204"},
	{"parameters of any name", said{"GET /links/a?kind=x&odd=1", "", 204, "", ""}, "", "GET /links/{token} 204"},
	{"a form", said{"POST /login" + asForm, "name=a+b&age=7", 204, "Set-Cookie: sid=1; Path=/", ""}, "", "POST /login 204"},
	{"a cookie that is named as a credential", said{"POST /logout", "", 204, "Set-Cookie: sid=", ""}, "", "POST /logout 204"},
	{"a cookie that the pattern names", said{"POST /login", "", 204, "Set-Cookie: theme=dark; Path=/", ""}, "", "POST /login 204"},
	{"no body where it may be absent", said{"POST /login", "", 204, "", ""}, "", "POST /login 204"},
	{"nowhere", said{"GET /odd", "", 404, asProblem, problem("404")}, "", ""},
	{"nowhere, by HEAD", said{"HEAD /odd", "", 404, asProblem, ""}, "", ""},
	{"an empty step in the path", said{"GET //", "", 404, asProblem, problem("404")}, "", ""},
	{"a member that is read only", said{"POST /things" + asJSON + signedIn, `{"name":"x","id":"odd"}`, 201, made, thing}, "", "POST /things 201 application/json"},
	{"headers of browsers", said{"GET /things\nOrigin: http://a.test", "", 200, "Access-Control-Allow-Origin: http://a.test\nReferrer-Policy: x", "[]"}, "", "GET /things 200 application/json"},
	{"no name", said{"GET /things//", "", 404, asProblem, problem("404")}, "", ""},
	{"no such method", said{"PUT /things", "", 405, asProblem + "\nAllow: GET, HEAD, POST", problem("405")}, "", ""},
	{"no such method, and no credential", said{"PUT /things", "", 401, asProblem, problem("401")}, "", ""},

	{"a path that is not documented", said{"GET /odd", "", 200, "", "[]"}, Path, ""},
	{"an error elsewhere in another form", said{"GET /odd", "", 404, asText, "no"}, MediaType, ""},
	{"an error elsewhere with more members", said{"GET /odd", "", 404, asProblem, `{"status":404,"title":"Not Found","detail":"x","odd":1}`}, Body, ""},
	{"an error elsewhere with a header", said{"GET /odd", "", 404, asProblem + "\nX-Odd: 1", problem("404")}, Header, ""},
	{"an error elsewhere that is not JSON", said{"PUT /things", "", 401, asProblem, "{"}, Body, ""},
	{"an error elsewhere with another status", said{"PUT /things", "", 401, asProblem, problem("403")}, Problem, ""},
	{"an error without a sentence", said{"GET /things", "", 400, asProblem, `{"status":400,"title":"Bad Request"}`}, Problem, ""},
	{"an error with another title", said{"GET /things", "", 400, asProblem, `{"status":400,"title":"Not Found","detail":"x"}`}, Problem, ""},
	{"an error without a title", said{"GET /things", "", 400, asProblem, `{"status":400,"detail":"x"}`}, Problem, ""},
	{"an error with another status", said{"GET /things", "", 400, asProblem, problem("401")}, Problem, ""},
	{"a method that is not documented", said{"PUT /things", "", 200, "", "[]"}, Method, ""},
	{"Allow with a method too many", said{"PUT /things", "", 405, asProblem + "\nAllow: GET, HEAD, POST, PUT", problem("405")}, Allow, ""},
	{"no Allow", said{"PUT /things", "", 405, asProblem, problem("405")}, Allow, ""},
	{"a status that is not documented", said{"GET /things/first", "", 404, asProblem, problem("404")}, Status, ""},
	{"a media type that is not documented", said{"GET /things", "", 200, asText, "[]"}, MediaType, ""},
	{"an answer without a body", said{"GET /things", "", 200, "", ""}, MediaType, ""},
	{"an answer with an empty body", said{"GET /things", "", 200, "Content-Type: application/json", ""}, Body, ""},
	{"HEAD of another media type", said{"HEAD /things", "", 200, asText, ""}, MediaType, ""},
	{"HEAD of another media type than GET's", said{"HEAD /shapes", "", 200, asText, ""}, MediaType, ""},
	{"a member that is not documented", said{"GET /things/1", "", 200, "", `{"id":1,"name":"x","odd":1}`}, Body, ""},
	{"a member that is missing", said{"GET /things/1", "", 200, "", `{"id":1}`}, Body, ""},
	{"a member of another type", said{"GET /things/1", "", 200, "", `{"id":"1","name":"x"}`}, Body, ""},
	{"a time without an offset", said{"GET /things/1", "", 200, "", `{"id":1,"name":"x","made":"2026-10-18T19:12:01"}`}, Body, ""},
	{"something after the body", said{"GET /things", "", 200, "", "[] []"}, Body, ""},
	{"a body that is not UTF-8", said{"GET /things/1", "", 200, "", "{\"id\":1,\"name\":\"\xff\"}"}, Body, ""},
	{"a text that is too short", said{"GET /", "", 200, asText, ""}, Body, ""},
	{"a body where there cannot be one", said{"GET /things/1", "", 304, "", thing}, NoBody, ""},
	{"a body where none is documented", said{"POST /login", "", 204, "", "{}"}, NoBody, ""},
	{"a body of HEAD", said{"HEAD /things", "", 200, "", "[]"}, NoBody, ""},
	{"a media type where no body is documented", said{"GET /things/1", "", 304, "Content-Type: application/json", ""}, NoBody, ""},
	{"a header that is not documented", said{"GET /things", "", 200, "X-Odd: 1", "[]"}, Header, ""},
	{"a header of another type", said{"GET /things", "", 200, "X-Total: many", "[]"}, HeaderValue, ""},
	{"a header of an error", said{"GET /things", "", 429, asProblem + "\nRetry-After: soon", problem("429")}, HeaderValue, ""},
	{"one of two cookies with other attributes", said{"POST /login", "", 204, "Set-Cookie: sid=1; Path=/\nSet-Cookie: sid=2", ""}, HeaderValue, ""},
	{"a header that is missing", said{"POST /things" + asJSON + signedIn, `{"name":"x"}`, 201, "", thing}, HeaderMissing, ""},
	{"a cookie that does not fit the pattern", said{"POST /login", "", 204, "Set-Cookie: odd=1; Path=/", ""}, HeaderValue, ""},
	{"a cookie that is not documented", said{"POST /logout", "", 204, "Set-Cookie: odd=1; Path=/", ""}, Cookie, ""},
	{"a cookie that is not well-formed", said{"POST /logout", "", 204, "Set-Cookie: ; Path=/", ""}, Cookie, ""},

	{"a parameter that is not documented", said{"GET /things?odd=1", "", 200, "", "[]"}, Parameter, ""},
	{"a query that is not well-formed", said{"GET /things?size=1;2", "", 200, "", "[]"}, Parameter, ""},
	{"a variable that is not documented", said{"GET /colours/red", "", 204, "", ""}, Parameter, ""},
	{"a parameter out of bounds", said{"GET /things?size=10", "", 200, "", "[]"}, ParameterValue, ""},
	{"a parameter of another type", said{"GET /things?done=yes", "", 200, "", "[]"}, ParameterValue, ""},
	{"a parameter twice", said{"GET /things?size=1&size=2", "", 200, "", "[]"}, ParameterValue, ""},
	{"one of two tags is empty", said{"GET /things?tag=a&tag=", "", 200, "", "[]"}, ParameterValue, ""},
	{"one of two sort keys is unknown", said{"GET /things?order=id,odd", "", 200, "", "[]"}, ParameterValue, ""},
	{"a parameter that is pointed to", said{"GET /things?after=today", "", 200, "", "[]"}, ParameterValue, ""},
	{"a variable of another type", said{"GET /things/x", "", 200, "", thing}, ParameterValue, ""},
	{"a header that is sent with another value", said{"GET /things/1\nIf-None-Match: 1", "", 200, "", thing}, ParameterValue, ""},
	{"a parameter that is missing", said{"GET /links/a", "", 204, "", ""}, ParameterMissing, ""},
	{"a header that is not sent", said{"DELETE /things/1", "", 204, "", ""}, ParameterMissing, ""},
	{"a header that is sent and not documented", said{"GET /things\nIf-Match: *", "", 200, "", "[]"}, SentHeader, ""},
	{"a body of another media type", said{"POST /things\nContent-Type: text/plain" + signedIn, `{"name":"x"}`, 201, made, thing}, SentMediaType, ""},
	{"a body that is wrong, and taken", said{"POST /things" + asJSON + signedIn, `{"nam":"x"}`, 201, made, thing}, SentBody, ""},
	{"a body that is sent where none is documented", said{"GET /things" + asJSON, "{}", 200, "", "[]"}, SentBody, ""},
	{"a form with a member of another type", said{"POST /login" + asForm, "age=x", 204, "", ""}, SentBody, ""},
	{"a form with a member that is not documented", said{"POST /login" + asForm, "odd=x", 204, "", ""}, SentBody, ""},
	{"a body that is not sent", said{"POST /things" + signedIn, "", 201, made, thing}, SentBodyMissing, ""},
	{"no credential", said{"POST /things" + asJSON, `{"name":"x"}`, 201, made, thing}, Credential, ""},
	{"a credential of another kind", said{"POST /things" + asJSON + "\nAuthorization: Basic x", `{"name":"x"}`, 201, made, thing}, Credential, ""},
	{"half of the credentials", said{"POST /things" + asJSON + "\nCookie: sid=1", `{"name":"x"}`, 201, made, thing}, Credential, ""},
}

func TestCheck_FindsWhatIsNotDocumentedAndNothingElse(t *testing.T) {
	t.Parallel()
	d, err := Parse([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	broken := map[Rule]bool{}
	for _, c := range exchanges {
		findings, seen := d.Check(c.exchange(t))
		broken[c.want] = true
		switch {
		case c.want == "" && (len(findings) > 0 || seen != c.seen):
			t.Errorf("%s: is %q, want %q; %v", c.name, seen, c.seen, findings)
		case c.want != "" && !slices.ContainsFunc(findings, func(f Finding) bool { return f.Rule == c.want }):
			t.Errorf("%s: want a complaint about %q, have %v", c.name, c.want, findings)
		}
		for _, f := range findings {
			if f.Rule != c.want || f.Text == "" {
				t.Errorf("%s: besides, %q", c.name, f)
			}
		}
	}
	for _, rule := range []Rule{
		Path, Method, Allow, Status, MediaType, Body, NoBody, Problem, Header, HeaderValue, HeaderMissing, Cookie,
		Parameter, ParameterValue, ParameterMissing, SentHeader, SentMediaType, SentBody, SentBodyMissing, Credential,
	} {
		if !broken[rule] {
			t.Errorf("no exchange breaks the rule %q", rule)
		}
	}
}

func TestCheck_LeavesARequestAloneThatIsMeantToGoBeyond(t *testing.T) {
	t.Parallel()
	d, err := Parse([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	x := said{"GET /things?odd=1\nX-Odd: 1", "{}", 200, "X-Odd: 1", "[]"}.exchange(t)
	x.Beyond = true
	if findings, _ := d.Check(x); len(findings) != 1 || findings[0].Rule != Header {
		t.Errorf("want a complaint about the answer only, have %v", findings)
	}
}

func TestCheck_TakesAPageInPlaceOfDocumentedJSONOnly(t *testing.T) {
	t.Parallel()
	const versioned = `"200": {"headers": {"ETag": {`
	d, err := Parse([]byte(strings.Replace(shop, versioned, versioned+`"required": true, `, 1)))
	if err != nil {
		t.Fatal(err)
	}
	const asPage = "Content-Type: text/html; charset=utf-8"
	for _, c := range []struct {
		said
		mayShow bool
		want    []Rule
	}{
		{said{"GET /things/1", "", 200, asPage, "<p>"}, true, nil},
		{said{"HEAD /things/1", "", 200, asPage, ""}, true, nil},
		{said{"HEAD /shapes", "", 200, asPage, ""}, true, nil},
		{said{"GET /things/1", "", 404, asPage, "<p>"}, true, nil},
		{said{"GET /odd", "", 404, asPage, "<p>"}, true, nil},
		{said{"GET /things/1", "", 200, asPage, "<p>"}, false, []Rule{HeaderMissing, MediaType}},
		{said{"GET /odd", "", 404, asPage, "<p>"}, false, []Rule{MediaType}},
		{said{"GET /things/1", "", 200, "", thing}, true, []Rule{HeaderMissing}},
		{said{"GET /things", "", 200, asPage + "\nX-Odd: 1", "<p>"}, true, []Rule{Header}},
		{said{"GET /things/first", "", 404, asPage, "<p>"}, true, []Rule{Status}},
		{said{"GET /", "", 200, asPage, "<p>"}, true, []Rule{MediaType}},
		{said{"GET /colours/red?format=html", "", 204, asPage, ""}, true, []Rule{Parameter, Parameter, NoBody}},
		{said{"POST /things" + asJSON + signedIn, `{"name":"x"}`, 201, made + "\n" + asPage, "<p>"}, true, []Rule{MediaType}},
	} {
		x := c.exchange(t)
		x.Page = c.mayShow
		findings, _ := d.Check(x)
		var rules []Rule
		for _, f := range findings {
			rules = append(rules, f.Rule)
		}
		if !slices.Equal(rules, c.want) {
			t.Errorf("%s (%d), may be a page: %v; want %q, have %v", c.request, c.status, c.mayShow, c.want, findings)
		}
	}
}

func TestParse_RefusesADocumentThatCannotBeHeldAgainst(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"not JSON":                      {shop, "{"},
		"something after it":            {shop, shop + "{}"},
		"not an object":                 {shop, "[]"},
		"a schema that is not there":    {`"Problem": {"type"`, `"Other": {"type"`},
		"a reference to nothing":        {"#/components/parameters/After", "#/components/parameters/Before"},
		"a response that is not there":  {"#/components/responses/Error", "#/components/responses/Errors"},
		"a body without a schema":       {`{"schema": {"const": "first"}}`, "{}"},
		"a scheme that is not there":    {`"security": [{}, {"bearer": []}]`, `"security": [{"odd": []}]`},
		"a server's URL that is no URL": {"https://shop.test/api", "https://shop.test/%"},
		"a reference to itself":         {`"After": {"name": "after", "in": "query", "schema": {"type": "string", "format": "date-time"}}`, `"After": {"$ref": "#/components/parameters/After"}`},
	} {
		changed := strings.ReplaceAll(shop, change[0], change[1])
		if changed == shop {
			t.Fatalf("%s: changes nothing", name)
		}
		if _, err := Parse([]byte(changed)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestDocumented_ListsWhatMayBeAnswered(t *testing.T) {
	t.Parallel()
	d, err := Parse([]byte(shop))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Documented(), []string{
		"DELETE /things/{id} 204", "GET / 200 text/plain", "GET /colours/{name} 204", "GET /links/{token} 204", "GET /shapes 200 application/json",
		"GET /things 200 application/json", "GET /things 4XX application/problem+json", "GET /things/first 200 application/json",
		"GET /things/{id} 200 application/json", "GET /things/{id} 304", "GET /things/{id} 404 application/problem+json", "HEAD /shapes 200",
		"POST /login 204", "POST /logout 204", "POST /things 201 application/json", "POST /things default application/problem+json",
	}; !slices.Equal(got, want) {
		t.Errorf("it has %q, want %q", got, want)
	}
}
