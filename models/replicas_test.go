package models

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestLeftOutBecause_SaysWhatIsToBeMended(t *testing.T) {
	primary := progress{history: "one", position: 10}
	for want, test := range map[string]struct{ primary, replica progress }{
		"it does not answer":          {primary, progress{err: errors.New("refused")}},
		"it refuses: no such role":    {primary, progress{err: &pgconn.PgError{Message: "no such role"}}},
		"it is no replica":            {primary, progress{history: "one", position: 10}},
		"the primary does not answer": {progress{err: errors.New("refused")}, progress{recovering: true}},
		"the primary is none":         {progress{recovering: true}, progress{recovering: true}},
		"it does not follow the primary's history, or has not recorded yet that it does": {primary, progress{recovering: true, history: "two"}},
		"it is behind": {primary, progress{recovering: true, history: "one"}},
	} {
		if got := leftOutBecause(test.primary, test.replica); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
