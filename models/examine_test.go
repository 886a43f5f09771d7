package models

import (
	"slices"
	"testing"
)

func TestSchemaObject_ChecksAreThoseOfTheDefinition(t *testing.T) {
	t.Parallel()
	o := schemaObject{sql: `CREATE TABLE t (
		a TEXT CHECK (length(a) BETWEEN 1 AND 100), -- CHECK (not this), nor what's )
		b TEXT CHECK (b IN ('x', 'y')),
		c INTEGER CHECK (c = 1)
	)`}
	if got, want := o.checks(), []string{"length(a) BETWEEN 1 AND 100", "b IN ('x', 'y')", "c = 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (schemaObject{sql: "CREATE TABLE t (a TEXT)"}).checks(); got != nil {
		t.Errorf("got %q", got)
	}
}
