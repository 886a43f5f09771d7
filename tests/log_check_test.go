package tests

import (
	"regexp"
	"testing"
)

// neverLogged is what no log of any test may hold, whatever the test is about.
// Module versions in stack traces, such as gin@v1.12.0, are no addresses.
var neverLogged = map[string]*regexp.Regexp{
	"a signed token":  regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}`),
	"an API key":      regexp.MustCompile(`dueto_[a-z2-7]{20,}`),
	"an address":      regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`),
	"a password hash": regexp.MustCompile(`\$2[aby]\$\d\d\$`),
	"a private key":   regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`),
	"the secret":      regexp.MustCompile(regexp.QuoteMeta(secret)),
	"a password":      regexp.MustCompile(regexp.QuoteMeta(password)),
}

// wantCleanLog checks that a server's log holds nothing that is never logged.
func wantCleanLog(t testing.TB, log string) {
	t.Helper()
	for what, pattern := range neverLogged {
		if at := pattern.FindStringIndex(log); at != nil {
			t.Errorf("the log holds %s: ...%s...", what, log[max(0, at[0]-200):min(len(log), at[1]+50)])
		}
	}
}

func TestLogCheck_FindsWhatMustNotBeLogged(t *testing.T) {
	t.Parallel()
	alice := newApp(t).user("alice")
	for what, texts := range map[string][]string{
		"a signed token":  {alice.Access, alice.Refresh, `{"token":"` + alice.Access[:30] + `"}`},
		"an API key":      {alice.apiToken("x", nil).Key, "key=dueto_" + "abcdefghijklmnopqrstuvwxyz234567"},
		"an address":      {"alice@example.com", `RCPT TO:\u003ca.b+c@mail.example.co\u003e`, "email=x@y.zz", `"to":"o'neill@xn--bcher-kva.example"`},
		"a password hash": {"v1$2a$04$N9qo8uLOickgx2ZMRZoMye", "$2b$12$"},
		"a private key":   {"-----BEGIN PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----"},
		"the secret":      {"x" + secret},
		"a password":      {"/" + password + "/"},
	} {
		for _, text := range texts {
			if !neverLogged[what].MatchString("level=INFO msg=" + text + "\n") {
				t.Errorf("%s is not found in %q", what, text)
			}
		}
	}
	for _, line := range []string{
		`{"level":"INFO","msg":"request","method":"GET","route":"/auth/activate/:token","status":200,"request_id":"4G33765M7RJTZM23I6NJZBBJ5D"}`,
		"/srv/go/pkg/mod/github.com/gin-gonic/gin@v1.12.0/context.go:185 +0x2b",
		"/go/pkg/mod/golang.org/x/net@v0.57.1-0.20260101120000-abcdefabcdef/http2/server.go:1",
		`msg="made a secret" file=dueto.secret`, "listening on http://127.0.0.1:8000", "DUETO_SECRET_FILE=dueto.secret",
	} {
		for what, pattern := range neverLogged {
			if found := pattern.FindString(line); found != "" {
				t.Errorf("%q is taken for %s", found, what)
			}
		}
	}
}
