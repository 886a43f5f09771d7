package config

import (
	"errors"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// isPostgres leaves to the driver what the URL says besides, and to the
// environment (PGHOST, PGPASSWORD, ...) what it leaves out.
func isPostgres(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")) && u.Fragment == ""
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
