package cli

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"dueto/config"
)

// only gives the id of the one finding, or nothing.
func only(t *testing.T, f findings) string {
	t.Helper()
	if len(f) > 1 {
		t.Fatalf("got %+v", f)
	}
	if len(f) == 0 {
		return ""
	}
	return f[0].ID
}

func TestCheck_ClockThatIsBeforeTheProgramIsFound(t *testing.T) {
	t.Parallel()
	built := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		now, built time.Time
		want       string
	}{
		{built.Add(time.Hour), built, ""},
		{built.Add(-time.Minute), built, ""},
		{built.Add(-time.Minute - 1), built, "clock.behind"},
		{time.Unix(0, 0), time.Time{}, "clock.behind"},
		{time.Date(2025, 12, 31, 23, 58, 0, 0, time.UTC), time.Time{}, "clock.behind"},
		{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}, ""},
		{time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), "clock.behind"},
	} {
		var f findings
		f.clock(tt.now, tt.built)
		if got := only(t, f); got != tt.want {
			t.Errorf("at %s, built at %s: %q, want %q", tt.now, tt.built, got, tt.want)
		}
	}
}

func TestCheck_RowsFromTheFutureAreFound(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for newest, want := range map[time.Time]string{
		{}: "", now.Add(-time.Hour): "", now.Add(time.Minute): "", now.Add(time.Minute + 1): "clock.rows",
	} {
		var f findings
		f.rows(now, newest)
		if got := only(t, f); got != want {
			t.Errorf("%s: %q, want %q", newest, got, want)
		}
	}
}

func TestCheck_RootIsFound(t *testing.T) {
	t.Parallel()
	for uid, want := range map[int]string{0: "process.root", 1000: "", -1: ""} {
		var f findings
		f.process(uid)
		if got := only(t, f); got != want {
			t.Errorf("user %d: %q, want %q", uid, got, want)
		}
	}
}

func TestCheck_ReportIsByLevelAndFailsFromTheOneAskedFor(t *testing.T) {
	t.Parallel()
	info := config.Finding{Level: config.Info, ID: "a.info", Problem: "Known."}
	warning := config.Finding{Level: config.Warning, ID: "a.warning", Problem: "Unwise.", Advice: "Think."}
	fault := config.Finding{Level: config.Error, ID: "an.error", Problem: "Wrong.", Advice: "Stop."}
	const infoLine, warningLines = "info     a.info  Known.\n", "warning  a.warning  Unwise.\n         Think.\n"
	const faultLines = "error    an.error  Wrong.\n         Stop.\n"
	for _, tt := range []struct {
		list              findings
		want              string
		warnings, errored error // by --fail-level
	}{
		{nil, "No problems found.\n", nil, nil},
		{findings{info}, infoLine + "No problems found.\n", nil, nil},
		{findings{info, warning}, warningLines + infoLine + "0 errors, 1 warning\n", errFound, nil},
		{findings{warning, fault, warning}, faultLines + warningLines + warningLines + "1 error, 2 warnings\n", errFound, errFound},
	} {
		for level, want := range map[string]error{"warning": tt.warnings, "error": tt.errored} {
			var out bytes.Buffer
			if err := tt.list.report(&env{stdout: &out}, level); !errors.Is(err, want) || out.String() != tt.want {
				t.Errorf("%s: %v and\n%s\nwant %v and\n%s", level, err, out.String(), want, tt.want)
			}
		}
	}
}

func TestJudge_SaysWhatIsWrongWithADisk(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		disk  disk
		known bool
		want  []string
	}{
		"room enough":     {disk{free: minFree}, true, nil},
		"a byte short":    {disk{free: minFree - 1}, true, []string{"database.space"}},
		"network":         {disk{kind: "NFS", free: minFree}, true, []string{"database.network"}},
		"network, full":   {disk{kind: "NFS"}, true, []string{"database.network", "database.space"}},
		"behind FUSE":     {disk{kind: fuse, free: minFree}, true, []string{"database.fuse"}},
		"not to be known": {disk{}, false, []string{"database.disk"}},
	} {
		var list findings
		list.judge("/data", test.disk, test.known)
		var got []string
		for _, f := range list {
			got = append(got, f.ID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
