package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"dueto/config"
	"dueto/models"
)

type backupCmd struct {
	config.Config `embed:""`

	Dir  string `arg:"" optional:"" help:"The folder, made if it is missing; backup-dir if absent."`
	Keep *int   `help:"How many backups of this database to keep in the folder, 0 for all; backup-keep if absent." placeholder:"N"`
}

// Help implements kong.HelpProvider.
func (backupCmd) Help() string {
	return "The copy is of one moment, and is checked before it gets its name. The secret file is no part of it."
}

// Run makes a backup and tells what is in it.
func (cmd *backupCmd) Run(e *env) error {
	c := &cmd.Config
	if err := e.engineOrSettings(c); err != nil {
		return err
	}
	c.Derive()
	backups := models.Backups{URL: c.Database, Dir: c.BackupDir}
	if cmd.Dir != "" {
		backups.Dir = cmd.Dir
	}
	keep := c.BackupKeep
	if cmd.Keep != nil {
		keep = *cmd.Keep
	}
	if keep < 0 {
		return usageError(fmt.Sprintf("--keep %d is below 0", keep))
	}
	made, err := backups.Make(e.ctx, keep)
	if made.Size == 0 {
		return notMade(err)
	}
	fmt.Fprintln(e.stdout, made.File)
	fmt.Fprintf(e.stdout, "%d bytes, schema %d: %s\n", made.Size, made.Schema, rows(made.Rows))
	if c.SecretFile != "" {
		fmt.Fprintf(e.stdout, "%s is not in it: keep a copy of that too, in another place.\n", c.SecretFile)
	}
	return err
}

// engineOrSettings reports what is wrong with the settings. The database of an
// engine that has tools of its own is let pass to where these are named.
func (e *env) engineOrSettings(c *config.Config) error {
	if err := models.Supports(c.Database); err != nil {
		return nil //nolint:nilerr // it will be said what to use
	}
	return e.checked(c)
}

// notMade says what became of the backups that there are.
func notMade(err error) error {
	var unsupported *models.UnsupportedError
	if err == nil || errors.As(err, &unsupported) {
		return err
	}
	if errors.Is(err, models.ErrCorrupt) {
		return fmt.Errorf("no backup was made, and older ones were left: %w. Run: dueto doctor", err)
	}
	return fmt.Errorf("no backup was made, and older ones were left: %w", err)
}

// rows gives the numbers of rows as people read them.
func rows(list []models.TableRows) string {
	parts := make([]string, len(list))
	for i, t := range list {
		parts[i] = fmt.Sprintf("%s %d", t.Table, t.Rows)
	}
	return strings.Join(parts, ", ")
}

// backUpBeforeMigrating makes a backup of a database that has data and is about
// to be migrated, and refuses where it cannot: without there is no way back. The
// file is empty where there is nothing to do.
func (e *env) backUpBeforeMigrating(c *config.Config) (file string, err error) {
	derived := *c
	derived.Derive()
	made, err := models.Backups{URL: c.Database, Dir: derived.BackupDir}.MakeBeforeMigrating(e.ctx)
	if made != nil {
		return made.File, err
	}
	if err != nil && !errors.Is(err, models.ErrSchemaNewer) && !errors.Is(err, models.ErrCorrupt) {
		err = fmt.Errorf("the database was not migrated, for it cannot be backed up before: %w\n"+
			"Make room, or name another folder with --backup-dir", err)
	}
	return "", err
}

// notBackedUp is said before a database is migrated whose backups are not ours.
const notBackedUp = "the database is about to be migrated, and Dueto makes no backup of PostgreSQL's before"

// sayNotBackedUp says it to who has called a command.
func (e *env) sayNotBackedUp(pending []string, advice string) {
	fmt.Fprintf(e.stderr, "dueto: %s: %s\n%s\n", notBackedUp, strings.Join(pending, ", "), advice)
}

// adviseDump says how PostgreSQL makes a backup.
func adviseDump(c *config.Config) string {
	return "The way back to an older version is a backup from before: " + models.PostgresTools(c.Database).Dump
}

type restoreCmd struct {
	config.Config `embed:""`

	File string `arg:"" help:"What dueto backup made."`
	Yes  bool   `help:"Do not ask."`
}

// Help implements kong.HelpProvider.
func (restoreCmd) Help() string {
	return "The file is checked first. Stop every dueto that uses the database. " +
		"The database that there is stays beside the restored one, under another name."
}

// Run checks the file, asks and restores it.
func (cmd *restoreCmd) Run(e *env) error {
	c := &cmd.Config
	if err := e.engineOrSettings(c); err != nil {
		return err
	}
	var t *terminal
	if models.Supports(c.Database) == nil {
		var err error
		if t, err = e.terminalOr(cmd.Yes, "--yes"); err != nil {
			return err
		}
	}
	c.Derive()
	r, err := models.PrepareRestore(e.ctx, c.Database, cmd.File, time.Now)
	if err != nil {
		return notRestored(err)
	}
	defer r.Discard()
	fmt.Fprintf(e.stdout, "%s is sound. %d bytes, schema %d: %s\n", r.File, r.Size, r.Schema, rows(r.Rows))
	if len(r.Pending) > 0 {
		fmt.Fprintf(e.stdout, "The next start migrates it: %s.\n", strings.Join(r.Pending, ", "))
	}
	if t != nil && r.Replaces {
		sure, err := t.confirmed("Put it in the place of " + c.DatabaseFile() + "? What came after the backup, sessions too, is gone then.")
		if err != nil {
			return err
		}
		if !sure {
			return errors.New("nothing was changed")
		}
	}
	kept, err := r.Commit(e.ctx)
	if err != nil {
		return notRestored(err)
	}
	fmt.Fprintf(e.stdout, "Restored %s.\n", c.DatabaseFile())
	if kept != "" {
		fmt.Fprintf(e.stdout, "The database until now is kept as %s.\n", kept)
	}
	fmt.Fprintln(e.stdout, "What came after the backup is gone, sessions too, whose people sign in again. Passwords, permissions and\n"+
		"deactivations are those of then, and sessions that ended after it go on.")
	if c.SecretFile != "" {
		fmt.Fprintf(e.stdout, "The secret is not in a backup: with another %s than the one of then, everybody signs in again.\n", c.SecretFile)
	}
	return nil
}

// notRestored says what to do.
func notRestored(err error) error {
	var unsupported *models.UnsupportedError
	switch {
	case errors.As(err, &unsupported), errors.Is(err, models.ErrCorrupt), errors.Is(err, models.ErrSchemaNewer):
		return err
	case errors.Is(err, models.ErrInUse):
		return fmt.Errorf("nothing was restored: %w\nStop every dueto that uses it, and try again", err)
	}
	return fmt.Errorf("nothing was restored, and the database was left as it was: %w", err)
}
