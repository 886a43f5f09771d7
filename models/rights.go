package models

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rights are what a server may do with a PostgreSQL database.
type Rights struct {
	Role string // as SQL writes it
	// ReadOnly is why the database takes no writes, "" where it does.
	ReadOnly string
	// Replica is whether that is because it follows another server.
	Replica bool
	// Lacking is what the role is not granted and a server needs.
	Lacking []LackingRight
}

// LackingRight is what a role may not do, such as "INSERT and DELETE on
// sessions, tasks", and how that is mended.
type LackingRight struct{ What, Advice string }

// replicaTakesNoWrites is what to do about it, too.
const replicaTakesNoWrites = "the server is a replica, which takes no writes; name the primary"

// Primary fails with ErrUnavailable where the database is a replica's, which
// can be read, so that nothing else would tell before the first write.
func (s *Store) Primary(ctx context.Context) error {
	e, ok := s.engine.(*postgresEngine)
	if !ok {
		return nil
	}
	var replica bool
	err := e.conn.QueryRowContext(ctx, "SELECT pg_is_in_recovery()").Scan(&replica)
	if err == nil && replica {
		return fmt.Errorf("%w: %s", ErrUnavailable, replicaTakesNoWrites)
	}
	return translate(err)
}

// rightsOf looks at what the role of a connection may do with the tables that
// there are. Sequences are left out: those of identities, which ours are, give
// their numbers to whoever may insert.
func rightsOf(ctx context.Context, conn *sql.Conn, pending bool) (r Rights, err error) {
	var schema string
	var readOnly, mayCreate bool
	err = conn.QueryRowContext(ctx, `SELECT quote_ident(current_user), quote_ident(current_schema()), pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool,
		has_schema_privilege(current_schema(), 'CREATE')`).Scan(&r.Role, &schema, &r.Replica, &readOnly, &mayCreate)
	switch {
	case err != nil:
		return r, translate(err)
	case r.Replica:
		r.ReadOnly = replicaTakesNoWrites
	case readOnly:
		r.ReadOnly = fmt.Sprintf("default_transaction_read_only is on, of the server, the database or the role %s", r.Role)
	}
	names := slices.Collect(maps.Keys(notMoved))
	for _, t := range moveTables {
		names = append(names, t.name)
	}
	lacking, err := textsOn(ctx, conn, `SELECT regexp_replace(privileges, ', (\w+)$', ' and \1') || ' on ' || string_agg(name, ', ' ORDER BY name) FROM (
			SELECT relname::text AS name, string_agg(privilege, ', ' ORDER BY place) AS privileges
			FROM pg_class, (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE')) AS needed (place, privilege)
			WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname = ANY (string_to_array($1, ','))
				AND (relname <> 'schema_migrations' OR privilege = 'SELECT' OR (privilege = 'INSERT' AND $2))
				AND NOT has_table_privilege(pg_class.oid, privilege)
			GROUP BY relname) AS lacking
		GROUP BY privileges ORDER BY min(name)`, strings.Join(names, ","), pending)
	for _, what := range lacking {
		r.Lacking = append(r.Lacking, LackingRight{what, fmt.Sprintf("As the owner of the tables, run: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %s TO %s", schema, r.Role)})
	}
	if pending && !mayCreate {
		r.Lacking = append(r.Lacking, LackingRight{"CREATE on the schema " + schema + ", to migrate",
			fmt.Sprintf("Run dueto migrate as the owner of the tables, or, where there are none: GRANT CREATE ON SCHEMA %s TO %s", schema, r.Role)})
	}
	return r, err
}
