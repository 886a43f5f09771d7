package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"dueto/config"
	"dueto/models"
	"dueto/routes"
	"dueto/services"
)

type keysGenerateCmd struct {
	Algorithm string `default:"ES256" placeholder:"NAME" help:"What the key is for: RS256, ES256 or EdDSA; HS256, HS384 or HS512 make a secret."`
	Out       string `required:"" placeholder:"FILE" help:"File to make, for its owner only. One that is there is left as it is."`
}

// Run makes the file and says how to use it.
func (cmd *keysGenerateCmd) Run(e *env) error {
	if !slices.Contains(config.KeyAlgorithms(), cmd.Algorithm) {
		return usageError(fmt.Sprintf("--algorithm: %q is not one of %s", cmd.Algorithm, strings.Join(config.KeyAlgorithms(), ", ")))
	}
	public, made, err := config.MakeKeyFile(cmd.Out, cmd.Algorithm)
	if err != nil {
		return fmt.Errorf("make the key file: %w", err)
	}
	if !made {
		return fmt.Errorf("make the key file: %s: %w; it was left as it is", cmd.Out, fs.ErrExist)
	}
	setting := config.Env("secret-file")
	if public == nil {
		fmt.Fprintf(e.stdout, "Made a secret in %s. To use it, set:\n", cmd.Out)
	} else {
		id, err := services.KeyID(public)
		if err != nil {
			return err
		}
		setting = config.Env("jwt-signing-key")
		fmt.Fprintf(e.stdout, "Made the key %s in %s. To use it, set:\n", id, cmd.Out)
	}
	fmt.Fprintf(e.stdout, "%s=%s\n%s=%s\n", config.Env("jwt-algorithm"), cmd.Algorithm, setting, cmd.Out)
	return nil
}

type keysRotateCmd struct {
	config.Config `embed:""`

	// What is no flag: --secret is the setting.
	What string `arg:"" optional:"" help:"signing-key or secret. Default: what signs access tokens."`
	Keep int    `default:"2" placeholder:"N" help:"How many former keys still verify; 0 ends what they signed at once."`
}

// Run rotates the key of access tokens, or the secret.
func (cmd *keysRotateCmd) Run(e *env) error {
	if err := e.checked(&cmd.Config); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{"", "signing-key", "secret"}, cmd.What):
		return usageError(fmt.Sprintf("%q is neither signing-key nor secret", cmd.What))
	case cmd.Keep < 0:
		return usageError("--keep is less than 0")
	case cmd.What == "signing-key" && !cmd.AsymmetricKeys():
		return usageError("there is no signing key: with " + cmd.JWTAlgorithm + " the secret signs")
	}
	rotate, what := cmd.RotateSecret, "A new secret"
	if cmd.What == "signing-key" || (cmd.What == "" && cmd.AsymmetricKeys()) {
		rotate, what = cmd.RotateSigningKey, "A new key"
	}
	done, err := rotate(cmd.Keep)
	if err != nil {
		return usageError(err.Error())
	}
	if done.Public != nil {
		id, err := services.KeyID(done.Public)
		if err != nil {
			return err
		}
		what += " " + id
	}
	fmt.Fprintf(e.stdout, "%s in %s signs from now on; former ones that still verify: %d.\n"+
		"Servers that use the file notice within seconds.\n", what, done.File, done.Kept)
	return nil
}

type keysAdoptCmd struct {
	config.Config `embed:""`

	Yes bool `help:"Do not ask."`
}

// Run has a database's servers known by the secrets that are set. The database
// comes first: where it cannot be opened no secret is made, and nothing asked.
func (cmd *keysAdoptCmd) Run(e *env) (err error) {
	if err := e.checked(&cmd.Config); err != nil {
		return err
	}
	if cmd.DatabaseFile() != "" {
		return usageError("the secret of an SQLite database is the one that is set: there is nothing to adopt")
	}
	cmd.Derive()
	store, _, err := e.migrated(&cmd.Config, models.Options{}, e.sayNotBackedUp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var keys config.Keys
	if !cmd.SecretMissing() {
		if keys, err = cmd.LoadKeys(); err != nil {
			return usageError(err.Error())
		}
	}
	ends, err := services.AdoptingEndsSessions(e.ctx, store, keys.Secrets)
	if err != nil {
		return err
	}
	if ends {
		if err := cmd.confirm(e); err != nil {
			return err
		}
	}
	_, file, made, err := cmd.LoadSecret()
	if err != nil {
		return usageError(err.Error())
	}
	if made {
		fmt.Fprintf(e.stdout, "Made a secret in %s: keep the file, and keep it to yourself.\n", file)
	}
	if keys, err = cmd.LoadKeys(); err != nil {
		return usageError(err.Error())
	}
	if err := services.AdoptSecrets(e.ctx, store, keys.Secrets, time.Now()); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "The secret in %s is the database's from now on. Give it to every server, and restart those that had another;\n"+
		"sessions, links and cursors of other secrets are not valid any more.\n", keys.SecretFrom)
	return nil
}

// confirm asks whether everybody is to be signed out.
func (cmd *keysAdoptCmd) confirm(e *env) error {
	t, err := e.terminalOr(cmd.Yes, "--yes")
	if err != nil || t == nil {
		return err
	}
	sure, err := t.confirmed("The servers of " + models.Redacted(cmd.Database) + " have another secret. Adopt this one? All have to sign in again then.")
	if err == nil && !sure {
		err = errors.New("nothing was changed")
	}
	return err
}

type keysListCmd struct {
	config.Config `embed:""`
}

// Run prints the keys, by their names.
func (cmd *keysListCmd) Run(e *env) error {
	if err := e.checked(&cmd.Config); err != nil {
		return err
	}
	keys, err := cmd.LoadKeys()
	if err != nil {
		return usageError(err.Error())
	}
	list, err := services.ListKeys(cmd.JWTAlgorithm, routes.KeyMaterial(keys))
	if err != nil {
		return err
	}
	sources := keySources(keys)
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tALGORITHM\tTOKENS\tSTATE\tFROM")
	for _, key := range list {
		state := "verifies"
		if key.Signs {
			state = "signs"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", key.ID, key.Algorithm, key.Kind, state, sources[key.Source])
	}
	return w.Flush()
}

// keySources says where keys are from, in the order that KeyInfo.Source counts.
func keySources(keys config.Keys) []string {
	var from []string
	if keys.Signing != nil {
		from = append(from, keys.SigningFrom)
	}
	for _, key := range keys.Verifying {
		from = append(from, key.From)
	}
	return append(from, slices.Repeat([]string{keys.SecretFrom}, len(keys.Secrets))...)
}
