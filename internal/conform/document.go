// Package conform holds exchanges over HTTP against an OpenAPI 3.1 document:
// what a server answers, and what it takes, has to be what the document says.
package conform

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// location names the document to the schema compiler, which never fetches it.
const location = "http://document.test/openapi.json"

// Document is an OpenAPI document, ready to hold exchanges against. It may be
// used by several goroutines.
type Document struct {
	root    map[string]any
	prefix  string // the path of the server's URL
	paths   []*path
	schemes map[string]map[string]any
	// cookies and keys are the names of the cookies that the document speaks of,
	// and of the headers that are credentials.
	cookies, keys map[string]bool
	// errors are the answers that the document has for statuses from 400 on,
	// whatever to.
	errors map[string][]*response

	responses map[string]*response // by JSON pointer: many operations share one

	mu       sync.Mutex
	compiler *jsonschema.Compiler // not safe for use by several
	compiled map[string]*jsonschema.Schema
}

// path is an entry of paths.
type path struct {
	template   string
	segments   []string
	operations map[string]*operation // by method
}

// operation is what the document says of a method of a path.
type operation struct {
	key        string // such as "GET /tasks/{id}"
	parameters map[field]*parameter
	body       *requestBody
	responses  map[string]*response // by status, range of statuses, or "default"
	security   []map[string]any     // each by itself is enough
}

// field is the place of a parameter.
type field struct{ in, name string }

type parameter struct {
	required bool
	explode  bool // an array is given by repeating the name
	schema   *schema
}

type requestBody struct {
	required bool
	content  map[string]*schema // by media type
}

type response struct {
	headers map[string]*parameter // by canonical name
	content map[string]*schema
}

// schema is a schema where it stands.
type schema struct {
	at  string // its JSON pointer
	raw map[string]any
}

// Parse reads a document.
func Parse(text []byte) (*Document, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text)) // numbers stay exact
	if err != nil {
		return nil, err
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document is not an object")
	}
	d := &Document{
		root: root, schemes: map[string]map[string]any{}, cookies: map[string]bool{}, keys: map[string]bool{}, errors: map[string][]*response{}, responses: map[string]*response{},
		compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{},
	}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(location, value); err != nil {
		return nil, err
	}
	return d, d.read()
}

// read takes the document apart. It fails where a part that is pointed to is not
// there.
func (d *Document) read() error {
	r := reader{d: d}
	if servers := list(d.root["servers"]); len(servers) > 0 {
		at, err := url.Parse(text(object(servers[0])["url"]))
		if err != nil {
			return err
		}
		d.prefix = strings.TrimRight(at.Path, "/")
	}
	for name := range object(r.get("/components/securitySchemes")) {
		scheme, _ := r.follow(pointer("/components/securitySchemes", name))
		d.schemes[name] = scheme
		switch key := text(scheme["name"]); scheme["in"] {
		case "cookie":
			d.cookies[key] = true
		case "header":
			d.keys[canonical(key)] = true
		}
	}
	for template := range object(d.root["paths"]) {
		d.paths = append(d.paths, r.path(template))
	}
	// A path as it is comes before the template that fits it: { is after letters.
	slices.SortFunc(d.paths, func(a, b *path) int { return strings.Compare(a.template, b.template) })
	return r.err
}

// Documented lists what operations may answer, by status and media type, such as
// "GET /tasks/{id} 200 application/json" and "GET /tasks/{id} 304".
func (d *Document) Documented() (answers []string) {
	for _, p := range d.paths {
		for _, op := range p.operations {
			for status, response := range op.responses {
				for kind := range response.content {
					answers = append(answers, op.key+" "+status+" "+kind)
				}
				if len(response.content) == 0 {
					answers = append(answers, op.key+" "+status)
				}
			}
		}
	}
	slices.Sort(answers)
	return answers
}

// find gives the entry that a request's path is of, and its variables.
func (d *Document) find(requested string) (*path, map[string]string) {
	rest, ok := strings.CutPrefix(requested, d.prefix)
	if !ok || (rest != "" && rest[0] != '/') || strings.Contains(rest, "//") {
		return nil, nil
	}
	if rest = strings.TrimSuffix(rest, "/"); rest == "" {
		rest = "/"
	}
	have := strings.Split(rest, "/")
	for _, p := range d.paths {
		if variables, ok := p.match(have); ok {
			return p, variables
		}
	}
	return nil, nil
}

func (p *path) match(have []string) (variables map[string]string, ok bool) {
	if len(have) != len(p.segments) {
		return nil, false
	}
	variables = map[string]string{}
	for i, want := range p.segments {
		name, ok := strings.CutPrefix(want, "{")
		switch {
		case ok && have[i] != "":
			variables[strings.TrimSuffix(name, "}")] = have[i]
		case ok || want != have[i]:
			return nil, false
		}
	}
	return variables, true
}

// methods lists what Allow has of the path.
func (p *path) methods() []string {
	methods := slices.Collect(maps.Keys(p.operations))
	if p.operations["GET"] != nil && p.operations["HEAD"] == nil {
		methods = append(methods, "HEAD")
	}
	slices.Sort(methods)
	return methods
}

// reader takes a document apart; err is the first thing that is wrong with it.
type reader struct {
	d   *Document
	err error
}

// get gives the value at a JSON pointer.
func (r *reader) get(at string) any {
	var value any = r.d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// follow gives the object at a JSON pointer, or the one that it refers to, and
// where that is.
func (r *reader) follow(at string) (map[string]any, string) {
	for range 10 {
		value, ok := r.get(at).(map[string]any)
		if !ok {
			break
		}
		ref, ok := value["$ref"].(string)
		if !ok {
			return value, at
		}
		at = strings.TrimPrefix(ref, "#")
	}
	if r.err == nil {
		r.err = fmt.Errorf("the document has no object at %s", at)
	}
	return nil, at
}

func (r *reader) path(template string) *path {
	p := &path{template: template, segments: strings.Split(template, "/"), operations: map[string]*operation{}}
	item, at := r.follow(pointer("/paths", template))
	for name := range item {
		switch method := strings.ToUpper(name); method {
		case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
			p.operations[method] = r.operation(method+" "+template, at, pointer(at, name))
		}
	}
	return p
}

func (r *reader) operation(key, item, at string) *operation {
	raw, at := r.follow(at)
	op := &operation{key: key, parameters: map[field]*parameter{}, responses: map[string]*response{}}
	for _, holder := range []string{item, at} { // the operation's own take the place of the path's
		parameters := pointer(holder, "parameters")
		for i := range list(r.get(parameters)) {
			p, where := r.follow(pointer(parameters, strconv.Itoa(i)))
			f := field{text(p["in"]), text(p["name"])}
			if f.in == "header" {
				f.name = canonical(f.name)
			}
			if f.in == "cookie" {
				r.d.cookies[f.name] = true
			}
			op.parameters[f] = r.parameter(p, where, f.in == "query" || f.in == "cookie")
		}
	}
	if raw["requestBody"] != nil {
		body, where := r.follow(pointer(at, "requestBody"))
		op.body = &requestBody{required: body["required"] == true, content: r.content(where)}
	}
	for status := range object(raw["responses"]) {
		res := r.response(pointer(pointer(at, "responses"), status))
		op.responses[status] = res
		if known := r.d.errors[status]; status >= "4" && !slices.Contains(known, res) {
			r.d.errors[status] = append(known, res)
		}
	}
	security, ok := raw["security"]
	if !ok {
		security = r.d.root["security"]
	}
	for _, requirement := range list(security) {
		op.security = append(op.security, object(requirement))
		for name := range object(requirement) {
			if r.d.schemes[name] == nil && r.err == nil {
				r.err = fmt.Errorf("%s needs the security scheme %s, which is not there", key, name)
			}
		}
	}
	return op
}

func (r *reader) parameter(raw map[string]any, at string, explode bool) *parameter {
	if given, ok := raw["explode"].(bool); ok {
		explode = given
	}
	return &parameter{required: raw["required"] == true, explode: explode, schema: r.schema(pointer(at, "schema"))}
}

func (r *reader) response(at string) *response {
	raw, at := r.follow(at)
	if known := r.d.responses[at]; known != nil {
		return known
	}
	res := &response{headers: map[string]*parameter{}, content: r.content(at)}
	for name := range object(raw["headers"]) {
		header, where := r.follow(pointer(pointer(at, "headers"), name))
		res.headers[canonical(name)] = r.parameter(header, where, false)
	}
	r.d.responses[at] = res
	return res
}

func (r *reader) content(at string) map[string]*schema {
	content := map[string]*schema{}
	at = pointer(at, "content")
	for name := range object(r.get(at)) {
		content[mediaType(name)] = r.schema(pointer(pointer(at, name), "schema"))
	}
	return content
}

// schema stays where it is: what stands beside a reference counts too.
func (r *reader) schema(at string) *schema {
	raw, _ := r.follow(at)
	return &schema{at: at, raw: raw}
}

// pointer adds a step to a JSON pointer (RFC 6901).
func pointer(at, name string) string {
	return at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
