package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"dueto/config"
	"dueto/models"
)

type moveCmd struct {
	config.Config `embed:""`

	From  string `required:"" placeholder:"URL" help:"The database that is moved: sqlite:FILE, or postgres://USER:PASSWORD@HOST/NAME."`
	To    string `required:"" placeholder:"URL" help:"An empty database, or one that an interrupted move has left."`
	Quiet bool   `help:"Show no progress."`
}

// Help implements kong.HelpProvider.
func (moveCmd) Help() string {
	return "Copies every row with its id, and compares the two at the end. What is moved stays as it is. " +
		"Stop the servers on it first. A move that was interrupted goes on where it stopped when it is run again."
}

// errMoveInterrupted ends a move at Ctrl-C.
var errMoveInterrupted = errors.New("interrupted; the same command goes on from here")

// Run moves, shows how far it is, and says what was moved.
func (cmd *moveCmd) Run(e *env) error {
	c := cmd.Config
	c.DatabaseReplicas = nil // of a server's database, not of these
	for _, one := range [][2]string{{"--from", cmd.From}, {"--to", cmd.To}} {
		c.Database = one[1]
		if complaint := e.sources.Complaint(&c, "database"); complaint != "" {
			return usageError(one[0] + ": " + complaint)
		}
	}
	c.Database = cmd.From
	if err := e.checked(&c); err != nil {
		return err
	}
	meter := newMoveMeter(e.stderr, cmd.Quiet)
	began := time.Now()
	moved, err := models.Move(e.ctx, cmd.From, cmd.To, models.MoveOptions{
		Progress: meter.report,
		Warn:     func(text string) { fmt.Fprintln(e.stderr, "dueto: "+text) },
	})
	meter.end()
	switch {
	case errors.Is(err, context.Canceled) && e.ctx.Err() != nil:
		return errMoveInterrupted
	case errors.Is(err, models.ErrMoveDiffers):
		return fmt.Errorf("%w\nWhat is moved was changed since the move began, or somebody wrote to the other one. "+
			"Stop the servers on both, empty the database to move to, and move anew", err)
	case err != nil && meter.begun:
		return fmt.Errorf("%w\nThe same command goes on from here once that is mended", err)
	case err != nil:
		return err
	}
	return cmd.summary(e, &c, moved, time.Since(began))
}

// summary prints the tables, and what else a server on the new database needs.
func (cmd *moveCmd) summary(e *env, c *config.Config, moved []models.MovedTable, took time.Duration) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tROWS\tSHA-256")
	var rows int64
	for _, t := range moved {
		fmt.Fprintf(w, "%s\t%d\t%s\n", t.Name, t.Rows, t.SHA256)
		rows += t.Rows
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "Moved %d rows from %s to %s in %s; both have the same.\n",
		rows, models.Redacted(cmd.From), models.Redacted(cmd.To), took.Round(100*time.Millisecond))
	c.Derive()
	secret := "the secret in " + c.SecretFile
	if c.Secret != "" {
		secret = "the same secret"
	}
	fmt.Fprintf(e.stdout, "A server on the new one needs %s as well, or all sessions and links end.\n", secret)
	return nil
}
