package tests

import (
	"strings"
	"testing"
)

func TestCLI_MistakesAreToldInWordsThatHelp(t *testing.T) {
	t.Parallel()
	const below = "dueto: --keep -1 is below 0\n"
	const noValue = "dueto: the settings are not valid:\nkeep: a value is missing\n"
	for _, tt := range []struct {
		args string
		says string
	}{
		{"backup copies --keep -1", below},
		{"backup --keep -1 copies", below},
		{"backup copies --keep=-1", below},
		{"backup --database=sqlite:other.db copies --keep", noValue},
		{"backup --keep --database=sqlite:other.db copies", noValue},
		{"backup --database=sqlite:other.db copies --keep -1x", "dueto: the settings are not valid:\nkeep: expected a valid 64 bit int but got \"-1x\"\n"},
		{"serve --addr=127.0.0.1:0 --page-size -1", "dueto: the settings are not valid:\npage-size: "},
		{"serve --addr=127.0.0.1:0 --access-ttl -5m", "dueto: the settings are not valid:\naccess-ttl: -5m0s is not between 1s and 5 years\n"},
		{"bakup", "dueto: there is no command bakup, did you mean \"backup\"?\n"},
		{"restor copy.db", "dueto: there is no command restor, did you mean \"restore\"?\n"},
		{"createsuper --no-input", "dueto: there is no command createsuper, did you mean \"createsuperuser\"?\n"},
		{"--database=sqlite:other.db srve", "dueto: there is no command srve, did you mean \"serve\"?\n"},
		{"frobnicate", "dueto: there is no command frobnicate; dueto --help lists them\n"},
		{"serve bakup", "dueto: unexpected argument bakup\n"},
		{"backup copies bakup", "dueto: unexpected argument bakup\n"},
		{"user lst", "dueto: unexpected argument lst, did you mean \"list\"?\n"},
	} {
		p := newProgram(t)
		o := p.run(strings.Fields(tt.args)...).want(2)
		if o.stdout != "" || !strings.HasPrefix(o.stderr, tt.says) || strings.HasSuffix(tt.says, "\n") && o.stderr != tt.says {
			t.Errorf("%s printed %q, %q; want %q", o.what, o.stdout, o.stderr, tt.says)
		}
		wantFiles(t, p.dir)
	}
}

func TestCLI_MoveSaysWhatIsWrongWithAURL(t *testing.T) {
	t.Parallel()
	const form = "it is neither sqlite:FILE nor postgres://USER:PASSWORD@HOST/NAME"
	for url, says := range map[string]string{
		"postgres://u:hunter2@h/x?sslmode=nonsense": "it cannot be used: failed to configure TLS (sslmode is invalid)",
		"postgres://u:hunter2@h:99999/x":            "it cannot be used: invalid port",
		"mysql://u:hunter2@h/x":                     form,
		"dueto.db":                                  form,
	} {
		p := newProgram(t)
		p.run(moveArgs(url, "sqlite:other.db")...).want(2).prints("", "dueto: --from: "+says+"\n")
		p.run(moveArgs("sqlite:other.db", url)...).want(2).prints("", "dueto: --to: "+says+"\n")
		wantFiles(t, p.dir)
	}
}

func TestSQLite_RestoreOfWhatIsNoFileSaysSo(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	p.run("migrate").want(0)
	const left = "dueto: nothing was restored, and the database was left as it was: "
	p.run("restore", ".", "--yes").want(1).prints("", left+". is a folder: name a file that dueto backup made\n")
	p.run("restore", "/dev/null", "--yes").want(1).prints("", left+"/dev/null is no file\n")
}
