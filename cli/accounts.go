package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"dueto/config"
	"dueto/services"
)

const superuserPassword = config.EnvPrefix + "SUPERUSER_PASSWORD"

type createsuperuserCmd struct {
	config.Config `embed:""`

	Username string `help:"Its name; asked for if absent." placeholder:"NAME"`
	Email    string `help:"Its address; asked for if absent." placeholder:"ADDRESS"`
	NoInput  bool   `help:"Ask nothing: take the password from DUETO_SUPERUSER_PASSWORD."`
}

// Run makes the account, asking for what was not given.
func (cmd *createsuperuserCmd) Run(e *env) error {
	account := services.NewAccount{Username: cmd.Username, Email: cmd.Email}
	if cmd.NoInput {
		account.Password = os.Getenv(superuserPassword)
		switch {
		case account.Username == "" || account.Email == "":
			return usageError("--no-input needs --username and --email")
		case account.Password == "":
			return usageError("--no-input needs a password in " + superuserPassword)
		}
	}
	return e.withAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if !cmd.NoInput {
			if err := e.askAccount(accounts, &account); err != nil {
				return err
			}
		}
		user, err := accounts.CreateSuperuser(e.ctx, account)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "Superuser %s created.\n", user.Username)
		return nil
	})
}

// askAccount asks for what is missing, and for a password until it will do.
func (e *env) askAccount(accounts *services.AccountService, a *services.NewAccount) error {
	t, err := e.terminal()
	if err != nil {
		return err
	}
	if err := t.fill(&a.Username, "Username: "); err != nil {
		return err
	}
	if err := t.fill(&a.Email, "Email: "); err != nil {
		return err
	}
	for {
		if a.Password, err = t.newPassword(); err != nil {
			return err
		}
		err := accounts.CheckNewAccount(*a)
		var refused *services.Error
		if !errors.As(err, &refused) {
			return err
		}
		if _, ok := refused.Fields["password"]; !ok || len(refused.Fields) > 1 {
			return err
		}
		fmt.Fprintln(e.stderr, complaints(refused))
	}
}

type changepasswordCmd struct {
	config.Config `embed:""`

	Username string `arg:"" help:"Whose password."`
	NoInput  bool   `help:"Ask nothing: take the password from DUETO_SUPERUSER_PASSWORD."`
}

// Run sets the password.
func (cmd *changepasswordCmd) Run(e *env) error {
	password := os.Getenv(superuserPassword)
	if cmd.NoInput && password == "" {
		return usageError("--no-input needs a password in " + superuserPassword)
	}
	return e.withAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if !cmd.NoInput {
			t, err := e.terminal()
			if err != nil {
				return err
			}
			if password, err = t.newPassword(); err != nil {
				return err
			}
		}
		if err := accounts.SetPassword(e.ctx, cmd.Username, password); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "Password of %s changed; its sessions are ended.\n", cmd.Username)
		return nil
	})
}

type activateCmd struct {
	config.Config `embed:""`

	Username string `arg:"" help:"Which account."`
}

// Run activates the account.
func (cmd *activateCmd) Run(e *env) error {
	return e.withAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if err := accounts.ActivateByName(e.ctx, cmd.Username); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s is active.\n", cmd.Username)
		return nil
	})
}

type deactivateCmd struct {
	config.Config `embed:""`

	Username string `arg:"" help:"Which account."`
}

// Run deactivates the account.
func (cmd *deactivateCmd) Run(e *env) error {
	return e.withAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if err := accounts.DeactivateByName(e.ctx, cmd.Username); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s is deactivated; its sessions are ended.\n", cmd.Username)
		return nil
	})
}

// terminal is where questions are asked and answered.
type terminal struct {
	e    *env
	file *os.File
	in   *bufio.Reader
}

// terminal fails where nobody can answer.
func (e *env) terminal() (*terminal, error) {
	file, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, usageError("standard input is no terminal to ask on: use --no-input and " + superuserPassword)
	}
	return &terminal{e, file, bufio.NewReader(file)}, nil
}

// fill asks until there is an answer, unless there is one already.
func (t *terminal) fill(value *string, prompt string) error {
	for *value == "" {
		fmt.Fprint(t.e.stderr, prompt)
		line, err := t.in.ReadString('\n')
		if err != nil {
			return err
		}
		*value = strings.TrimSpace(line)
	}
	return nil
}

// newPassword asks twice, without echo.
func (t *terminal) newPassword() (string, error) {
	for {
		first, err := t.secret("Password: ")
		if err != nil {
			return "", err
		}
		second, err := t.secret("Password (again): ")
		if err != nil {
			return "", err
		}
		if first == second {
			return first, nil
		}
		fmt.Fprintln(t.e.stderr, "The two are not the same.")
	}
}

func (t *terminal) secret(prompt string) (string, error) {
	fmt.Fprint(t.e.stderr, prompt)
	b, err := term.ReadPassword(int(t.file.Fd()))
	fmt.Fprintln(t.e.stderr)
	return string(b), err
}
