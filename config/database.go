package config

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// sqliteFile gives the file of a URL that is to name a SQLite database.
func sqliteFile(s string) (file string, ok bool) {
	file, ok = strings.CutPrefix(s, "sqlite:")
	return strings.TrimPrefix(file, "//"), ok
}

func isSQLite(s string) bool {
	file, ok := sqliteFile(s)
	return ok && strings.Trim(file, "/") != "" && !strings.Contains(file, ":memory:")
}

// DatabaseFile gives the file of the database, or "" where a server holds it.
func (c *Config) DatabaseFile() string {
	if !isSQLite(c.Database) {
		return ""
	}
	file, _ := sqliteFile(c.Database)
	return file
}

// postgresURL takes a PostgreSQL URL apart. It leaves to the driver what the URL
// says besides, and to the environment (PGHOST, PGPASSWORD, ...) what it leaves
// out.
func postgresURL(s string) (u *url.URL, ok bool) {
	u, err := url.Parse(s)
	return u, err == nil && (strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")) && u.Fragment == ""
}

func isPostgres(s string) bool {
	_, ok := postgresURL(s)
	return ok
}

// checkPostgres has the driver read a PostgreSQL URL, and the environment and
// the files that it names.
func (p *problems) checkPostgres(setting, complaint, database string) {
	if !isPostgres(database) {
		return
	}
	if _, err := pgxpool.ParseConfig(database); err != nil {
		p.unless(false, setting, "%s: %s", complaint, driverReason(err))
	}
}

// driverReason gives what the driver says of a URL without the URL, of which its
// error repeats all but the passwords that it recognizes.
func driverReason(err error) string {
	var failed *pgconn.ParseConfigError
	if !errors.As(err, &failed) {
		return "the driver cannot read it"
	}
	plain := *failed
	plain.ConnString = ""
	reason := strings.TrimPrefix(plain.Error(), "cannot parse ``: ")
	if strings.HasPrefix(reason, "failed to parse") { // quotes what it stumbled over
		return "the driver cannot read it"
	}
	if before, detail, found := strings.Cut(reason, " ("); found && strings.Contains(detail, `"`) { // a value, which may be a password
		return before
	}
	return reason
}

// inTheClear reports whether a PostgreSQL database is another machine's, and its
// URL does not demand TLS.
func inTheClear(database string) bool {
	u, ok := postgresURL(database)
	if !ok {
		return false
	}
	query := u.Query()
	if slices.Contains([]string{"require", "verify-ca", "verify-full"}, query.Get("sslmode")) || query.Get("ssl") == "true" {
		return false
	}
	for host := range strings.SplitSeq(cmp.Or(query.Get("host"), u.Host), ",") {
		if name := (&url.URL{Host: host}).Hostname(); name != "" && !strings.HasPrefix(name, "/") && !isThisMachine(name) {
			return true
		}
	}
	return false // a socket, or what the environment says
}
