package cli

import (
	"fmt"
	"text/tabwriter"

	"dueto/config"
	"dueto/routes"
)

type outboxListCmd struct {
	config.Config `embed:""`
}

// Run lists the messages.
func (cmd *outboxListCmd) Run(e *env) error {
	return e.withExisting(&cmd.Config, func(svc *routes.Services) error {
		list, err := svc.Outbox.Messages(e.ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tKIND\tUSER\tCREATED\tATTEMPTS\tNEXT ATTEMPT\tLAST ERROR")
		for _, m := range list {
			next := "-"
			if !m.FinishedAt.Valid && (m.Attempts > 0 || svc.Outbox.Sends()) {
				next = moment(m.NextAttemptAt)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%d\t%s\t%s\n", m.ID, m.State, m.Kind, m.UserID.Int64,
				moment(m.CreatedAt), m.Attempts, next, m.LastError)
		}
		return w.Flush()
	})
}

type outboxShowCmd struct {
	config.Config `embed:""`

	ID int64 `arg:"" help:"Its number in the list."`
}

// Run prints the message.
func (cmd *outboxShowCmd) Run(e *env) error {
	derived := cmd.PublicURL == ""
	if cmd.Derive(); cmd.PublicURL == "" {
		return usageError("links begin with the public URL: set public-url to that of the server")
	}
	if derived {
		fmt.Fprintf(e.stderr, "Links begin with %s, for there is no public-url; one that is not the server's is refused there.\n", cmd.PublicURL)
	}
	return e.withExisting(&cmd.Config, func(svc *routes.Services) error {
		mail, err := svc.Outbox.Show(e.ctx, cmd.ID)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "To: %s\nSubject: %s\n\n%s", mail.To, mail.Subject, mail.Text)
		return nil
	})
}
