package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"dueto/config"
	"dueto/models"
	"dueto/routes"
)

type migrateCmd struct {
	config.Config `embed:""`
}

// Run migrates and tells what was done.
func (cmd *migrateCmd) Run(e *env) error {
	if err := e.checked(&cmd.Config); err != nil {
		return err
	}
	store, did, err := e.migrated(&cmd.Config, models.Options{}, e.sayNotBackedUp)
	if err != nil {
		return err
	}
	if len(did.applied) == 0 {
		fmt.Fprintln(e.stdout, "Nothing to migrate.")
	}
	if did.backup != "" {
		fmt.Fprintln(e.stdout, "Backed up to", did.backup)
	}
	for _, name := range did.applied {
		fmt.Fprintln(e.stdout, "Applied", name)
	}
	return store.Close()
}

type configCmd struct {
	config.Config `embed:""`
}

// Run prints the settings in force.
func (cmd *configCmd) Run(e *env) error {
	if err := e.checked(&cmd.Config); err != nil {
		return err
	}
	cmd.Derive()
	cmd.LogFormat = logFormat(e.stderr, &cmd.Config)
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, s := range e.sources.InForce(e.flags) {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, s.From)
	}
	return w.Flush()
}

type routesCmd struct{}

// Run prints the route table.
func (routesCmd) Run(e *env) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "METHOD\tPATH\tOPEN TO\tWHAT IT DOES")
	for _, r := range routes.Table() {
		door := r.Access.String()
		if r.Permission != "" {
			door = r.Permission
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Method, r.Path, door, r.Summary)
	}
	return w.Flush()
}

type openapiCmd struct {
	config.Config `embed:""`
}

// Run prints the document that the server gives at /openapi.json.
func (cmd *openapiCmd) Run(e *env) error {
	if err := e.checked(&cmd.Config); err != nil {
		return err
	}
	cmd.Derive()
	document, err := json.MarshalIndent(routes.Document(cmd.Config), "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n", document)
	return err
}

type versionCmd struct{}

// Run prints the version: what the build was told, else the commit it knows.
func (versionCmd) Run(e *env) error {
	fmt.Fprintf(e.stdout, "dueto %s (%s, SQLite %s)\n", buildVersion(), runtime.Version(), models.SQLiteVersion())
	return nil
}

// version is set by the build.
var version string

func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "commit " + s.Value[:min(12, len(s.Value))]
		}
	}
	return strings.Trim(info.Main.Version, "()")
}
