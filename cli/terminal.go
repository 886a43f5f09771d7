package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"dueto/config"
	"dueto/services"
)

// terminal is where questions are asked and answered.
type terminal struct {
	e    *env
	file *os.File
	in   *bufio.Reader
	// before is how the terminal was set, for when a question is broken off.
	before *term.State
}

// errInterrupted ends a command whose question was answered with Ctrl-C.
var errInterrupted = errors.New("interrupted; nothing was changed")

// terminal fails where nobody can answer, unless nothing is to be asked.
func (e *env) terminal(noInput bool) (*terminal, error) {
	return e.terminalOr(noInput, "--no-input and "+config.SuperuserPassword)
}

// terminalOr is terminal with what to use instead.
func (e *env) terminalOr(noInput bool, instead string) (*terminal, error) {
	if noInput {
		return nil, nil
	}
	file, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, usageError("standard input is no terminal to ask on: use " + instead)
	}
	before, err := term.GetState(int(file.Fd()))
	return &terminal{e, file, bufio.NewReader(file), before}, err
}

// ask prints a prompt and waits for read, or for Ctrl-C: the read itself goes
// on then, until the process ends.
func (t *terminal) ask(prompt string, read func() (string, error)) (string, error) {
	fmt.Fprint(t.e.stderr, prompt)
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := read()
		answered <- answer{text, err}
	}()
	select {
	case a := <-answered:
		if errors.Is(a.err, io.EOF) {
			a.err = errors.New("the input ended; nothing was changed")
		}
		return a.text, a.err
	case <-t.e.ctx.Done():
		fmt.Fprintln(t.e.stderr)
		return "", errors.Join(errInterrupted, term.Restore(int(t.file.Fd()), t.before))
	}
}

// confirmed asks a question that is answered with yes or is not.
func (t *terminal) confirmed(question string) (bool, error) {
	line, err := t.ask(question+" [y/N] ", func() (string, error) { return t.in.ReadString('\n') })
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", err
}

// fill asks until there is an answer that the check has nothing to say of under
// its field, unless there is an answer already.
func (t *terminal) fill(value *string, prompt, field string, check func() error) error {
	for *value == "" {
		line, err := t.ask(prompt, func() (string, error) { return t.in.ReadString('\n') })
		if err != nil {
			return err
		}
		*value = strings.TrimSpace(line)
		var refused *services.Error
		if *value != "" && errors.As(check(), &refused) && len(refused.Fields[field]) > 0 {
			fmt.Fprintln(t.e.stderr, strings.Join(refused.Fields[field], "\n"))
			*value = ""
		}
	}
	return nil
}

// newPassword asks twice, without echo, until the answers agree and pass the
// check. What the check says of other members than the password ends it.
func (t *terminal) newPassword(check func(password string) error) (string, error) {
	for {
		first, err := t.secret("Password: ")
		if err != nil {
			return "", err
		}
		second, err := t.secret("Password (again): ")
		if err != nil {
			return "", err
		}
		if first != second {
			fmt.Fprintln(t.e.stderr, "The two are not the same.")
			continue
		}
		err = check(first)
		var refused *services.Error
		if !errors.As(err, &refused) || len(refused.Fields) != 1 || refused.Fields["password"] == nil {
			return first, err
		}
		fmt.Fprintln(t.e.stderr, complaints(refused))
	}
}

func (t *terminal) secret(prompt string) (string, error) {
	text, err := t.ask(prompt, func() (string, error) {
		b, err := term.ReadPassword(int(t.file.Fd()))
		return string(b), err
	})
	fmt.Fprintln(t.e.stderr)
	return text, err
}
