package cli

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"dueto/config"
	"dueto/routes"
	"dueto/services"
)

type tokenCreateCmd struct {
	config.Config `embed:""`

	Username   string   `arg:"" help:"Whose token."`
	Name       string   `default:"cli" help:"What it is called." placeholder:"TEXT"`
	Permission []string `help:"Limit it to this permission; may be given more than once." placeholder:"WORD"`
	Expires    string   `default:"90d" help:"Time until it ends, such as 12h or 90d, or never." placeholder:"TIME"`
	Quiet      bool     `help:"Print the key and nothing else."`
	Reset      bool     `help:"Revoke the account's tokens of the same name."`
}

// Run makes the token.
func (cmd *tokenCreateCmd) Run(e *env) error {
	until, err := expiry(cmd.Expires, time.Now())
	if err != nil {
		return err
	}
	in := services.NewAPIToken{Name: cmd.Name, ExpiresAt: services.SetTo(until)}
	if len(cmd.Permission) > 0 {
		in.Permissions = &cmd.Permission
	}
	return e.withExisting(&cmd.Config, func(svc *routes.Services) error {
		_, key, err := svc.APITokens.CreateByName(e.ctx, cmd.Username, in, cmd.Reset)
		if err != nil {
			return err
		}
		if cmd.Quiet {
			fmt.Fprintln(e.stdout, key)
			return nil
		}
		fmt.Fprintf(e.stdout, "Generated token %s for user %s\n", key, cmd.Username)
		return nil
	})
}

// maxExpiryDays is the longest that a token may last, short of never.
const maxExpiryDays = 100 * 365

// expiry reads how long a token lasts: a Go duration, or days, or never.
func expiry(text string, now time.Time) (*time.Time, error) {
	if text == "never" {
		return nil, nil
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(max(0, min(n, maxExpiryDays+1))) * 24 * time.Hour // more would overflow
	}
	if err != nil || d <= 0 || d > maxExpiryDays*24*time.Hour {
		return nil, usageError("--expires " + strconv.Quote(text) + " is no time such as 12h or 90d, nor never")
	}
	return new(now.Add(d)), nil
}

type tokenListCmd struct {
	config.Config `embed:""`

	Username string `arg:"" optional:"" help:"Whose tokens; everybody's if absent."`
}

// Run lists the tokens.
func (cmd *tokenListCmd) Run(e *env) error {
	return e.withExisting(&cmd.Config, func(svc *routes.Services) error {
		list, err := svc.APITokens.ListByName(e.ctx, cmd.Username)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tUSER\tNAME\tENDS IN\tPERMISSIONS\tCREATED\tEXPIRES\tLAST USED")
		for _, t := range list {
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.UserID, t.Name, t.LastFour, scope(t.Permissions),
				moment(t.CreatedAt), when(t.ExpiresAt), when(t.LastUsedAt))
		}
		return w.Flush()
	})
}

// scope gives what a token is limited to as people read it.
func scope(column sql.NullString) string {
	if !column.Valid {
		return "all"
	}
	var list []string
	_ = json.Unmarshal([]byte(column.String), &list) // a CHECK keeps it valid
	return words(list, "none")
}

// when gives a stored time as people read it.
func when(at sql.NullInt64) string {
	if !at.Valid {
		return "never"
	}
	return moment(at.Int64)
}

type tokenRevokeCmd struct {
	config.Config `embed:""`

	ID int64 `arg:"" help:"Its number in the list."`
}

// Run revokes the token.
func (cmd *tokenRevokeCmd) Run(e *env) error {
	return e.withExisting(&cmd.Config, func(svc *routes.Services) error {
		if err := svc.APITokens.RevokeByID(e.ctx, cmd.ID); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "Token %d is revoked.\n", cmd.ID)
		return nil
	})
}
