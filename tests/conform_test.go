package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dueto/config"
	"dueto/internal/conform"
	"dueto/routes"
)

// knownServer is one whose every exchange is held against its document.
type knownServer struct {
	t        testing.TB
	document func() (*conform.Document, error)
}

var (
	// knownServers are the servers that are running, by host.
	knownServers sync.Map
	// settledDocuments are the documents' texts by the settings of servers,
	// parsedDocuments the documents by their text, and answersSeen the answers of
	// theirs that were met.
	settledDocuments, parsedDocuments, answersSeen sync.Map
)

// describe has the exchanges with a server held against its document until the
// test is over. The document is asked for at the first of them.
func describe(t testing.TB, at string, document func() ([]byte, error)) {
	host := strings.TrimPrefix(at, "http://")
	server := &knownServer{t: t, document: sync.OnceValues(func() (*conform.Document, error) {
		text, err := document()
		if err != nil {
			return nil, err
		}
		text = bytes.ReplaceAll(text, []byte(host), []byte("127.0.0.1:8000")) // where it is makes no other document
		if known, ok := parsedDocuments.Load(string(text)); ok {
			return known.(*conform.Document), nil
		}
		d, err := conform.Parse(text)
		if err != nil {
			return nil, err
		}
		parsedDocuments.Store(string(text), d)
		return d, nil
	})}
	knownServers.Store(host, server)
	t.Cleanup(func() { knownServers.CompareAndDelete(host, server) })
}

// describedBy gives the document of a server with some settings, without a
// request that it would count.
func describedBy(c config.Config) func() ([]byte, error) {
	c.Addr, c.Database, c.SecretFile = "", "", "" // each server has its own
	return func() ([]byte, error) {
		settings, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		if known, ok := settledDocuments.Load(string(settings)); ok {
			return known.([]byte), nil
		}
		text, err := json.Marshal(routes.Document(c))
		settledDocuments.Store(string(settings), text)
		return text, err
	}
}

// servedDocument asks a server for its document.
func servedDocument(at string) func() ([]byte, error) {
	return func() ([]byte, error) {
		res, err := http.Get(at + "/openapi.json")
		if err != nil {
			return nil, err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("GET /openapi.json answers %d", res.StatusCode)
		}
		return io.ReadAll(res.Body)
	}
}

// publicPath gives the path of a public URL, below which everything is.
func publicPath(public string) string {
	u, err := url.Parse(public)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}

// conforming sends the requests of all tests, and holds them and their answers
// against the server's document. What is written to a connection by hand goes
// round it: it is meant to be what no client sends.
type conforming struct{ next http.RoundTripper }

func (c conforming) RoundTrip(r *http.Request) (*http.Response, error) {
	known, ok := knownServers.Load(r.URL.Host)
	if !ok {
		return nil, fmt.Errorf("what the server at %s does was never described to the tests", r.URL.Host)
	}
	server := known.(*knownServer)
	document, err := server.document()
	if err != nil {
		return nil, err
	}
	r, sent, err := withBodyRead(r)
	if err != nil {
		return nil, err
	}
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(got))
	if err != nil { // the answer is cut off: for the test to judge
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(got), failing{err}))
		return res, nil //nolint:nilerr // reading the body fails with it
	}
	server.t.Helper()
	findings, seen := document.Check(conform.Exchange{
		Beyond: r.Context().Value(beyondTheDocument) != nil, Page: asksForPage(r),
		Method: r.Method, URL: r.URL, Sent: r.Header, SentBody: sent, Status: res.StatusCode, Got: res.Header, GotBody: got,
	})
	for _, f := range findings {
		server.t.Errorf("%s %s (%d) is not as the document says: %s", r.Method, r.URL.RequestURI(), res.StatusCode, f)
	}
	answersSeen.Store(seen, true)
	return res, nil
}

// asksForPage reports whether a client may be shown JSON as a page.
func asksForPage(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header["Accept"], ","))
	return strings.Contains(accept, "text/") || strings.Contains(accept, "json;q=0") || r.URL.Query().Get("format") == "html"
}

// beyond marks a request that is not what the document has, and that the server
// takes nevertheless: it may be kinder than it promises.
var beyond = header{"Beyond-The-Document", "yes"}

type contextKey string

// beyondTheDocument marks such a request on its way to the transport.
const beyondTheDocument contextKey = "beyond the document"

// failing is a body that cannot be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// withBodyRead gives a request whose body is sent as it would have been, and what
// the body is.
func withBodyRead(r *http.Request) (*http.Request, []byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return r, nil, nil
	}
	if r.GetBody != nil {
		again, err := r.GetBody()
		if err != nil {
			return nil, nil, err
		}
		body, err := io.ReadAll(again)
		return r, body, err
	}
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	sent := *r
	sent.Body = io.NopCloser(bytes.NewReader(body))
	return &sent, body, err
}

// proxy stands before the server, so that what other programs ask of it is held
// against its document too, and gives its URL.
func (s *serving) proxy() string {
	forward := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", strings.TrimPrefix(s.URL, "http://")
		},
		Transport: noRedirects.Transport,
	})
	s.t.Cleanup(forward.Close)
	return forward.URL
}

// wholeSuite reports whether nothing was left out of the run.
func wholeSuite() bool {
	for _, name := range []string{"run", "skip", "list", "fuzz"} {
		if f := flag.Lookup("test." + name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}

// unmet are the statuses that need not be met on each route, and why.
var unmet = map[string]string{
	"500": "a defect: there is none that is known",
	"503": "a store that fails or a request that takes too long: neither can be had on each route at will",
}

// wantAllSeen fails after a run of the whole suite where documents have an answer
// that no test met.
func wantAllSeen() error {
	var never []string
	parsedDocuments.Range(func(_, d any) bool {
		for _, answer := range d.(*conform.Document).Documented() {
			if _, seen := answersSeen.Load(answer); !seen && unmet[strings.Fields(answer)[2]] == "" {
				never = append(never, answer)
			}
		}
		return true
	})
	if len(never) == 0 {
		return nil
	}
	slices.Sort(never)
	return errors.New("documented, and never answered in the whole suite:\n" + strings.Join(slices.Compact(never), "\n"))
}

// noting is a test that is told of errors and goes on.
type noting struct {
	testing.TB
	mu     sync.Mutex
	errors []string
}

func (n *noting) Errorf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errors = append(n.errors, fmt.Sprintf(format, args...))
}

func TestConform_AnAnswerThatIsNotDocumentedFailsItsTest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"Cache-Control", "Vary", "X-Request-Id"} {
			w.Header().Set(name, "x")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, r.URL.Query().Get("cursor"))
	}))
	t.Cleanup(server.Close)
	cfg := config.Default()
	cfg.PublicURL = "http://dueto.test"
	n := &noting{TB: t}
	describe(n, server.URL, describedBy(cfg))
	a := &app{t: t, URL: server.URL, Config: cfg}
	for _, c := range []struct {
		method, path string
		body         any
		want         string
	}{
		{"GET", "/tasks?cursor=[]", nil, ""},
		{"GET", "/tasks?cursor=[{\"odd\":1}]", nil, "body: "},
		{"GET", "/tasks?cursor=[]&odd=1", nil, "parameter: odd"},
		{"GET", "/odd", nil, "path: "},
		{"GET", "/tasks?cursor=[]", "{}", "sent body: "},
		{"GET", "/tasks?cursor=[]", struct{ Odd int }{1}, "sent body: "},
	} {
		n.errors = nil
		a.do(c.method, c.path, c.body).want(http.StatusOK)
		if found := strings.Join(n.errors, "\n"); (c.want == "") != (found == "") || !strings.Contains(found, c.want) {
			t.Errorf("%s %s: want %q, found %q", c.method, c.path, c.want, found)
		}
	}
	a.URL = "http://127.0.0.1:1"
	if a.t = n; a.do("GET", "/tasks", nil).Status != 0 || !strings.Contains(strings.Join(n.errors, ""), "never described") {
		t.Errorf("a server that nobody described: %q", n.errors)
	}
}

// besideTheDocument are the functions that may use more of net/http than the
// harness's client, each as file:receiver.name, and why.
var besideTheDocument = map[string]string{
	"harness_test.go:startApp":                                            "starts the server that it describes",
	"cursors_test.go:listWorld.anotherSecret":                             "starts the server that it describes",
	"harness_test.go:noRedirects":                                         "is the client of all others",
	"conform_test.go:servedDocument":                                      "asks for what the rest is held against",
	"conform_test.go:serving.proxy":                                       "forwards by the client of all others",
	"request_costs_test.go:costServer.request":                            "is measured without a connection",
	"request_costs_test.go:costServer.ask":                                "is measured without a connection",
	"request_costs_test.go:costServer.run":                                "is measured without a connection",
	"conform_test.go:TestConform_AnAnswerThatIsNotDocumentedFailsItsTest": "has a server that breaks the rules",
	"routes_test.go:routeRaw":                                             "writes by hand what no client sends",
	"serve_test.go:serving.dial":                                          "writes by hand what no client sends",
	"commit_cut_test.go:cuttingProxy.pass":                                "speaks to PostgreSQL",
	"browse_test.go:TestBrowse_AServerThatCannotIsAPageToo":               "describes the server that it makes",
	"browser_control_test.go:controls.page":                               "is a page of the tests' own, for a browser",
	"input_body_test.go:TestBody_CutOffIsRefusedThoughItReadsWell":        "writes by hand what no client sends",
}

// roundTheDocument are names by which a request could be sent without being seen.
var roundTheDocument = map[string][]string{
	"http":     {"Get", "Head", "Post", "PostForm", "Client", "Transport", "DefaultClient", "DefaultTransport"},
	"httptest": {"NewServer", "NewTLSServer", "NewUnstartedServer", "NewRequest", "NewRequestWithContext"},
	"net":      {"Dial", "DialTimeout"},
}

func TestConform_NoTestGoesRoundTheDocument(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range directUses(t, name, string(source)) {
			used[found.in] = true
			if besideTheDocument[found.in] == "" {
				t.Errorf("%s uses %s; send the request by the harness's client", found.in, found.what)
			}
		}
	}
	for function := range besideTheDocument {
		if !used[function] {
			t.Errorf("%s needs no exception", function)
		}
	}
}

// directUse is a use of a name of roundTheDocument in a function or a variable.
type directUse struct{ in, what string }

func directUses(t *testing.T, name, source string) (list []directUse) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	look := func(in string, node ast.Node) {
		ast.Inspect(node, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, _ := s.X.(*ast.Ident)
			if s.Sel.Name == "ServeHTTP" || (pkg != nil && slices.Contains(roundTheDocument[pkg.Name], s.Sel.Name)) {
				list = append(list, directUse{name + ":" + in, s.Sel.Name})
			}
			return true
		})
	}
	for _, declared := range file.Decls {
		switch d := declared.(type) {
		case *ast.FuncDecl:
			look(receiver(d)+d.Name.Name, d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					look(v.Names[0].Name, v)
				}
			}
		}
	}
	return list
}

// receiver gives the type that a method is of, and a dot.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if generic, ok := kind.(*ast.IndexExpr); ok {
		kind = generic.X
	}
	name, _ := kind.(*ast.Ident)
	return name.Name + "."
}
