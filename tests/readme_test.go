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

	"dueto/config"
)

var update = flag.Bool("update", false, "write the README's outputs and settings anew")

const readmeFile = "../README.md"

func readReadme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var settingsBlock = regexp.MustCompile(`(?s)(<!-- settings:[^\n]*-->\n)(.*?)(<!-- /settings -->)`)

func TestReadme_SettingsAreThoseOfTheCode(t *testing.T) {
	table := config.Markdown()
	readme := readReadme(t)
	found := settingsBlock.FindStringSubmatch(readme)
	if found == nil {
		t.Fatal("the README has no block of settings")
	}
	if found[2] == table {
		return
	}
	if !*update {
		t.Fatalf("the README's settings are not the code's; run with -update. Want:\n%s", table)
	}
	writeReadme(t, strings.Replace(readme, found[0], found[1]+table+found[3], 1))
}

func writeReadme(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(readmeFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReadme_FoldersOfTheHouseExist(t *testing.T) {
	listed := regexp.MustCompile(`(?m)^([a-z]+/|main\.go) +`).FindAllStringSubmatch(readReadme(t), -1)
	if len(listed) < 10 {
		t.Fatalf("the README lists %d rooms", len(listed))
	}
	for _, room := range listed {
		if _, err := os.Stat(filepath.Join("..", room[1])); err != nil {
			t.Error(err)
		}
	}
}

// consoleBlock is a console block of the README: commands, each with what it prints.
var consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")

// step is one command of the tour and what it prints.
type step struct{ command, output string }

func steps(block string) []step {
	var list []step
	for line := range strings.SplitAfterSeq(block, "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			list = append(list, step{command: strings.TrimSuffix(command, "\n")})
		} else if len(list) > 0 {
			list[len(list)-1].output += line
		}
	}
	return list
}

// TestReadme_TourPrintsWhatItSays types the README's commands into one shell,
// against the real binary, and compares what they print.
func TestReadme_TourPrintsWhatItSays(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "http", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the tour needs %s: %v", tool, err)
		}
	}
	readme := readReadme(t)
	var tour []step
	for _, block := range consoleBlock.FindAllStringSubmatch(readme, -1) {
		tour = append(tour, steps(block[1])...)
	}
	if len(tour) < 20 {
		t.Fatalf("the README has %d commands", len(tour))
	}
	outputs := runTour(t, tour)
	for i, s := range tour {
		if got := outputs[i]; steady(got) != steady(s.output) && !*update {
			t.Errorf("$ %s\nprints\n%swhere the README says\n%s", s.command, got, s.output)
		}
	}
	if *update {
		n := 0
		writeReadme(t, consoleBlock.ReplaceAllStringFunc(readme, func(block string) string {
			var b strings.Builder
			b.WriteString("```console\n")
			for _, s := range steps(consoleBlock.FindStringSubmatch(block)[1]) {
				fmt.Fprintf(&b, "$ %s\n%s", s.command, outputs[n])
				n++
			}
			return b.String() + "```"
		}))
	}
}

var volatile = []struct {
	pattern     *regexp.Regexp
	replacement string
}{
	{regexp.MustCompile(`"(request_id)":( ?)"[^"]+"`), `"$1":$2"X"`},
	{regexp.MustCompile(`"(date_joined|created_at|updated_at|done_at|last_login)":( ?)"[^"]+"`), `"$1":$2"X"`},
}

// steady replaces what differs from run to run.
func steady(output string) string {
	for _, v := range volatile {
		output = v.pattern.ReplaceAllString(output, v.replacement)
	}
	return output
}

var signedToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)

func runTour(t *testing.T, tour []step) []string {
	t.Helper()
	program := newProgram(t)
	server := program.serve("--public-url", "http://127.0.0.1:8000")
	dir, port := program.dir, server.URL[strings.LastIndex(server.URL, ":"):]
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"default_options": ["--ignore-stdin"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(builtBinary().path, filepath.Join(dir, "bin", "dueto")); err != nil {
		t.Fatal(err)
	}
	const mark = "---- end of a command ----"
	var script strings.Builder
	for _, s := range tour {
		command := strings.ReplaceAll(s.command, ":8000", port)
		if rest, ok := strings.CutPrefix(command, "http "); ok {
			command = "http --pretty=format --print=b " + rest // as to a terminal, but for the headers
		}
		// The links in answers carry the public URL; this server listens elsewhere.
		command = regexp.MustCompile(`\$\((jq -r \.confirmation_url[^)]*)\)`).ReplaceAllString(command,
			`$$($1 | sed s/:8000/`+port+`/)`)
		fmt.Fprintf(&script, "%s\necho; echo '%s'\n", command, mark)
	}
	cmd := exec.Command("bash", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HTTPIE_CONFIG_DIR="+dir, "DUETO_PASSWORD_COST=4", "PYTHONWARNINGS=ignore")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := signedToken.ReplaceAllString(string(out), "eyJ...")
	parts := strings.Split(text, mark+"\n")
	if len(parts) != len(tour)+1 {
		t.Fatalf("%d commands printed %d outputs: %s", len(tour), len(parts)-1, text)
	}
	for i, p := range parts {
		if p = strings.TrimRight(p, "\n"); p != "" {
			p += "\n"
		}
		parts[i] = p
	}
	return parts[:len(tour)]
}
