package models

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// numbered is a pool, or a transaction, of PostgreSQL that takes statements as
// this package writes them, with ? for each parameter.
type numbered struct{ gorm.ConnPool }

// PrepareContext implements gorm.ConnPool.
func (n numbered) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return n.ConnPool.PrepareContext(ctx, number(query))
}

// ExecContext implements gorm.ConnPool.
func (n numbered) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return n.ConnPool.ExecContext(ctx, number(query), args...)
}

// QueryContext implements gorm.ConnPool.
func (n numbered) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return n.ConnPool.QueryContext(ctx, number(query), args...)
}

// QueryRowContext implements gorm.ConnPool.
func (n numbered) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return n.ConnPool.QueryRowContext(ctx, number(query), args...)
}

// number puts $1, $2, ... for each ? that is not in a quoted text.
func number(query string) string {
	if !strings.Contains(query, "?") {
		return query
	}
	numbered := make([]byte, 0, len(query)+16)
	quoted, n := false, 0
	for i := range len(query) {
		switch c := query[i]; {
		case c == '?' && !quoted:
			n++
			numbered = strconv.AppendInt(append(numbered, '$'), int64(n), 10)
		default:
			quoted = quoted != (c == '\'')
			numbered = append(numbered, c)
		}
	}
	return string(numbered)
}
