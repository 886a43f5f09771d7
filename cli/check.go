package cli

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"dueto/config"
	"dueto/models"
)

type checkCmd struct {
	config.Config `embed:""`

	FailLevel string `default:"warning" enum:"warning,error" placeholder:"LEVEL" help:"Least level at which a finding makes the exit code 1: warning or error."`
}

// Help implements kong.HelpProvider.
func (checkCmd) Help() string {
	return "Looks at the settings as serve would take them, and at the files, the disk, the clock and the database. " +
		"Nothing is made or changed, and a server may be running. Run it as the user that serves. " +
		"An error says: do not run like this; a warning: this is unwise. " +
		"The exit code is 0 when nothing is found, 1 when anything is (see --fail-level), 2 when the command line cannot be read."
}

// errFound ends a check that has found something and has said so.
var errFound = errors.New("there are findings")

// findings collects what a check finds.
type findings []config.Finding

func (f *findings) add(level config.Level, id, advice, problem string, args ...any) {
	*f = append(*f, config.Finding{Level: level, ID: id, Problem: fmt.Sprintf(problem, args...), Advice: advice})
}

// Run looks and tells.
func (cmd *checkCmd) Run(e *env) error {
	return e.find(&cmd.Config).report(e, cmd.FailLevel)
}

// find looks at everything.
func (e *env) find(settings *config.Config) findings {
	now := time.Now()
	list := findings(e.sources.Findings(settings))
	list.process(os.Geteuid())
	list.clock(now, builtAt())
	if err := models.CheckSQLite(); err != nil {
		list.add(config.Error, "sqlite.old", "Build with a newer github.com/mattn/go-sqlite3.", "%s.", err)
	}
	c := *settings
	databaseKnown := e.sources.Valid(&c, "database")
	if databaseKnown {
		list.database(e.ctx, &c, now)
		list.backups(&c)
	}
	if c.SecretFile != "" || (c.Secret == "" && databaseKnown) {
		list.secret(&c)
	}
	if file, ok := e.sources.SecretsIn(); ok {
		if info, err := os.Stat(file); err == nil {
			list.private("settings.readable", file, info)
		}
	}
	list.keys(&c)
	return list
}

// report prints the findings, the worst first, and fails where there are any
// of the level.
func (f findings) report(e *env, failLevel string) error {
	count := f.count()
	slices.SortStableFunc(f, func(a, b config.Finding) int { return int(b.Level - a.Level) })
	for _, one := range f {
		fmt.Fprintf(e.stdout, "%-7s  %s  %s\n", one.Level, one.ID, one.Problem)
		if one.Advice != "" {
			fmt.Fprintf(e.stdout, "%9s%s\n", "", one.Advice)
		}
	}
	failures := count[config.Error]
	if failLevel == config.Warning.String() {
		failures += count[config.Warning]
	}
	if count[config.Error]+count[config.Warning] == 0 {
		fmt.Fprintln(e.stdout, "No problems found.")
	} else {
		fmt.Fprintf(e.stdout, "%s, %s\n", counted(count[config.Error], "error"), counted(count[config.Warning], "warning"))
	}
	if failures > 0 {
		return errFound
	}
	return nil
}

// count counts the findings of each level.
func (f findings) count() map[config.Level]int {
	count := map[config.Level]int{}
	for _, one := range f {
		count[one.Level]++
	}
	return count
}

func counted(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// process looks at who runs it; Windows has no numbers for users, and gives -1.
func (f *findings) process(uid int) {
	if uid == 0 {
		f.add(config.Warning, "process.root", "Make a user for it that owns the folder of the database and nothing else.",
			"It runs as root, so that any defect in it is everything's.")
	}
}

// clockSlack is how far clocks of machines may differ.
const clockSlack = time.Minute

// clock looks for one that was reset, as machines without a battery do. built
// is zero where it is not known.
func (f *findings) clock(now, built time.Time) {
	earliest := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if built.After(earliest) {
		earliest = built
	}
	if now.Before(earliest.Add(-clockSlack)) {
		f.add(config.Error, "clock.behind", "Set the clock, and keep it so with NTP.",
			"The clock says %s, which is before this program was written.", stamp(now))
	}
}

// rows looks for times in the database that are still to come.
func (f *findings) rows(now, newest time.Time) {
	if newest.After(now.Add(clockSlack)) {
		f.add(config.Error, "clock.rows", "Set the clock before serving: sessions and tokens of later than now are not accepted.",
			"The clock says %s, but the database has accounts or sessions of %s.", stamp(now), stamp(newest))
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// builtAt gives the time of the commit that was built, zero if it is not known.
func builtAt() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.time" })
	if i < 0 {
		return time.Time{}
	}
	at, _ := time.Parse(time.RFC3339, info.Settings[i].Value) // zero where it is none
	return at
}
