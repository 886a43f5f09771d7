package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"dueto/config"
	"dueto/models"
	"dueto/services"
)

type userListCmd struct {
	config.Config `embed:""`

	Staff          bool   `help:"Only staff."`
	Inactive       bool   `help:"Only those that cannot sign in."`
	NeverActivated bool   `help:"Only those that were never confirmed."`
	Search         string `help:"Only those with each of these words in the name or the address." placeholder:"WORDS"`
}

// Run prints the accounts as a table.
func (cmd *userListCmd) Run(e *env) error {
	only := func(wanted, value bool) *bool {
		if !wanted {
			return nil
		}
		return &value
	}
	query := services.UserQuery{Active: only(cmd.Inactive, false), Staff: only(cmd.Staff, true), NeverActivated: only(cmd.NeverActivated, true)}
	if cmd.Search != "" {
		var complaint string
		if query.Search, complaint = services.SearchWords(cmd.Search); complaint != "" {
			return usageError("--search: " + complaint)
		}
	}
	return e.withExistingAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		users, err := accounts.Find(e.ctx, query)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tUSERNAME\tE-MAIL\tACTIVE\tSTAFF\tPERMISSIONS\tJOINED\tLAST LOGIN")
		for _, u := range users {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", u.ID, u.Username, u.Email,
				active(u), yesNo(u.IsStaff), words(services.PermissionsOf(u), "-"), moment(u.DateJoined), when(u.LastLogin))
		}
		return w.Flush()
	})
}

// active tells an account that waits for its confirmation from one that an
// operator deactivated.
func active(u models.User) string {
	if u.Pending() {
		return "not yet"
	}
	return yesNo(u.Active())
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func words(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

func moment(micros int64) string { return models.Time(micros).Format(time.RFC3339) }

type grantCmd struct {
	config.Config `embed:""`

	Username string   `arg:"" help:"Which account."`
	Words    []string `arg:"" name:"word" help:"What it may do, such as tasks.change."`
}

// Run grants the words.
func (cmd *grantCmd) Run(e *env) error {
	return e.withExistingAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		held, err := accounts.GrantByName(e.ctx, cmd.Username, cmd.Words...)
		if err == nil {
			fmt.Fprintf(e.stdout, "Permissions of %s: %s.\n", cmd.Username, words(held, "none"))
		}
		return err
	})
}

type revokeCmd struct {
	config.Config `embed:""`

	Username string   `arg:"" help:"Which account."`
	Words    []string `arg:"" name:"word" help:"What it may do no longer."`
}

// Run revokes the words.
func (cmd *revokeCmd) Run(e *env) error {
	return e.withExistingAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		held, err := accounts.RevokeByName(e.ctx, cmd.Username, cmd.Words...)
		if err == nil {
			fmt.Fprintf(e.stdout, "Permissions of %s: %s.\n", cmd.Username, words(held, "none"))
		}
		return err
	})
}

type promoteCmd struct {
	config.Config `embed:""`

	Username string `arg:"" help:"Which account."`
}

// Run makes the account staff.
func (cmd *promoteCmd) Run(e *env) error {
	return e.withExistingAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if err := accounts.PromoteByName(e.ctx, cmd.Username); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s is staff.\n", cmd.Username)
		return nil
	})
}

type demoteCmd struct {
	config.Config `embed:""`

	Username string `arg:"" help:"Which account."`
}

// Run makes the account staff no longer.
func (cmd *demoteCmd) Run(e *env) error {
	return e.withExistingAccounts(&cmd.Config, func(accounts *services.AccountService) error {
		if err := accounts.DemoteByName(e.ctx, cmd.Username); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s is not staff.\n", cmd.Username)
		return nil
	})
}
