package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"dueto/config"
	"dueto/models"
)

type doctorCmd struct {
	config.Config `embed:""`
}

// Help implements kong.HelpProvider.
func (doctorCmd) Help() string {
	return "Nothing is changed, and a server may be running; a great database takes a while. " +
		"The exit code is 0 when nothing is wrong, 1 when anything is, 3 when it cannot be read as a database of Dueto's, or was not moved to the end."
}

// The levels of a diagnosis.
const (
	diagnosisOK   = "ok"
	diagnosisWarn = "warn"
	diagnosisBad  = "error"
)

// diagnosis is what the doctor tells, line by line.
type diagnosis [][3]string

func (d *diagnosis) add(level, about, text string, args ...any) {
	*d = append(*d, [3]string{level, about, fmt.Sprintf(text, args...)})
}

// Run examines and tells.
func (cmd *doctorCmd) Run(e *env) error {
	c := cmd.Config
	if err := e.checked(&c); err != nil {
		return err
	}
	found, err := models.Examine(e.ctx, c.Database)
	if errors.Is(err, models.ErrUnfinished) {
		return fmt.Errorf("the database was not examined: %w. Start the server once and stop it, then try again", err)
	}
	if errors.Is(err, models.ErrUnavailable) {
		return fmt.Errorf("the database was not examined: %w", err)
	}
	if err != nil {
		return err
	}
	var d diagnosis
	if found.Server != nil {
		d.server(&c, found)
	} else {
		d.file(&c, found)
	}
	d.faults(&c, found)
	d.schema(found)
	d.add(diagnosisOK, "rows", "%s", rows(found.Rows))
	settings := e.find(&cmd.Config) // before what is derived hides what was left out
	c.Derive()
	if found.Server != nil {
		settings = slices.DeleteFunc(settings, func(f config.Finding) bool { return f.ID == foundReadOnly || f.ID == foundRights })
		tools := models.PostgresTools(c.Database)
		d.add(diagnosisOK, "backups", "Dueto makes none of PostgreSQL's, and does not see its own. Of the database: %s; of all: %s", tools.Dump, tools.BaseBackup)
	} else {
		d.backups(&c, time.Now())
	}
	d.settings(settings)
	return d.report(e)
}

// file tells of the file and its disk.
func (d *diagnosis) file(c *config.Config, found models.Examination) {
	d.add(diagnosisOK, "file", "%s has %s, its log %s", c.DatabaseFile(), size(found.Size), size(found.Log))
	folder := filepath.Dir(c.DatabaseFile())
	at, known := diskOf(folder)
	switch {
	case !known:
		d.add(diagnosisWarn, "disk", "how much room there is cannot be told here")
	case at.free < max(minFree, uint64(found.Size+found.Log)):
		d.add(diagnosisWarn, "disk", "%s free, which is too little for a copy of the database or for its log", size(int64(at.free)))
	default:
		d.add(diagnosisOK, "disk", "%s free", size(int64(at.free)))
	}
}

// server tells of the server and of its replicas.
func (d *diagnosis) server(c *config.Config, found models.Examination) {
	s := found.Server
	d.add(diagnosisOK, "database", "%s has %s", models.Redacted(c.Database), size(found.Size))
	role, checksums := "primary", "off: damage on the disk may go unnoticed"
	if s.Replica {
		role = "replica, to which nothing came since it started"
		if !s.Replayed.IsZero() {
			role = "replica, whose last change is of " + stamp(s.Replayed)
		}
	}
	if s.Checksums {
		checksums = "on"
	}
	d.add(diagnosisOK, "server", "PostgreSQL %s, %s, %s, synchronous_commit %s, data checksums %s", s.Version, role, s.Encoding, s.SynchronousCommit, checksums)
	var followers []string
	for _, f := range s.Followers {
		state := "state and lag not to be seen by this role (GRANT pg_monitor)"
		if f.State != "" {
			state = f.State
		}
		if f.Behind.Valid {
			state += ", " + size(f.Behind.Int64) + " behind"
		}
		followers = append(followers, fmt.Sprintf("%s (%s)", f.Name, state))
	}
	level, text := diagnosisOK, "none is connected"
	if len(followers) > 0 {
		text = "connected: " + strings.Join(followers, "; ")
	}
	if n := len(c.DatabaseReplicas); n > len(followers) {
		level, text = diagnosisWarn, fmt.Sprintf("database-replicas names %d; %s", n, text)
	}
	d.add(level, "replicas", "%s", text)
}

// size gives a size as people read it.
func size(n int64) string {
	for _, unit := range []string{"bytes", "KiB", "MiB"} {
		if n < 10<<10 {
			return fmt.Sprintf("%d %s", n, unit)
		}
		n >>= 10
	}
	return fmt.Sprintf("%d GiB", n)
}

// faults tells what is wrong with the database, or of each area that nothing is.
func (d *diagnosis) faults(c *config.Config, found models.Examination) {
	integrity := "pages, indexes and constraints are as they should be"
	if found.Server != nil {
		integrity = "indexes and constraints are valid. Pages, and what is in indexes, PostgreSQL's own tool reads: " + models.PostgresTools(c.Database).Check
	}
	for _, area := range []struct {
		models.Area
		fine string
	}{
		{models.AreaServer, ""}, // told of already
		{models.AreaIntegrity, integrity},
		{models.AreaReferences, "every row that is referred to is there"},
		{models.AreaSchema, "tables, columns, indexes and triggers are those that the migrations make"},
		{models.AreaRules, "rows keep what the schema cannot ask of them"},
	} {
		fine := true
		for _, f := range found.Faults {
			if f.Area != area.Area {
				continue
			}
			fine = false
			level := diagnosisBad
			if f.Harmless {
				level = diagnosisWarn
			}
			d.add(level, string(f.Area), "%s", f.Problem)
		}
		if fine && area.fine != "" {
			d.add(diagnosisOK, string(area.Area), "%s", area.fine)
		}
	}
}

func (d *diagnosis) schema(found models.Examination) {
	if len(found.Pending) > 0 {
		d.add(diagnosisOK, "version", "schema %d; the next start applies %s", found.Schema, strings.Join(found.Pending, ", "))
		return
	}
	d.add(diagnosisOK, "version", "schema %d, the newest that this program knows", found.Schema)
}

// backups tells how old the newest one is.
func (d *diagnosis) backups(c *config.Config, now time.Time) {
	newest, err := models.Backups{URL: c.Database, Dir: c.BackupDir}.Newest()
	age := now.Sub(newest).Round(time.Second)
	switch {
	case errors.Is(err, models.ErrNotFound):
		d.add(diagnosisWarn, "backups", "there is none in %s", c.BackupDir)
	case err != nil:
		d.add(diagnosisWarn, "backups", "they cannot be looked for: %s", err)
	case c.BackupEvery > 0 && age > 2*c.BackupEvery:
		d.add(diagnosisWarn, "backups", "the newest in %s is of %s, %s ago, though one is to be made every %s", c.BackupDir, stamp(newest), age, c.BackupEvery)
	default:
		d.add(diagnosisOK, "backups", "the newest in %s is of %s, %s ago", c.BackupDir, stamp(newest), age)
	}
}

// settings tells how much dueto check has to say.
func (d *diagnosis) settings(list findings) {
	count := list.count()
	errs, warnings := count[config.Error], count[config.Warning]
	level := diagnosisOK
	switch {
	case errs > 0:
		level = diagnosisBad
	case warnings > 0:
		level = diagnosisWarn
	}
	d.add(level, "settings", "dueto check finds %s and %s", counted(errs, "error"), counted(warnings, "warning"))
}

// report prints the lines and fails where one is an error.
func (d diagnosis) report(e *env) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	bad := false
	for _, line := range d {
		fmt.Fprintf(w, "%s\t%s\t%s\n", line[0], line[1], line[2])
		bad = bad || line[0] == diagnosisBad
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if bad {
		return errFound
	}
	return nil
}
