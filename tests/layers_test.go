package tests

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	layerModule    = "dueto"
	layerFileLines = 400
	layerFuncLines = 25
)

// layerRoom says what the Go files of a folder may import of ours, and what
// they must never import, whoever wrote it.
type layerRoom struct {
	ours  []string
	never []string
}

var (
	layerGin  = "github.com/gin-gonic/gin"
	layerGorm = "gorm.io"
)

// layerRooms is the table of the architecture. A folder that is not in it has
// to be added before anything may live there.
var layerRooms = map[string]layerRoom{
	".":          {ours: []string{"cli"}},
	"cli":        {ours: []string{"config", "routes", "services", "models"}},
	"routes":     {ours: []string{"config", "middleware", "handlers", "services", "models", "openapi", "web"}},
	"handlers":   {ours: []string{"services", "middleware", "models", "openapi"}, never: []string{layerGorm}},
	"middleware": {ours: []string{"services"}, never: []string{layerGorm}},
	"services":   {ours: []string{"models"}, never: []string{layerGin, "net/http"}},
	"models":     {never: []string{layerGin}},
	"config":     {},
	"openapi":    {never: []string{layerGin, "net/http"}},
	"web":        {ours: []string{"openapi"}},
}

// layerOutside are folders of programs and tests about the product, which may
// look into every room.
var layerOutside = []string{"tests", "bench", "internal"}

// layerTestServers runs servers for the tests of every room.
const layerTestServers = "internal/pgtest"

// layerViolations gives the forbidden imports of a file in a room. A test may
// import the room that it tests.
func layerViolations(room, name, source string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	rules, known := layerRooms[room]
	if !known {
		return []string{name + " is in a folder that the architecture does not know"}, nil
	}
	within := func(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }
	var found []string
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		target, ours := strings.CutPrefix(path, layerModule+"/")
		allowed := slices.Contains(rules.ours, target) ||
			((target == room || target == layerTestServers) && strings.HasSuffix(name, "_test.go"))
		forbidden := slices.ContainsFunc(rules.never, func(root string) bool { return within(path, root) })
		if path == layerModule || (ours && !allowed) || forbidden {
			found = append(found, fmt.Sprintf("%s must not import %s", name, path))
		}
	}
	return found, nil
}

// layerLongHandlers gives the functions of a file that take a *gin.Context,
// return an error and nothing else, and are longer than a handler may be.
func layerLongHandlers(name, source string) ([]string, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	check := func(function string, signature *ast.FuncType, from, to token.Pos) {
		lines := files.Position(to).Line - files.Position(from).Line + 1
		if layerIsHandler(signature) && lines > layerFuncLines {
			found = append(found, fmt.Sprintf("%s: %s has %d lines", name, function, lines))
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch f := n.(type) {
		case *ast.FuncDecl:
			check(f.Name.Name, f.Type, f.Pos(), f.End())
		case *ast.FuncLit:
			check("a function literal", f.Type, f.Pos(), f.End())
		}
		return true
	})
	return found, nil
}

func layerIsHandler(f *ast.FuncType) bool {
	if f.Results == nil || f.Results.NumFields() != 1 {
		return false
	}
	if result, ok := f.Results.List[0].Type.(*ast.Ident); !ok || result.Name != "error" {
		return false
	}
	return slices.ContainsFunc(f.Params.List, func(p *ast.Field) bool {
		pointer, ok := p.Type.(*ast.StarExpr)
		if !ok {
			return false
		}
		selector, ok := pointer.X.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		pkg, ok := selector.X.(*ast.Ident)
		return ok && pkg.Name == "gin" && selector.Sel.Name == "Context"
	})
}

// layerLines counts the lines of a text, whether or not the last one is ended.
func layerLines(source string) int { return len(slices.Collect(strings.Lines(source))) }

// layerFiles hands every Go file of the module to visit, with its room.
func layerFiles(t *testing.T, visit func(room, name, source string)) {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(entry.Name(), ".") && path != ".."; hidden && entry.IsDir() {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		room, _, inside := strings.Cut(name, "/")
		if !inside {
			room = "."
		} else if sub := filepath.ToSlash(filepath.Dir(name)); !slices.Contains(layerOutside, room) {
			room = sub
		}
		seen[room] = true
		visit(room, name, string(source))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range layerRooms {
		if !seen[room] {
			t.Errorf("no Go file of %s was read", room)
		}
	}
}

func TestLayers_NoFileImportsWhatItsRoomMayNot(t *testing.T) {
	t.Parallel()
	layerFiles(t, func(room, name, source string) {
		if slices.Contains(layerOutside, room) {
			return
		}
		found, err := layerViolations(room, name, source)
		if err != nil {
			t.Error(err)
		}
		for _, violation := range found {
			t.Error(violation)
		}
	})
}

func TestLayers_FilesAndHandlersStayShort(t *testing.T) {
	t.Parallel()
	layerFiles(t, func(room, name, source string) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		if n := layerLines(source); n > layerFileLines {
			t.Errorf("%s has %d lines, more than %d", name, n, layerFileLines)
		}
		if room != "handlers" {
			return
		}
		found, err := layerLongHandlers(name, source)
		if err != nil {
			t.Error(err)
		}
		for _, long := range found {
			t.Errorf("%s, more than %d", long, layerFuncLines)
		}
	})
}

var fuzzTarget = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

func TestLayers_FuzzTargetsKeepInputs(t *testing.T) {
	t.Parallel()
	targets := map[string]bool{}
	layerFiles(t, func(_, name, source string) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, found := range fuzzTarget.FindAllStringSubmatch(source, -1) {
			targets[filepath.Join("..", filepath.Dir(name), "testdata", "fuzz", found[1])] = true
		}
	})
	if len(targets) == 0 {
		t.Fatal("there is no fuzz target")
	}
	for folder := range targets {
		if kept, err := os.ReadDir(folder); err != nil || len(kept) == 0 {
			t.Errorf("%s keeps no inputs: %v", folder, err)
		}
	}
	kept, err := filepath.Glob(filepath.Join("..", "*", "testdata", "fuzz", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range kept {
		if !targets[folder] {
			t.Errorf("%s is of no fuzz target", folder)
		}
	}
}

func TestLayers_CheckerFindsForbiddenImports(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		room, file, imports string
		want                int
	}{
		{"handlers", "handlers/a.go", `"dueto/services"; "dueto/models"; "dueto/middleware"; "github.com/gin-gonic/gin"`, 0},
		{"handlers", "handlers/a.go", `"gorm.io/gorm"`, 1},
		{"handlers", "handlers/a.go", `"dueto/config"; db "gorm.io/driver/sqlite"; "net/http"`, 2},
		{"handlers", "handlers/a.go", `"dueto/routes"`, 1},
		{"middleware", "middleware/a.go", `"dueto/services"; "net/http"; "github.com/gin-gonic/gin"`, 0},
		{"middleware", "middleware/a.go", `"dueto/handlers"; . "dueto/models"; _ "gorm.io/gorm"`, 3},
		{"services", "services/a.go", `"dueto/models"; "net/mail"; "golang.org/x/net/idna"`, 0},
		{"services", "services/a.go", `"net/http"; "net/http/httptest"; "github.com/gin-gonic/gin"; "github.com/gin-gonic/gin/binding"`, 4},
		{"services", "services/a.go", `"dueto/handlers"; "dueto/middleware"; "dueto/config"`, 3},
		{"models", "models/a.go", `"gorm.io/gorm"; "database/sql"`, 0},
		{"models", "models/a.go", `"dueto/services"; "dueto/config"; "github.com/gin-gonic/gin"`, 3},
		{"models", "models/a.go", `"dueto/models"`, 1},
		{"models", "models/a_test.go", `"dueto/models"; "testing"`, 0},
		{"models", "models/a_test.go", `"dueto/services"`, 1},
		{"services", "services/a_test.go", `"dueto/internal/pgtest"`, 0},
		{"services", "services/a.go", `"dueto/internal/pgtest"`, 1},
		{"config", "config/a.go", `"dueto/models"`, 1},
		{"web", "web/a.go", `"dueto/config"; "html/template"`, 1},
		{"cli", "cli/a.go", `"dueto/handlers"; "dueto/routes"`, 1},
		{"routes", "routes/a.go", `"dueto/cli"; "dueto"`, 2},
		{"utils", "utils/a.go", `"strings"`, 1},
	} {
		found, err := layerViolations(test.room, test.file, "package p\nimport ("+test.imports+")\n")
		if err != nil || len(found) != test.want {
			t.Errorf("%s importing %s: found %q, %v; want %d", test.file, test.imports, found, err, test.want)
		}
	}
	if _, err := layerViolations("models", "models/a.go", "no Go at all"); err == nil {
		t.Error("what is not Go is let pass")
	}
}

func TestLayers_CheckerFindsLongHandlers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		head string
		want bool
	}{
		{"func (h *H) Get(c *gin.Context) error {", true},
		{"func update(c *gin.Context, partial bool) error {", true},
		{"var f = func(c *gin.Context) error {", true},
		{"func Get(c *gin.Context) (int, error) {", false},
		{"func Get(c *gin.Context) {", false},
		{"func Get(c gin.Context) error {", false},
		{"func Get(c *http.Request) error {", false},
	} {
		for body, long := range map[int]bool{layerFuncLines - 2: false, layerFuncLines - 1: true} {
			source := "package p\n" + test.head + strings.Repeat("\n", body) + "\n}\n"
			found, err := layerLongHandlers("p.go", source)
			if err != nil || (len(found) == 1) != (long && test.want) {
				t.Errorf("%s with %d lines within: %q, %v", test.head, body, found, err)
			}
		}
	}
	if n := layerLines(strings.Repeat("x\n", layerFileLines) + "y"); n != layerFileLines+1 {
		t.Errorf("%d lines counted", n)
	}
}
