package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"
)

// maxTypos is how many letters a word may differ in from the one that was meant.
const maxTypos = 2

// unknownCommand offers the nearest command in place of a complaint about a word
// where one was expected. The parser takes it for an argument of serve, the
// command that goes without saying.
func unknownCommand(app *kong.Application, args []string, complaint string) string {
	word, ok := strings.CutPrefix(complaint, "unexpected argument ")
	if i := slices.Index(args, word); !ok || i < 0 || slices.ContainsFunc(args[:i], func(arg string) bool { return child(app.Node, arg) }) {
		return complaint
	}
	complaint = "there is no command " + word
	best, nearest := maxTypos+1, ""
	for _, command := range app.Children {
		typos := levenshtein.ComputeDistance(word, command.Name)
		if len(word) > maxTypos && strings.HasPrefix(command.Name, word) {
			typos = 1
		}
		if typos < min(best, len(word)) {
			best, nearest = typos, command.Name
		}
	}
	if nearest == "" {
		return complaint + "; dueto --help lists them"
	}
	return fmt.Sprintf("%s, did you mean %q?", complaint, nearest)
}

// child reports whether a command is below another.
func child(node *kong.Node, name string) bool {
	return slices.ContainsFunc(node.Children, func(n *kong.Node) bool { return n.Name == name })
}
