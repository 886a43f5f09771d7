package cli

import (
	"testing"
	"time"
)

func TestExpiry_ReadsDurationsDaysAndNever(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 18, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"12h": 12 * time.Hour, "90d": 90 * day, "1d": day, "1h30m": 90 * time.Minute, "5s": 5 * time.Second, "36500d": 36500 * day,
	} {
		if until, err := expiry(text, now); err != nil || !until.Equal(now.Add(want)) {
			t.Errorf("%q is %v, %v; want %v later", text, until, err, want)
		}
	}
	if until, err := expiry("never", now); until != nil || err != nil {
		t.Errorf("never is %v, %v", until, err)
	}
	for _, text := range []string{
		"", "tomorrow", "0", "0d", "0s", "-1d", "-5m", "12", "1.5d", "d", " 1d", "never ", "NEVER", "1w", "1d12h",
		"36501d", "213504d", "106751991168d", "99999999999999999999d", "9999999h", "2027-01-01",
	} {
		if until, err := expiry(text, now); err == nil {
			t.Errorf("%q is taken for %v", text, until)
		} else if want := usageError(`--expires "` + text + `" is no time such as 12h or 90d, nor never`); err != want { //nolint:errorlint // a value
			t.Errorf("%q is refused with %q", text, err)
		}
	}
}
