package tests

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dueto/handlers"
	"dueto/routes"
	"dueto/services"
)

// routeTable is the route table as the reference has it.
func routeTable() string {
	var b strings.Builder
	b.WriteString("| route | open to | API token | limit | what it does |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range routes.Table() {
		token := cmp.Or(r.Scope, "no")
		switch {
		case r.Scope == services.AnyScope:
			token = "any"
		case r.Scope != "":
			token = "`" + token + "`"
		case r.Access == routes.Credentials:
			token = ""
		}
		door := r.Access.String()
		if r.Permission != "" {
			door = "`" + r.Permission + "`"
		}
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")
		fmt.Fprintf(&b, "| `%s %s` | %s | %s | %s | %s |\n", r.Method, path, door, token, r.Rate, r.Summary)
	}
	return b.String()
}

func TestReference_RoutesAreThoseOfTheCode(t *testing.T) {
	wantBlock(t, "docs/api.md", "routes", routeTable())
}

// parameterLines are how the lines begin in which the reference names the
// parameters of routes, by operation.
var parameterLines = map[string]string{
	"tasks_list":          "^\\| (tasks: )?`",
	"users_list":          "^\\| (users: )?`",
	"users_events_list":   "^`GET /users/{id}/events`",
	"me_events_list":      "^`GET /users/{id}/events` and `/users/me/events`",
	"users_delete":        "^Deleting your own account",
	"me_delete":           "^Deleting your own account",
	"sessions_end_others": "^`GET /auth/sessions`.*`DELETE /auth/sessions` ends all others",
}

func TestReference_NamesEveryParameterOfEveryRoute(t *testing.T) {
	t.Parallel()
	reference := readDocument(t, "docs/api.md")
	_, lists, _ := strings.Cut(reference, "\n## Lists\n")
	lists, _, _ = strings.Cut(lists, "\n## ")
	for _, r := range routes.Table() {
		if handlers.TakesAny(r.Does.Query) { // links, to which anything may be added
			continue
		}
		text, begins := reference, parameterLines[r.ID]
		if strings.HasPrefix(begins, "^\\|") {
			text = lists
		}
		lines := strings.Join(regexp.MustCompile("(?m)"+begins+".*$").FindAllString(text, -1), "\n")
		for _, p := range r.Does.Query {
			if begins == "" || !regexp.MustCompile("`[?]?"+p.Name+"[`=]").MatchString(lines) {
				t.Errorf("%s %s takes %s, which the reference does not name where it tells of that", r.Method, r.Path, p.Name)
			}
		}
	}
}

// What the reference shows of an answer to OPTIONS is in the answer.
func TestReference_ShowsWhatOPTIONSAnswers(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(readDocument(t, "docs/api.md"), "in the form of Django REST Framework's metadata:\n\n```json\n")
	text, _, _ = strings.Cut(text, "```")
	var shown, got any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(text, ", ...", "")), &shown); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	newApp(t).do("OPTIONS", "/tasks", nil).want(http.StatusOK).decode(&got)
	wantWithin(t, "it", shown, got)
}

// wantWithin checks that an object has the members that are shown of it. Texts
// may be shown by their beginning, and descriptions left out.
func wantWithin(t *testing.T, name string, shown, got any) {
	t.Helper()
	members, object := shown.(map[string]any)
	text, isText := shown.(string)
	switch beginning, cut := strings.CutSuffix(text, "..."); {
	case object:
		have, _ := got.(map[string]any)
		for member, value := range members {
			wantWithin(t, name+"."+member, value, have[member])
		}
	case isText && cut:
		if whole, _ := got.(string); !strings.HasPrefix(whole, strings.TrimSpace(beginning)) {
			t.Errorf("%s is shown as %q, and is %q", name, text, got)
		}
	case !reflect.DeepEqual(shown, got):
		t.Errorf("%s is shown as %v, and is %v", name, shown, got)
	}
}

func TestReadme_NamesEveryCommand(t *testing.T) {
	t.Parallel()
	readme := readDocument(t, "README.md")
	for name := range cliCommands { // the help's own, as another test sees to
		if !regexp.MustCompile("(?m)^\\|.*`dueto " + name + "[ `]").MatchString(readme) {
			t.Errorf("the README's table of commands lacks dueto %s", name)
		}
	}
}

// codeStatuses reads from the code which status each code of a refusal has.
func codeStatuses(t *testing.T) map[string]int {
	t.Helper()
	words := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\t(Code\w+) +Code = "(\w+)"$`).FindAllStringSubmatch(readDocument(t, "services/errors.go"), -1) {
		words[m[1]] = m[2]
	}
	numbers := map[string]int{}
	for status := 400; status < 600; status++ {
		numbers[strings.ReplaceAll(http.StatusText(status), " ", "")] = status
	}
	statuses := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\tservices\.(Code\w+): +http\.Status(\w+),$`).FindAllStringSubmatch(readDocument(t, "middleware/errors.go"), -1) {
		statuses[words[m[1]]] = numbers[m[2]]
	}
	if len(statuses) < 20 || len(statuses) != len(words) {
		t.Fatalf("%d codes have %d statuses", len(words), len(statuses))
	}
	return statuses
}

// documentedStatuses reads a document's tables of refusals: a status, then codes.
func documentedStatuses(t *testing.T, name string) map[string]int {
	t.Helper()
	statuses := map[string]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| (\\d{3}) \\| ([a-z_`, ]+) \\|").FindAllStringSubmatch(readDocument(t, name), -1) {
		for _, code := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[2], -1) {
			statuses[code[1]], _ = strconv.Atoi(row[1]) // digits, by the pattern
		}
	}
	return statuses
}

func TestReference_RefusalsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	want := codeStatuses(t)
	reference := documentedStatuses(t, "docs/api.md")
	for code, status := range want {
		if reference[code] != status {
			t.Errorf("docs/api.md has %s as %d, not %d", code, reference[code], status)
		}
	}
	guide := documentedStatuses(t, "docs/authentication.md")
	if len(guide) < 10 {
		t.Errorf("docs/authentication.md has %d codes", len(guide))
	}
	for _, documented := range []map[string]int{reference, guide} {
		for code, status := range documented {
			if want[code] != status {
				t.Errorf("the documents have %s as %d, the code as %d", code, status, want[code])
			}
		}
	}
}

func TestReference_NamesEveryPermission(t *testing.T) {
	t.Parallel()
	guide := readDocument(t, "docs/authentication.md")
	for _, word := range services.Permissions() {
		if !strings.Contains(guide, "\n| `"+word+"` | ") {
			t.Errorf("the table of permissions lacks %s", word)
		}
	}
}

// anchors gives what links can lead to within a document.
func anchors(text string) (list []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		slug := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		list = append(list, strings.ReplaceAll(slug, " ", "-"))
	}
	return list
}

func TestDocuments_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../docs/*.md")
	if err != nil || len(names) < 7 {
		t.Fatalf("the documents are %v: %v", names, err)
	}
	for _, name := range append(names, "../README.md", "../CHANGELOG.md") {
		name = strings.TrimPrefix(name, "../")
		links := regexp.MustCompile(`\]\(([^):]*)\)`).FindAllStringSubmatch(readDocument(t, name), -1)
		for _, link := range links {
			file, anchor, _ := strings.Cut(link[1], "#")
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			if text := readDocument(t, target); anchor != "" && !slices.Contains(anchors(text), anchor) {
				t.Errorf("%s links to %s, which %s does not have", name, link[1], target)
			}
		}
	}
}
