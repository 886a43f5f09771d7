// Package cli is the command line: one file per command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"dueto/config"
	"dueto/models"
	"dueto/routes"
	"dueto/services"
)

// The exit codes besides 0.
const (
	exitFailed   = 1
	exitUsage    = 2 // the command line or the settings are wrong
	exitDatabase = 3 // the database cannot be read, is a newer version's, or not moved to the end

	exitInterrupted = 130 // as a shell says of a command that Ctrl-C has ended
)

type commands struct {
	Serve           serveCmd           `cmd:"" default:"withargs" help:"Run the server. This is what dueto does without a command."`
	Migrate         migrateCmd         `cmd:"" help:"Bring the database up to date, as serve does at its start."`
	Createsuperuser createsuperuserCmd `cmd:"" help:"Make an active account that may do everything."`
	Changepassword  changepasswordCmd  `cmd:"" help:"Give an account a new password and end its sessions."`
	User            struct {
		Activate   activateCmd   `cmd:"" help:"Confirm an account, or lift its deactivation."`
		Deactivate deactivateCmd `cmd:"" help:"Keep an account from signing in and end its sessions."`
		List       userListCmd   `cmd:"" help:"Print the accounts."`
		Grant      grantCmd      `cmd:"" help:"Let an account do more than what owning allows."`
		Revoke     revokeCmd     `cmd:"" help:"Take back what was granted."`
		Promote    promoteCmd    `cmd:"" help:"Make an account staff, who may do everything."`
		Demote     demoteCmd     `cmd:"" help:"Make an account staff no longer."`
	} `cmd:"" help:"Administer accounts."`
	Token struct {
		Create tokenCreateCmd `cmd:"" help:"Make an API token and print its key, this once."`
		List   tokenListCmd   `cmd:"" help:"List API tokens."`
		Revoke tokenRevokeCmd `cmd:"" help:"Revoke an API token."`
	} `cmd:"" help:"Administer API tokens."`
	Outbox struct {
		List outboxListCmd `cmd:"" help:"List the messages that wait, and what became of the last ones."`
		Show outboxShowCmd `cmd:"" help:"Print a message as it would be sent now. It may hold a link that opens an account."`
	} `cmd:"" help:"Look at the mail."`
	Backup  backupCmd  `cmd:"" help:"Copy the database to a folder, while it is in use or not."`
	Restore restoreCmd `cmd:"" help:"Put a backup in the place of the database, which is kept."`
	Doctor  doctorCmd  `cmd:"" help:"Read the whole database and tell whether it is sound; the exit code tells too."`
	Check   checkCmd   `cmd:"" help:"Look for what is wrong or unwise before serving; the exit code tells."`
	Keys    struct {
		Generate keysGenerateCmd `cmd:"" help:"Make a file with a new private key, or a new secret."`
		Rotate   keysRotateCmd   `cmd:"" help:"Sign with a new key from now on; former ones still verify."`
		List     keysListCmd     `cmd:"" help:"Print which keys sign and which verify."`
		Adopt    keysAdoptCmd    `cmd:"" help:"Take the secret that is set for that of a PostgreSQL database, whose servers had another."`
	} `cmd:"" help:"Administer the keys of tokens."`
	Move    moveCmd    `cmd:"" help:"Move everything to another database, on SQLite or PostgreSQL."`
	Config  configCmd  `cmd:"" help:"Print the settings in force and where each is from, secrets masked."`
	Routes  routesCmd  `cmd:"" help:"Print the routes of the API."`
	Openapi openapiCmd `cmd:"" help:"Print the description of the API, for tools."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// env is what a command runs in.
type env struct {
	ctx     context.Context
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	sources *config.Sources
	flags   []*kong.Flag
}

// usageError is a mistake in how a command was called.
type usageError string

func (e usageError) Error() string { return string(e) }

// errExit is how the parser asks to end, after --help.
var errExit = errors.New("exit")

// Run runs the command line and gives the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if p := recover(); p == errExit { //nolint:errorlint // the very value that Exit below throws
			code = 0
		} else if p != nil {
			panic(p)
		}
	}()
	sources, err := config.NewSources(".env")
	if err != nil {
		return fail(stderr, usageError(err.Error()))
	}
	options := append(sources.Options(),
		kong.Name("dueto"),
		kong.Description("A task API with accounts, in one binary.\n\n"+
			"Every setting is a flag, a variable (--access-ttl is DUETO_ACCESS_TTL) or a line of .env, in that order."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { panic(errExit) }),
		kong.ValueFormatter(withDefault),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{{Key: "Server", Title: "Server:"}, {Key: "Data", Title: "Data:"}, {Key: "Accounts", Title: "Accounts:"}, {Key: "Mail", Title: "Mail:"}, {Key: "Log", Title: "Log:"}}),
	)
	parser, err := kong.New(new(commands), options...)
	if err != nil {
		return fail(stderr, err)
	}
	hideServerFlags(parser)
	parsed, err := parser.Parse(args)
	if err != nil {
		return fail(stderr, usageError(withoutKey(unknownCommand(parser.Model, args, err.Error()))))
	}
	return fail(stderr, parsed.Run(&env{ctx, stdin, stdout, stderr, sources, parsed.Flags()}))
}

// withoutKey cuts a key that the parser quotes out of a complaint: one that
// begins with dashes is taken for a flag.
func withoutKey(complaint string) string {
	before, _, found := strings.Cut(complaint, "-----BEGIN ")
	if !found {
		return complaint
	}
	return strings.TrimRight(before, `"=`) + "a key: join the flag and the key by =, or better set the variable"
}

// withDefault adds to a flag's help what it is when it is not set.
func withDefault(v *kong.Value) string {
	if v.Default == "" {
		return v.Help
	}
	return v.Help + " Default: " + v.Default + "."
}

// hideServerFlags keeps the help of a command that does not serve to the
// settings that matter to it. The others are still read.
func hideServerFlags(parser *kong.Kong) {
	for _, command := range parser.Model.Leaves(false) {
		if command.Name == "serve" || command.Name == "config" || command.Name == "check" {
			continue
		}
		matters := []string{"database", "secret-file", "password-cost"}
		if command.Name == "move" {
			matters = []string{"secret-file"}
		}
		switch command.Parent.Name {
		case "keys":
			matters = []string{"database", "secret-file", "jwt-algorithm", "jwt-signing-key", "jwt-verifying-keys"}
		case "outbox": // links begin with the public URL
			matters = append(matters, "public-url")
		}
		switch command.Name {
		case "backup":
			matters = []string{"database", "backup-dir", "backup-keep"}
		case "restore":
			matters = []string{"database"}
		case "doctor":
			matters = []string{"database", "database-replicas", "backup-dir", "backup-every"}
		case "migrate":
			matters = append(matters, "backup-dir")
		case "openapi": // what the description depends on
			matters = []string{"public-url", "read-access", "auth-modes", "page-size", "max-page-size", "cors-origins"}
		}
		for _, flag := range command.Flags {
			if flag.Group != nil && !slices.Contains(matters, flag.Name) {
				flag.Hidden = true
			}
		}
	}
}

// fail prints what went wrong and gives the exit code.
func fail(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, errFound) {
		return exitFailed
	}
	var usage usageError
	var unsupported *models.UnsupportedError
	var public *services.Error
	code := exitFailed
	switch {
	case errors.As(err, &usage), errors.As(err, &unsupported):
		code = exitUsage
	case errors.Is(err, models.ErrCorrupt):
		code = exitDatabase
		err = fmt.Errorf("%w\nIt was left as it is. Restore a backup, or name another one with --database", err)
	case errors.Is(err, models.ErrSchemaNewer):
		code = exitDatabase
		err = fmt.Errorf("%w\nNothing was changed. Run the newer version, or restore a backup from before it", err)
	case errors.Is(err, models.ErrUnfinishedMove):
		code = exitDatabase
		err = fmt.Errorf("%w\nRun the same dueto move again, which goes on where it stopped, or empty the database", err)
	case errors.Is(err, errMoveInterrupted):
		code = exitInterrupted
	case errors.Is(err, services.ErrForeignSecret):
		code = exitUsage
		err = fmt.Errorf("%w\nCopy their secret file here, or name it with --secret-file. If it is lost: dueto keys adopt, after which all have to sign in again", err)
	case errors.As(err, &public):
		err = errors.New(complaints(public))
	}
	fmt.Fprintf(stderr, "dueto: %v\n", err)
	return code
}

// complaints gives a failure of the rules as lines.
func complaints(e *services.Error) string {
	lines := []string{e.Message}
	for field, list := range e.Fields {
		for _, complaint := range list {
			lines = append(lines, "  "+field+": "+complaint)
		}
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

// checked reports everything that is wrong with the settings, before anything
// is opened.
func (e *env) checked(c *config.Config) error {
	if err := e.sources.Check(c); err != nil {
		return usageError("the settings are not valid:\n" + err.Error())
	}
	return nil
}

// open gives the store, migrated, and sees to it that there are keys. The store
// comes first: what is wrong with its place is said of it, and not of a secret
// beside it.
func (e *env) open(c *config.Config, log *slog.Logger) (*models.Store, error) {
	if err := c.CheckSigningKeys(); err != nil { // before anything is made
		return nil, usageError(err.Error())
	}
	store, did, err := e.migrated(c, models.Options{Replicas: c.DatabaseReplicas, ReplicaChanged: replicaChanged(log)}, func(pending []string, advice string) {
		log.Warn(notBackedUp, "migrations", pending, "advice", advice)
	})
	if err != nil {
		return nil, err
	}
	switch {
	case len(did.applied) > 0 && did.backup != "": // not a new file: older binaries refuse it from here on
		log.Warn("migrated the database", "migrations", did.applied, "backup", did.backup)
	case len(did.applied) > 0:
		log.Info("migrated the database", "migrations", did.applied)
	case did.backup != "":
		log.Info("another process has migrated the database meanwhile", "backup", did.backup)
	}
	if c.SecretMissing() {
		if err := services.MayMakeSecret(e.ctx, store); err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	_, file, made, err := c.LoadSecret()
	if err == nil {
		_, err = c.LoadKeys()
	}
	if err != nil {
		return nil, errors.Join(usageError(err.Error()), store.Close())
	}
	if made {
		log.Info("made a secret, from which every key is derived: keep the file, and keep it to yourself", "file", file)
	}
	return store, nil
}

// migrating is what was done to bring a database up to date.
type migrating struct {
	applied []string
	backup  string // the file with what was there before, if there was anything
}

// migrated gives the store, up to date. warn is told what is about to be applied
// to a database of which no backup is made.
func (e *env) migrated(c *config.Config, opts models.Options, warn func(pending []string, advice string)) (store *models.Store, did migrating, err error) {
	store, err = models.Open(e.ctx, c.Database, opts)
	if err != nil {
		return nil, did, err
	}
	if did.backup, err = e.backUpBeforeMigrating(c); err == nil {
		var pending []string
		if pending, err = store.Unsaved(e.ctx); len(pending) > 0 {
			warn(pending, adviseDump(c))
		}
	}
	if err == nil {
		did.applied, err = store.Migrate(e.ctx)
	}
	if err != nil {
		return nil, did, errors.Join(err, store.Close())
	}
	return store, did, nil
}

// replicaChanged logs which replicas are read from.
func replicaChanged(log *slog.Logger) func(replica string, used bool, reason string) {
	return func(replica string, used bool, reason string) {
		if used {
			log.Info("a replica is read from", "replica", replica)
		} else {
			log.Warn("a replica is left out", "replica", replica, "reason", reason)
		}
	}
}

// withExistingAccounts is withAccounts for commands that make no sense on a new
// database.
func (e *env) withExistingAccounts(c *config.Config, fn func(*services.AccountService) error) error {
	return e.withExisting(c, func(svc *routes.Services) error { return fn(svc.Accounts) })
}

// withAccounts runs fn on the accounts of the configured database.
func (e *env) withAccounts(c *config.Config, fn func(*services.AccountService) error) error {
	return e.withServices(c, func(svc *routes.Services) error { return fn(svc.Accounts) })
}

// withExisting is withServices for commands that make no sense on a new
// database: a misspelt name would leave one behind.
func (e *env) withExisting(c *config.Config, fn func(*routes.Services) error) error {
	if err := e.checked(c); err != nil {
		return err
	}
	if err := e.existing(c); err != nil {
		return fmt.Errorf("there is no database: %w", err)
	}
	return e.withServices(c, fn)
}

// existing fails where the database was never migrated.
func (e *env) existing(c *config.Config) error {
	if file := c.DatabaseFile(); file != "" {
		_, err := os.Stat(file)
		return err
	}
	found, err := models.Inspect(e.ctx, c.Database)
	if err == nil && found.New {
		err = errors.New("it is empty; dueto migrate makes the tables")
	}
	return err
}

// withServices runs fn on the rules over the configured database.
func (e *env) withServices(c *config.Config, fn func(*routes.Services) error) error {
	if err := e.checked(c); err != nil {
		return err
	}
	c.Derive()
	c.DatabaseReplicas = nil // a command reads what is
	log := slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := e.open(c, log)
	if err != nil {
		return err
	}
	svc, err := routes.NewServices(routes.Deps{Config: *c, Store: store, Logger: log})
	if err == nil {
		err = fn(svc)
		svc.Close()
	}
	return errors.Join(err, store.Close())
}
