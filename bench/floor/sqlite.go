package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"

	"github.com/mattn/go-sqlite3"
)

// The settings are those that Dueto's models open the file with.
var (
	shared  = []string{"busy_timeout = 5000", "foreign_keys = ON", "trusted_schema = OFF", "journal_size_limit = 67108864", "cell_size_check = ON"}
	writing = append([]string{"busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL"}, shared...)
	reading = append(shared[:len(shared):len(shared)], "query_only = ON")
)

const readers = 4

// openSQLite opens a file for one connection that writes and some that read.
func openSQLite(path string) engine {
	e := engine{
		writes: sql.OpenDB(newConnector(path, "_txlock=immediate", writing)),
		reads:  sql.OpenDB(newConnector(path, "mode=ro", reading)),
		begin:  "BEGIN IMMEDIATE",
		bind:   func(query string) string { return query },
		insert: func(stmt *sql.Stmt, args []any) (int64, error) {
			result, err := stmt.Exec(args...)
			if err != nil {
				return 0, err
			}
			return result.LastInsertId()
		},
	}
	e.writes.SetMaxOpenConns(1)
	e.reads.SetMaxOpenConns(readers)
	e.reads.SetMaxIdleConns(readers)
	return e
}

// connector opens connections that all carry the same settings.
type connector struct {
	dsn    string
	driver *sqlite3.SQLiteDriver
}

func newConnector(path, params string, pragmas []string) *connector {
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + params + "&_stmt_cache_size=64&_mutex=no"
	return &connector{dsn, &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		for _, p := range pragmas {
			if _, err := conn.Exec("PRAGMA "+p, nil); err != nil {
				return err
			}
		}
		return nil
	}}}
}

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver }
