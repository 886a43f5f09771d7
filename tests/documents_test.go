package tests

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write anew what the documents have from the code and from running it")

func readDocument(t *testing.T, name string) string {
	t.Helper()
	return readFile(t, filepath.Join("..", name))
}

func writeDocument(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("..", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantBlock checks what a document has from the code, between two comments.
func wantBlock(t *testing.T, name, block, want string) {
	t.Helper()
	text := readDocument(t, name)
	found := regexp.MustCompile(`(?s)(<!-- ` + block + `:[^\n]*-->\n)(.*?)(<!-- /` + block + ` -->)`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no block of %s", name, block)
	}
	if found[2] == want {
		return
	}
	if !*update {
		t.Fatalf("the %s of %s are not the code's; run with -update. Want:\n%s", block, name, want)
	}
	writeDocument(t, name, strings.Replace(text, found[0], found[1]+want+found[3], 1))
}

// documents are those whose commands are run, and how many each has at least.
var documents = map[string]int{"README.md": 25, "docs/authentication.md": 75, "docs/backup.md": 6}

var (
	// consoleBlock has commands, each with what it prints.
	consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")
	// program in Go that a command runs, under the name in its first line.
	fileBlock = regexp.MustCompile("(?s)```go\n// ([a-z]+\\.go)\n.*?```")
	restarts  = regexp.MustCompile(`<!-- the server is started again[^>]*-->`)
)

// step is a command of a document and what it prints.
type step struct{ command, output string }

func steps(text string) (list []step) {
	for _, block := range consoleBlock.FindAllStringSubmatch(text, -1) {
		for line := range strings.SplitAfterSeq(block[1], "\n") {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				list = append(list, step{command: strings.TrimSuffix(command, "\n")})
			} else if len(list) > 0 {
				list[len(list)-1].output += line
			}
		}
	}
	return list
}

// TestSQLite_DocumentsPrintWhatTheySay types the documents' commands into a shell,
// beside the real binary in an empty folder, and compares what they print.
func TestSQLite_DocumentsPrintWhatTheySay(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "http", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the documents need %s: %v", tool, err)
		}
	}
	for name, least := range documents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := readDocument(t, name)
			tour := steps(text)
			if len(tour) < least {
				t.Fatalf("it has %d commands", len(tour))
			}
			outputs := runDocument(t, text)
			for i, s := range tour {
				switch got := outputs[i]; {
				case steady(got) == steady(s.output):
					outputs[i] = s.output
				case !*update:
					t.Errorf("$ %s\nprints\n%swhere the document says\n%s", s.command, got, s.output)
				}
			}
			if *update {
				writeDocument(t, name, withOutputs(text, outputs))
			}
		})
	}
}

// withOutputs gives a document with what its commands print now.
func withOutputs(text string, outputs []string) string {
	n := 0
	return consoleBlock.ReplaceAllStringFunc(text, func(block string) string {
		var b strings.Builder
		b.WriteString("```console\n")
		for _, s := range steps(block) {
			fmt.Fprintf(&b, "$ %s\n%s", s.command, outputs[n])
			n++
		}
		return b.String() + "```"
	})
}

// replacements are applied one after the other.
type replacements []struct {
	pattern     *regexp.Regexp
	replacement string
}

func (list replacements) apply(text string) string {
	for _, r := range list {
		text = r.pattern.ReplaceAllString(text, r.replacement)
	}
	return text
}

var (
	// cut is what the documents show of tokens.
	cut = replacements{
		{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{20,}(\.[A-Za-z0-9_-]+)*`), "eyJ..."},
		{regexp.MustCompile(`\bdueto_[a-z2-7]{59}\b`), "dueto_..."},
		{regexp.MustCompile(`\bcsrftoken=[A-Za-z0-9_-]{32}`), "csrftoken=..."},
	}
	// volatile is what differs from run to run, or from machine to machine.
	volatile = replacements{
		{regexp.MustCompile(`"(request_id|jti|user_agent|last_four|kid|x|y)":( ?)"[^"]+"`), `"$1":$2"X"`},
		{regexp.MustCompile(`"(date_joined|[a-z_]+_at|at|last_login)":( ?)"[^"]+"`), `"$1":$2"X"`},
		{regexp.MustCompile(`"(exp|iat|nbf)":( ?)\d+`), `"$1":${2}1`},
		{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "X"},
		{regexp.MustCompile(`\b\d{8}T\d{6}\.\d{3}Z`), "X"}, // in the names of backups
		{regexp.MustCompile(`\b\d+ (bytes|[KMG]iB)\b`), "N bytes"},
		{regexp.MustCompile(`\bin \d+ seconds?\b`), "in N seconds"},
		{regexp.MustCompile(`(?m)\b[a-z2-7]{4}(  +(?:all|tasks|users|none))`), "XXXX$1"}, // of a key, in a table
		{regexp.MustCompile(`(?:\b[0-9a-f]{8}|[A-Za-z0-9_-]{43})( +)`), "X$1"},           // a key's name
		{regexp.MustCompile(`\bMax-Age=(25919|863)\d\d\b`), "Max-Age=${1}00"},            // a moment later than asked for
		{regexp.MustCompile(`  +`), "  "},
	}
)

// steady replaces what differs from run to run.
func steady(output string) string { return volatile.apply(output) }

const mark = "---- end of a command ----"

// runDocument runs a document's commands, and gives what each prints.
func runDocument(t *testing.T, text string) (outputs []string) {
	t.Helper()
	program := newProgram(t)
	program.write("config.json", `{"default_options": ["--ignore-stdin"]}`)
	if err := os.MkdirAll(program.file("bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program.binary, program.file("bin/dueto")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} { // for the programs
		program.write(name, readDocument(t, name))
	}
	for _, block := range fileBlock.FindAllStringSubmatch(text, -1) {
		program.write(block[1], strings.TrimSuffix(strings.TrimPrefix(block[0], "```go\n"), "```"))
	}
	for _, part := range restarts.Split(text, -1) {
		outputs = append(outputs, runPart(t, program, steps(part))...)
	}
	return outputs
}

// runPart types commands into one shell, beside a server that ends with it.
func runPart(t *testing.T, program *program, part []step) []string {
	t.Helper()
	server := program.start("serve", "--addr=127.0.0.1:0", "--password-cost=4", "--public-url=http://127.0.0.1:8000",
		"--refresh-grace=1m") // a machine may be busy
	server.listening()
	defer server.stop()
	// The server listens elsewhere than the documents say: it is the clients'
	// proxy, and so gets what is meant for port 8000.
	return typed(t, program, part, "http_proxy="+server.proxy(), "no_proxy=", "NO_PROXY=",
		"HTTPIE_CONFIG_DIR="+program.dir, "PYTHONWARNINGS=ignore", "DUETO_PASSWORD_COST=4")
}

// typed types commands into one shell.
func typed(t *testing.T, program *program, part []step, env ...string) []string {
	t.Helper()
	var script strings.Builder
	for _, s := range part {
		command := s.command
		if rest, ok := strings.CutPrefix(command, "http "); ok && !strings.Contains(rest, " | ") {
			command = "http --pretty=format --print=b " + rest // as to a terminal, but for the headers
		}
		fmt.Fprintf(&script, "%s\necho; echo '%s'\n", command, mark)
	}
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir = program.dir
	cmd.Env = append(os.Environ(), append(env, "GORACE=atexit_sleep_ms=0")...) // a second for each command, otherwise
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	outputs := strings.Split(cut.apply(string(out)), mark+"\n")
	if len(outputs) != len(part)+1 {
		t.Fatalf("%d commands printed %d outputs: %s", len(part), len(outputs)-1, out)
	}
	for i, o := range outputs {
		if o = strings.TrimRight(o, "\n"); o != "" {
			o += "\n"
		}
		outputs[i] = o
	}
	return outputs[:len(part)]
}
