package services

import (
	_ "embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode/utf8"
)

// MailKind is what a message is about.
type MailKind string

// The kinds of messages.
const (
	MailActivation   MailKind = "activation"
	MailAddressTaken MailKind = "address_taken"
	// MailRegisteredAgain is what MailAddressTaken becomes where the account waits
	// for its confirmation: its link sets a password and confirms.
	MailRegisteredAgain MailKind = "registered_again"
	MailPasswordReset   MailKind = "password_reset"
	MailPasswordChanged MailKind = "password_changed"
	// MailEmailChange goes to the new address, which it asks to confirm.
	MailEmailChange MailKind = "email_change"
	// MailEmailChanging tells the old address of the wish.
	MailEmailChanging MailKind = "email_changing"
	// MailEmailChanged tells the old address that it is one no longer.
	MailEmailChanged MailKind = "email_changed"
)

// mailContent is what a message is made with.
type mailContent struct {
	Kind     MailKind
	Username string
	Site     string        // the public URL
	Link     string        // "" where the kind has none
	Lifetime time.Duration // of the link
}

// mailWording is what a kind says. {username}, {site} and {lifetime} are
// filled in; each text is a paragraph.
type mailWording struct {
	subject string
	before  []string
	action  string // on the button; "" where the kind has no link
	after   []string
}

var mailWordings = map[MailKind]mailWording{
	MailActivation: {
		subject: "Confirm your Dueto account",
		before:  []string{"An account with this name was registered at {site}, with this address. Please confirm that it is yours:"},
		action:  "Confirm my account",
		after: []string{
			"The link is good for {lifetime}.",
			"If you did not register, you need not do anything: nobody can sign in to an account that is not confirmed.",
		},
	},
	MailAddressTaken: {
		subject: "You already have a Dueto account",
		before: []string{
			"Somebody, perhaps you, tried to use this address for an account at {site}. It already belongs to your account {username}, so nothing came of it.",
			"If it was you, sign in with that name. If you no longer know the password, ask for a new one there.",
			"If it was not you, you need not do anything: nothing has changed.",
		},
	},
	MailRegisteredAgain: {
		subject: "Finish your Dueto account",
		before: []string{
			"Somebody, perhaps you, registered at {site} with this address more than once. There is one account, {username}, which waits to be confirmed.",
			"To be sure that it is yours alone, choose its password, which confirms the account too:",
		},
		action: "Choose my password",
		after: []string{
			"The link is good for {lifetime}, and for one use. Links and passwords from before do not work any more.",
			"If you did not register, you need not do anything: nobody can sign in to an account that is not confirmed.",
		},
	},
	MailPasswordReset: {
		subject: "Choose a new Dueto password",
		before:  []string{"Somebody, we hope you, asked for a new password for your account at {site}. Choose it here:"},
		action:  "Choose a new password",
		after: []string{
			"The link is good for {lifetime}, and for one use.",
			"If you did not ask for it, you need not do anything: your password stays as it is.",
		},
	},
	MailPasswordChanged: {
		subject: "Your Dueto password was changed",
		before: []string{
			"The password of your account at {site} was changed. If it was you, you need not do anything.",
			"If it was not you, somebody else has got into your account. Ask for a new password at once, and choose one that you use nowhere else.",
		},
	},
	MailEmailChange: {
		subject: "Confirm your new address for Dueto",
		before:  []string{"You asked to use this address for your account at {site} from now on. Please confirm that it is yours:"},
		action:  "Confirm this address",
		after: []string{
			"The link is good for {lifetime}. Until you follow it, your old address stays in use.",
			"If you did not ask for it, you need not do anything: the address is not used unless it is confirmed.",
		},
	},
	MailEmailChanging: {
		subject: "A new address for your Dueto account was asked for",
		before: []string{
			"A change of the address of your account at {site} was asked for. It takes effect as soon as the new address is confirmed. If it was you, you need not do anything here.",
			"If it was not you, somebody else is signed in to your account. Change your password at once.",
		},
	},
	MailEmailChanged: {
		subject: "The address of your Dueto account was changed",
		before: []string{
			"The address of your account {username} at {site} was changed. Messages about it go to the new address from now on, and this is the last one to come here. If it was you, you need not do anything.",
			"If it was not you, sign in and change your password and the address at once. If you cannot sign in any more, turn to the people who run {site}.",
		},
	},
}

var (
	//go:embed data/mail/layout.txt
	mailLayoutText string
	//go:embed data/mail/layout.html
	mailLayoutHTML string

	mailTextTemplate = texttemplate.Must(texttemplate.New("text").Parse(mailLayoutText))
	mailHTMLTemplate = htmltemplate.Must(htmltemplate.New("html").Parse(mailLayoutHTML))
)

// mailPage is what both layouts show.
type mailPage struct {
	Subject, Site, Link, Action string
	Before, After               []string
}

// composeMail gives what a message says, as plain text and as HTML.
func composeMail(c mailContent) (subject, text, html string, err error) {
	wording, known := mailWordings[c.Kind]
	switch {
	case !known:
		return "", "", "", fmt.Errorf("mail: there is no kind %q", c.Kind)
	case c.Username == "" || !isWebURL(c.Site):
		return "", "", "", errors.New("mail: a message needs a name and a site")
	case (wording.action == "") != (c.Link == ""):
		return "", "", "", fmt.Errorf("mail: kind %q with the wrong use of a link", c.Kind)
	case c.Link != "" && (!isWebURL(c.Link) || c.Lifetime <= 0):
		return "", "", "", errors.New("mail: the link is none, or over already")
	}
	_, place, _ := strings.Cut(strings.TrimSuffix(c.Site, "/"), "://")
	filled := strings.NewReplacer("{username}", c.Username, "{site}", place, "{lifetime}", lifetimeWords(c.Lifetime))
	fill := func(paragraphs []string) []string {
		all := make([]string, len(paragraphs))
		for i, p := range paragraphs {
			all[i] = filled.Replace(p)
		}
		return all
	}
	page := mailPage{Subject: wording.subject, Site: c.Site, Link: c.Link, Action: wording.action}
	page.Before = append([]string{"Hello " + c.Username + ","}, fill(wording.before)...)
	page.After = fill(wording.after)
	var t, h strings.Builder
	if err := mailHTMLTemplate.Execute(&h, page); err != nil {
		return "", "", "", fmt.Errorf("mail: %w", err)
	}
	page.Before, page.After = wrapAll(page.Before), wrapAll(page.After)
	if err := mailTextTemplate.Execute(&t, page); err != nil {
		return "", "", "", fmt.Errorf("mail: %w", err)
	}
	return wording.subject, t.String(), h.String(), nil
}

func isWebURL(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// lifetimeWords says how long something lasts, and never more than it does.
func lifetimeWords(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
		from   time.Duration // below it, the next unit reads better
	}{
		{24 * time.Hour, "day", 48 * time.Hour},
		{time.Hour, "hour", time.Hour},
		{time.Minute, "minute", 0},
	} {
		if n := d / unit.length; d >= unit.from && n > 0 && d%unit.length == 0 {
			return count(int64(n), unit.name)
		}
	}
	if d > time.Minute {
		return count(int64(d/time.Minute), "minute")
	}
	return count(int64(d/time.Second), "second")
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// mailColumns is how wide a paragraph of plain text gets.
const mailColumns = 72

func wrapAll(paragraphs []string) []string {
	wrapped := make([]string, len(paragraphs))
	for i, p := range paragraphs {
		wrapped[i] = wrap(p)
	}
	return wrapped
}

// wrap breaks a paragraph between words, and no word.
func wrap(paragraph string) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(paragraph) {
		width := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+width > mailColumns:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += width
	}
	return b.String()
}
