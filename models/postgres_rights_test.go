package models

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"dueto/internal/pgtest"
)

func TestPostgres_RoleWithoutRightsIsToldWhatItLacks(t *testing.T) {
	t.Parallel()
	c, err := pgtest.New(t.TempDir())
	if pgtest.MayGoWithout(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	ctx := context.Background()
	store, err := Open(ctx, c.URL("postgres"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Exec("CREATE ROLE poor LOGIN"); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User("poor")
	for _, step := range []struct{ statement, want string }{
		{"SELECT 1", `the role "poor" may not read its tables: GRANT`},
		{"REVOKE USAGE ON SCHEMA public FROM public", `no schema that the role "poor" may use: GRANT USAGE`},
		{"GRANT USAGE ON SCHEMA public TO poor", `the role "poor" may not read its tables: GRANT`},
	} {
		if err := c.Exec(step.statement); err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(ctx, u.String()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), step.want) {
			t.Errorf("after %s: %v", step.statement, err)
		}
	}
	if err := c.Exec("GRANT SELECT ON ALL TABLES IN SCHEMA public TO poor"); err != nil {
		t.Fatal(err)
	}
	if found, err := Inspect(ctx, u.String()); err != nil || found.New || len(found.Pending) > 0 {
		t.Errorf("with rights: %+v, %v", found, err)
	}
}
