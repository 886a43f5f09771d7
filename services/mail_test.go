package services

import (
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// mailTarget finds what the HTML of a message points at.
var mailTarget = regexp.MustCompile(`href="([^"]*)"`)

func mailTargets(page string) []string {
	var targets []string
	for _, found := range mailTarget.FindAllStringSubmatch(page, -1) {
		targets = append(targets, html.UnescapeString(found[1]))
	}
	return targets
}

func TestComposeMail_SaysInBothFormsWhatAPersonNeeds(t *testing.T) {
	t.Parallel()
	const (
		site = "https://todo.example.com/dueto"
		link = site + "/auth/activate/eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiI3In0.Zm9v-_YmFy?mode=a&next=b+c"
		who  = "alice.o+x@home"
	)
	cases := map[MailKind]struct {
		subject string
		link    bool
		says    []string
	}{
		MailActivation:      {"Confirm your Dueto account", true, []string{"2 hours", "If you did not register"}},
		MailAddressTaken:    {"You already have a Dueto account", false, []string{"your account " + who, "perhaps you", "nothing has changed"}},
		MailRegisteredAgain: {"Finish your Dueto account", true, []string{"one account, " + who, "2 hours", "one use", "If you did not register"}},
		MailPasswordReset:   {"Choose a new Dueto password", true, []string{"2 hours", "one use", "your password stays as it is"}},
		MailPasswordChanged: {"Your Dueto password was changed", false, []string{"If it was not you", "Ask for a new password"}},
		MailEmailChange:     {"Confirm your new address for Dueto", true, []string{"2 hours", "your old address stays"}},
		MailEmailChanging:   {"A new address for your Dueto account was asked for", false, []string{"If it was not you", "Change your password"}},
		MailEmailChanged:    {"The address of your Dueto account was changed", false, []string{"account " + who, "new address", "change your password"}},
	}
	if len(cases) != len(mailWordings) {
		t.Errorf("%d kinds, %d of them tested", len(mailWordings), len(cases))
	}
	for kind, want := range cases {
		content := mailContent{Kind: kind, Username: who, Site: site}
		targets := []string{site}
		if want.link {
			content.Link, content.Lifetime = link, 2*time.Hour
			targets = []string{link, site}
		}
		subject, text, page, err := composeMail(content)
		if err != nil || subject != want.subject {
			t.Errorf("%s: subject %q, %v", kind, subject, err)
			continue
		}
		if got := mailTargets(page); !slices.Equal(got, targets) {
			t.Errorf("%s: the HTML points at %q, want %q", kind, got, targets)
		}
		lines := strings.Split(text, "\n")
		var urls []string
		for _, line := range lines {
			if strings.Contains(line, "://") {
				urls = append(urls, line)
			} else if utf8.RuneCountInString(line) > mailColumns {
				t.Errorf("%s: a long line: %q", kind, line)
			}
		}
		if !slices.Equal(urls, targets) {
			t.Errorf("%s: the text has the lines %q, want %q", kind, urls, targets)
		}
		flat := strings.Join(strings.Fields(text), " ")
		shown := html.UnescapeString(page)
		for _, sentence := range append(want.says, "Hello "+who+",", "todo.example.com/dueto", "Sent automatically by Dueto") {
			if !strings.Contains(flat, sentence) || !strings.Contains(shown, sentence) {
				t.Errorf("%s: %q is not in both forms:\n%s\n%s", kind, sentence, text, page)
			}
		}
		for _, residue := range []string{"{", "}", "<no value>", "ZgotmplZ", "%!"} {
			if strings.Contains(text, residue) || strings.Contains(page, residue) {
				t.Errorf("%s: %q is left in it", kind, residue)
			}
		}
		for _, remote := range []string{"<img", "<link", "<script", "src=", "url(", "@import"} {
			if strings.Contains(page, remote) {
				t.Errorf("%s: the HTML has %s", kind, remote)
			}
		}
	}
}

func TestComposeMail_EscapesWhatItIsGiven(t *testing.T) {
	t.Parallel()
	const name = `<b onclick="x">{site}&amp;</b>`
	_, text, page, err := composeMail(mailContent{
		Kind: MailActivation, Username: name, Site: "https://dueto.test",
		Link: `https://dueto.test/a"><script>alert(1)</script>`, Lifetime: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "Hello "+name+",") {
		t.Errorf("the text changes the name:\n%s", text)
	}
	if !strings.Contains(html.UnescapeString(page), "Hello "+name+",") {
		t.Errorf("the HTML changes the name:\n%s", page)
	}
	for _, raw := range []string{"<b ", "<script", `onclick="`} {
		if strings.Contains(page, raw) {
			t.Errorf("%q is in the HTML as it is:\n%s", raw, page)
		}
	}
	if got := mailTargets(page); len(got) != 2 {
		t.Errorf("the HTML points at %q", got)
	}
}

func TestComposeMail_RefusesWhatMakesNoMessage(t *testing.T) {
	t.Parallel()
	good := mailContent{Kind: MailActivation, Username: "alice", Site: "https://dueto.test", Link: "https://dueto.test/a", Lifetime: time.Hour}
	if _, _, _, err := composeMail(good); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*mailContent){
		"an unknown kind":       func(c *mailContent) { c.Kind = "advertisement" },
		"no kind":               func(c *mailContent) { c.Kind = "" },
		"no name":               func(c *mailContent) { c.Username = "" },
		"no site":               func(c *mailContent) { c.Site = "" },
		"no link":               func(c *mailContent) { c.Link = "" },
		"a link that is script": func(c *mailContent) { c.Link = "javascript:alert(1)" },
		"a link that is over":   func(c *mailContent) { c.Lifetime = 0 },
		"a link where none is":  func(c *mailContent) { c.Kind = MailPasswordChanged },
	} {
		content := good
		spoil(&content)
		if subject, text, page, err := composeMail(content); err == nil || subject+text+page != "" {
			t.Errorf("%s makes a message: %q", what, text)
		}
	}
}

func TestLifetimeWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		2 * time.Hour:                   "2 hours",
		time.Hour:                       "1 hour",
		90 * time.Minute:                "90 minutes",
		time.Minute:                     "1 minute",
		45 * time.Second:                "45 seconds",
		90 * time.Second:                "1 minute",
		90*time.Minute + 59*time.Second: "90 minutes",
		24 * time.Hour:                  "24 hours",
		48 * time.Hour:                  "2 days",
		49 * time.Hour:                  "49 hours",
		168 * time.Hour:                 "7 days",
	} {
		if got := lifetimeWords(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestWrap_BreaksBetweenWordsOnly(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for text, want := range map[string]string{
		"":                                "",
		"one":                             "one",
		strings.Repeat("ab ", 24):         strings.TrimSpace(strings.Repeat("ab ", 24)),
		strings.Repeat("ab ", 24) + "c":   strings.TrimSpace(strings.Repeat("ab ", 24)) + "\nc",
		"see " + long + " there":          "see\n" + long + "\nthere",
		long + " there":                   long + "\nthere",
		strings.Repeat("äö ", 24) + "end": strings.TrimSpace(strings.Repeat("äö ", 24)) + "\nend",
	} {
		if got := wrap(text); got != want {
			t.Errorf("%q is wrapped as %q, want %q", text, got, want)
		}
	}
}
