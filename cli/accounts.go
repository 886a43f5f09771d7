package cli

import (
	"fmt"
	"os"

	"dueto/config"
	"dueto/services"
)

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
		account.Password = os.Getenv(config.SuperuserPassword)
		switch {
		case account.Username == "" || account.Email == "":
			return usageError("--no-input needs --username and --email")
		case account.Password == "":
			return usageError("--no-input needs a password in " + config.SuperuserPassword)
		}
	}
	t, err := e.terminal(cmd.NoInput)
	if err != nil {
		return err
	}
	return e.withAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if !cmd.NoInput {
			if err := t.fillAccount(accounts, &account); err != nil {
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

// fillAccount asks for what is missing, and for a password until it will do.
func (t *terminal) fillAccount(accounts *services.AccountService, a *services.NewAccount) (err error) {
	if err := t.fill(&a.Username, "Username: ", "username", func() error { return accounts.CheckNewAccount(*a) }); err != nil {
		return err
	}
	if err := t.fill(&a.Email, "Email: ", "email", func() error { return accounts.CheckNewAccount(*a) }); err != nil {
		return err
	}
	a.Password, err = t.newPassword(func(password string) error {
		a.Password = password
		return accounts.CheckNewAccount(*a)
	})
	return err
}

type changepasswordCmd struct {
	config.Config `embed:""`

	Username string `arg:"" help:"Whose password."`
	NoInput  bool   `help:"Ask nothing: take the password from DUETO_SUPERUSER_PASSWORD."`
}

// Run sets the password.
func (cmd *changepasswordCmd) Run(e *env) error {
	password := os.Getenv(config.SuperuserPassword)
	if cmd.NoInput && password == "" {
		return usageError("--no-input needs a password in " + config.SuperuserPassword)
	}
	t, err := e.terminal(cmd.NoInput)
	if err != nil {
		return err
	}
	return e.withExistingAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if !cmd.NoInput {
			check, err := accounts.PasswordCheck(e.ctx, cmd.Username)
			if err != nil {
				return err
			}
			if password, err = t.newPassword(check); err != nil {
				return err
			}
		}
		if err := accounts.SetPassword(e.ctx, cmd.Username, password); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "Password of %s changed; its sessions and API tokens are ended.\n", cmd.Username)
		return nil
	})
}

type activateCmd struct {
	config.Config `embed:""`

	Username string `arg:"" help:"Which account."`
}

// Run activates the account.
func (cmd *activateCmd) Run(e *env) error {
	return e.withExistingAccounts(&cmd.Config, func(accounts *services.AccountService) error {
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
	return e.withExistingAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if err := accounts.DeactivateByName(e.ctx, cmd.Username); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s is deactivated; its sessions are ended.\n", cmd.Username)
		return nil
	})
}
