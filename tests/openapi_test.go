package tests

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dueto/config"
	"dueto/openapi"
	"dueto/routes"
	"dueto/services"
)

// testDocument describes the API as a server of the tests has it.
func testDocument(change ...func(*config.Config)) *openapi.Document {
	c := config.Default()
	c.PublicURL = "http://dueto.test"
	for _, f := range change {
		f(&c)
	}
	return routes.Document(c)
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func TestOpenAPI_HasEveryRouteAndNothingElse(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	for _, r := range routes.Table() {
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")
		want[r.Method+" "+path] = r.ID
		if r.Method == "GET" {
			want["HEAD "+path] = r.ID + "_head"
		}
	}
	got := map[string]string{}
	var ids []string
	for path, item := range testDocument().Paths {
		for method, op := range item {
			ids = append(ids, op.ID)
			if method == "options" {
				if _, ok := item["get"]; !ok && len(item) < 2 {
					t.Errorf("%s has OPTIONS alone", path)
				}
				continue
			}
			got[strings.ToUpper(method)+" "+path] = op.ID
		}
		if item["options"] == nil {
			t.Errorf("%s lacks OPTIONS", path)
		}
	}
	for route, id := range want {
		if got[route] != id || id == "" {
			t.Errorf("%s is described as %q, want %q", route, got[route], id)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d operations are described, of %d", len(got), len(want))
	}
	slices.Sort(ids)
	if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) {
		t.Errorf("operations share ids: %v", ids)
	}
}

func TestOpenAPI_IsTheSameEachTime(t *testing.T) {
	t.Parallel()
	first := marshal(t, testDocument())
	for range 3 {
		if again := marshal(t, testDocument()); !bytes.Equal(first, again) {
			t.Fatal("two documents of one server differ")
		}
	}
}

func TestOpenAPI_IsServedAndKept(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	want := append(marshal(t, routes.Document(a.Config)), '\n')
	for _, headers := range [][]header{nil, {bearer(a.user("alice").Access)}, {{"Accept", "application/json"}}} {
		r := a.do("GET", "/openapi.json", nil, headers...).want(http.StatusOK)
		if !bytes.Equal(r.Body, want) || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("with %v it is %d bytes with %v", headers, len(r.Body), r.Header)
		}
		etag := r.Header.Get("ETag")
		again := a.do("GET", "/openapi.json", nil, header{"If-None-Match", etag}).want(http.StatusNotModified)
		if len(again.Body) != 0 || etag == "" || again.Header.Get("ETag") != etag || again.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("304 to %s has %v", etag, again.Header)
		}
	}
	if got := a.do("GET", "/", nil).object()["openapi"]; got != "http://dueto.test/openapi.json" {
		t.Errorf("the root has it at %v", got)
	}
	other := newApp(t, func(c *config.Config) { c.PageSize = 20 })
	if etag := a.do("GET", "/openapi.json", nil).Header.Get("ETag"); other.do("GET", "/openapi.json", nil).Header.Get("ETag") == etag {
		t.Error("a server with other settings has the same version")
	}
}

func TestOpenAPI_FollowsTheSettings(t *testing.T) {
	t.Parallel()
	security := func(d *openapi.Document, path, method string) string {
		return string(marshal(t, d.Paths[path][method].Security))
	}
	public := testDocument()
	closed := testDocument(func(c *config.Config) {
		c.ReadAccess, c.AuthModes, c.PublicURL, c.MaxPageSize = "authenticated", []string{"json", "one-cookie"}, "https://dueto.test/api/", 40
	})
	for _, c := range []struct {
		document             *openapi.Document
		path, method, secure string
	}{
		{public, "/tasks", "get", `[{},{"bearer":[]},{"token":[]},{"cookie":[]},{"two_cookies":[]}]`},
		{public, "/tasks", "post", `[{"bearer":[]},{"token":[]},{"cookie":[],"csrf":[]},{"csrf":[],"two_cookies":[]}]`},
		{public, "/auth/sessions", "get", `[{"bearer":[]},{"cookie":[]},{"two_cookies":[]}]`},
		{public, "/auth/login", "post", `[]`},
		{public, "/auth/refresh", "post", `[{},{"csrf":[],"refresh_cookie":[]}]`},
		{closed, "/tasks", "get", `[{"bearer":[]},{"token":[]},{"cookie":[]}]`},
		{closed, "/", "get", `[{},{"bearer":[]},{"token":[]},{"cookie":[]}]`},
	} {
		if got := security(c.document, c.path, c.method); got != c.secure {
			t.Errorf("%s %s needs %s, want %s", c.method, c.path, got, c.secure)
		}
	}
	if _, has := closed.Components.SecuritySchemes["two_cookies"]; has {
		t.Error("a mode that is not allowed has a security scheme")
	}
	if got := closed.Servers[0].URL; got != "https://dueto.test/api" {
		t.Errorf("the server is at %s", got)
	}
	for _, p := range closed.Paths["/tasks"]["get"].Parameters {
		if p.Name == "page_size" && *p.Schema.Maximum != 40 {
			t.Errorf("pages are at most %d", *p.Schema.Maximum)
		}
	}
	if text := string(marshal(t, closed)); !strings.Contains(text, `"url":"https://dueto.test/api/tasks/1"`) || strings.Contains(text, "127.0.0.1:8000") {
		t.Error("the examples have another URL than the server")
	}
}

// Every refusal that a route can meet is named by it: what is described has
// exactly the codes of the doors.
func TestOpenAPI_RefusalsAreThoseOfTheRoute(t *testing.T) {
	t.Parallel()
	d := testDocument()
	codes := func(path, method, status string) (list []string) {
		name := strings.TrimPrefix(d.Paths[path][method].Responses[status].Ref, "#/components/responses/")
		media, ok := d.Components.Responses[name].Content["application/problem+json"]
		if !ok {
			return nil
		}
		problem := d.Components.Schemas[strings.TrimPrefix(media.Schema.Ref, "#/components/schemas/")]
		for _, code := range problem.AllOf[1].Properties.Get("code").Enum {
			list = append(list, strings.Trim(string(marshal(t, code)), `"`))
		}
		return list
	}
	for _, c := range []struct {
		path, method, status string
		want                 []string
	}{
		{"/healthz", "get", "401", nil},
		{"/healthz", "get", "429", nil},
		{"/healthz", "get", "503", nil},
		{"/healthz", "options", "429", nil},
		{"/tasks", "options", "429", []string{"throttled"}},
		{"/readyz", "get", "503", []string{"busy", "storage_unavailable", "timeout"}},
		{"/tasks", "get", "401", []string{"token_expired", "token_not_valid", "user_inactive"}},
		{"/tasks", "get", "403", []string{"permission_denied"}},
		{"/tasks", "get", "404", nil},
		{"/tasks", "get", "415", nil},
		{"/tasks", "post", "401", []string{"not_authenticated", "token_expired", "token_not_valid", "user_inactive"}},
		{"/tasks", "post", "403", []string{"csrf_failed", "permission_denied"}},
		{"/tasks", "post", "413", []string{"too_large"}},
		{"/tasks", "post", "412", nil},
		{"/tasks/{id}", "patch", "412", []string{"precondition_failed"}},
		{"/tasks/{id}", "get", "404", []string{"not_found"}},
		{"/tasks/{id}", "options", "404", nil},
		{"/auth/login", "post", "401", []string{"no_active_account"}},
		{"/auth/login", "post", "403", []string{"csrf_failed"}},
		{"/auth/activate/{token}", "post", "409", []string{"already_active"}},
		{"/auth/activate/{token}", "post", "400", nil},
		{"/users/{id}", "delete", "409", []string{"conflict"}},
	} {
		if got := codes(c.path, c.method, c.status); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %s with %v, want %v", c.method, c.path, c.status, got, c.want)
		}
	}
	page := d.Components.Responses[strings.TrimPrefix(d.Paths["/auth/activate/{token}"]["get"].Responses["401"].Ref, "#/components/responses/")]
	if _, ok := page.Content["text/html"]; !ok {
		t.Error("a browser's refused link is not described as a page")
	}
	for status, answer := range d.Paths["/tasks"]["head"].Responses {
		name := strings.TrimPrefix(answer.Ref, "#/components/responses/")
		if len(answer.Content)+len(d.Components.Responses[name].Content) > 0 {
			t.Errorf("HEAD answers %s with a body", status)
		}
	}
}

// schemasOf gives a schema and all that are in it.
func schemasOf(s *openapi.Schema) []*openapi.Schema {
	if s == nil {
		return nil
	}
	list := append([]*openapi.Schema{s}, schemasOf(s.Items)...)
	for _, p := range s.Properties {
		list = append(list, schemasOf(p.Schema)...)
	}
	for _, one := range slices.Concat(s.OneOf, s.AllOf) {
		list = append(list, schemasOf(one)...)
	}
	more, _ := s.AdditionalProperties.(*openapi.Schema)
	return append(list, schemasOf(more)...)
}

// Generated types take a member with a default as always being there, in what is
// sent too.
func TestOpenAPI_BodiesSayTheirDefaultsInWords(t *testing.T) {
	t.Parallel()
	d := testDocument()
	all := slices.Collect(maps.Values(d.Components.Schemas))
	for _, item := range d.Paths {
		for _, op := range item {
			if op.RequestBody != nil {
				for _, media := range op.RequestBody.Content {
					all = append(all, media.Schema)
				}
			}
		}
	}
	for _, s := range all {
		for _, inner := range schemasOf(s) {
			if inner.Default != nil {
				t.Errorf("a part of a body has the default %v: %s", inner.Default, inner.Description)
			}
		}
	}
	for name, want := range map[string]string{"done": "`false`", "priority": "`0`", "tags": "empty", "description": "empty"} {
		text := d.Components.Schemas["NewTask"].Properties.Get(name).Description
		if !strings.HasSuffix(text, " By default "+want+".") {
			t.Errorf("%s of a new task: %q", name, text)
		}
		if text := d.Components.Schemas["TaskChange"].Properties.Get(name).Description; strings.Contains(text, "By default") {
			t.Errorf("%s of a change, where what is absent stays: %q", name, text)
		}
	}
	for _, p := range d.Paths["/tasks"]["get"].Parameters {
		if p.Name == "page_size" && p.Schema.Default == nil {
			t.Error("page_size has no default")
		}
	}
}

// A type that is "page or task" is of no use to a program: pages are described
// only where a path has one of its own.
func TestOpenAPI_PagesAreOnlyThoseOfPathsWithTheirOwn(t *testing.T) {
	t.Parallel()
	own := map[string]bool{}
	for _, r := range routes.Table() {
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")
		own[strings.ToLower(r.Method)+" "+path] = r.Does.Paged || r.ID == "docs_read"
	}
	d := testDocument()
	for path, item := range d.Paths {
		for method, op := range item {
			found := false
			for status, answer := range op.Responses {
				if name, ok := strings.CutPrefix(answer.Ref, "#/components/responses/"); ok {
					answer = d.Components.Responses[name]
				}
				_, html := answer.Content["text/html"]
				found = found || html
				if html && !own[method+" "+path] {
					t.Errorf("%s %s answers %s with a page", method, path, status)
				}
			}
			if own[method+" "+path] && !found {
				t.Errorf("%s %s has no page", method, path)
			}
		}
	}
	if !strings.Contains(d.Info.Description, "`text/html`") {
		t.Error("the document does not say that browsers are shown pages")
	}
}

func TestOpenAPI_SaysWhatTheServerHoldsTo(t *testing.T) {
	t.Parallel()
	d := testDocument()
	if own, others := d.Paths["/users/me"]["delete"].RequestBody, d.Paths["/users/{id}"]["delete"].RequestBody; !own.Required || others.Required {
		t.Errorf("the body that deletes oneself is required: %v, others: %v", own.Required, others.Required)
	}
	if own := d.Components.Schemas["OwnDeletion"]; !slices.Equal(own.Required, []string{"password"}) {
		t.Errorf("deleting oneself takes %v", own.Required)
	}
	for _, p := range d.Paths["/users"]["get"].Parameters {
		if got := string(marshal(t, p.Schema)); p.Name == "search" && got != `{"type":"string","pattern":"^\\s*\\S+(\\s+\\S+){0,9}\\s*$","minLength":1,"maxLength":100}` {
			t.Errorf("a search is %s", got)
		}
	}
	for _, name := range []string{"Registration", "NewUser", "UserChange"} {
		username := d.Components.Schemas[name].Properties.Get("username")
		if username.Pattern != services.UsernamePattern || *username.MinLength != 3 || *username.MaxLength != 150 {
			t.Errorf("a name in %s is %s", name, marshal(t, username))
		}
		if pending := d.Components.Schemas[name].Properties.Get("pending_email"); pending != nil && strings.Contains(pending.Description, "Null") != (name == "UserChange") {
			t.Errorf("%s says of the next address: %s", name, pending.Description)
		}
	}
	for name, at := range map[string]*openapi.Schema{
		"Visibility": d.Components.Schemas["Task"].Properties.Get("visibility"),
		"Permission": d.Components.Schemas["APIToken"].Properties.Get("permissions").Items,
		"Problem":    d.Components.Schemas["NotFoundProblem"].AllOf[0],
	} {
		if got, want := string(marshal(t, at)), `{"$ref":"#/components/schemas/`+name+`"}`; got != want {
			t.Errorf("%s is not one component: %s", name, got)
		}
	}
	for _, name := range []string{"Throttled", "Unavailable"} {
		header := strings.TrimPrefix(d.Components.Responses[name].Headers["Retry-After"].Ref, "#/components/headers/")
		if !d.Components.Headers[header].Required {
			t.Errorf("%s may lack Retry-After", name)
		}
	}
}

func TestOpenAPI_CommandPrintsWhatTheServerGives(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	s := p.serve()
	o := p.run("openapi", "--public-url="+s.URL).want(0)
	var printed bytes.Buffer
	if err := json.Compact(&printed, []byte(o.stdout)); err != nil {
		t.Fatal(err)
	}
	served := s.app().do("GET", "/openapi.json", nil).want(http.StatusOK)
	if !bytes.Equal(append(printed.Bytes(), '\n'), served.Body) || o.stderr != "" {
		t.Errorf("it prints %d bytes, and %q; the server gives %d", printed.Len(), o.stderr, len(served.Body))
	}
	p.run("openapi", "--public-url=nowhere").want(2)
}

// The linter is a program of its own, whose modules are not the product's.
func TestOpenAPI_PassesAnOutsideLinter(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "go", "run", ".")
	command.Dir = "openapilint"
	for name, document := range map[string]*openapi.Document{
		"public": testDocument(),
		"closed": testDocument(func(c *config.Config) { c.ReadAccess, c.AuthModes = "authenticated", []string{"json"} }),
	} {
		file := filepath.Join(t.TempDir(), name+".json")
		if err := os.WriteFile(file, marshal(t, document), 0o600); err != nil {
			t.Fatal(err)
		}
		command.Args = append(command.Args, file)
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
