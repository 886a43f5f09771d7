package models

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

var errNoEngine = errors.New("it is neither sqlite:FILE nor postgres://USER:PASSWORD@HOST/NAME")

// sqliteFile gives the file of a URL that names a SQLite database.
func sqliteFile(database string) (path string, ok bool) {
	path, ok = strings.CutPrefix(database, "sqlite:")
	return strings.TrimPrefix(path, "//"), ok
}

// isPostgres reports whether a URL names a PostgreSQL database.
func isPostgres(database string) bool {
	return strings.HasPrefix(database, "postgres://") || strings.HasPrefix(database, "postgresql://")
}

// postgresURL takes the URL of a PostgreSQL database apart. Of one that cannot
// be read nothing is to be told: a password may be anywhere in it.
func postgresURL(database string) (u *url.URL, ok bool) {
	u, err := url.Parse(database)
	return u, err == nil && isPostgres(database)
}

// Redacted gives a database's URL as people are told of it: without the user,
// and without the password and the parameters, which may hold one too.
func Redacted(database string) string {
	if _, ok := sqliteFile(database); ok {
		return database
	}
	u, ok := postgresURL(database)
	if !ok {
		return "the database"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// libpqParameters are what PostgreSQL's tools understand of those that a URL
// may carry, and what is no secret.
var libpqParameters = []string{
	"host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile", "service",
	"connect_timeout", "application_name", "target_session_attrs", "options", "channel_binding", "gssencmode",
}

// withoutPassword gives a URL as PostgreSQL's tools take it: with all that they
// need to connect but the password.
func withoutPassword(database string) string {
	u, ok := postgresURL(database)
	if !ok {
		return "postgres://USER@HOST/DATABASE"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	query := u.Query()
	for name := range query {
		if !slices.Contains(libpqParameters, name) {
			query.Del(name)
		}
	}
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return u.String()
}

// patient gives a URL whose statements may take their time, unless it says
// otherwise.
func patient(database string) string {
	u, ok := postgresURL(database)
	if !ok || u.Query().Has("statement_timeout") {
		return database
	}
	q := u.Query()
	q.Set("statement_timeout", "0")
	u.RawQuery = q.Encode()
	return u.String()
}
