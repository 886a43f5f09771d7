package services

import (
	"bufio"
	"slices"
	"strings"
	"testing"
)

func TestCommonPasswords_AreManySortedAndLongEnough(t *testing.T) {
	t.Parallel()
	list := commonPasswordList()
	if len(list) < 10_000 || !slices.IsSorted(list) {
		t.Fatalf("%d entries, sorted: %v", len(list), slices.IsSorted(list))
	}
	for lines := bufio.NewScanner(strings.NewReader(commonPasswords)); lines.Scan(); {
		if word := lines.Text(); len(word) < MinPasswordChars || word != strings.ToLower(word) {
			t.Errorf("%q would never be found", word)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	const (
		control  = "A password must not contain control characters."
		short    = "This password is too short. It must contain at least 8 characters."
		long     = "This password is too long. It may contain at most 256 characters."
		common   = "This password is too common."
		likeName = "The password is too similar to the username."
		likeMail = "The password is too similar to the email."
	)
	// Not of one letter repeated: that might be a common password.
	filler := strings.Repeat("kQ7-wZ2+", 40)
	for _, c := range []struct {
		password string
		want     []string
	}{
		{"correct horse battery", nil},
		{"kQ7-wZ2", []string{short}},
		{"kQ7-wZ2+", nil},
		{"        x", nil}, // no rules of composition, and no trimming
		{"пароль-и-ключ", nil},
		{"ключик7", []string{short}}, // characters count, not bytes
		{"😀😁😂🤣😃😄😅😆", nil},
		{"😀😁😂🤣😃😄😅", []string{short}},
		{filler[:256], nil},
		{filler[:257], []string{long}},
		{strings.Repeat("😀🐙🦊🐝", 64), nil}, // 256 characters in 1,024 bytes
		{strings.Repeat("😀🐙🦊🐝", 64) + "x", []string{long}},
		{"", []string{short}},
		{"correct\x00horse", []string{control}},
		{"correct\nhorse", []string{control}},
		{"correct\x7fhorse", []string{control}},
		{"correct\u0085horse", []string{control}},
		{"correct\xffhorse", []string{control}},
		{"password", []string{common}},
		{"PassWord", []string{common}},
		{"12345678", []string{common}},
		{"password1", []string{common}},
		{"alice", []string{short}},
		{"alice in chains", []string{likeName}},
		{"wonderland-ALICE", []string{likeName}},
		{"liddell's wonder", []string{likeMail}},
		{"dr.Liddell", []string{likeMail}},
		{"aliceliddell", []string{likeName, likeMail}},
		{"looking@glass", nil}, // the domain is not personal
	} {
		fields := Fields{}
		email := "Liddell@glass.example"
		if c.password == "dr.Liddell" {
			email = "dr.liddell@glass.example"
		}
		checkPassword(fields, "password", c.password, "Alice", email)
		if got := fields["password"]; !slices.Equal(got, c.want) {
			t.Errorf("%.30q: got %q, want %q", c.password, got, c.want)
		}
	}
	fields := Fields{}
	checkPassword(fields, "new_password", "short", "", "")
	if len(fields) != 1 || len(fields["new_password"]) != 1 {
		t.Errorf("complaints about another field: %v", fields)
	}
}

func TestCheckUsername(t *testing.T) {
	t.Parallel()
	const (
		blank    = "This field may not be blank."
		invalid  = "Enter a valid username. It may contain only English letters, digits and @/./+/-/_ characters."
		short    = "Ensure this field has at least 3 characters."
		long     = "Ensure this field has no more than 150 characters."
		reserved = "This name is reserved."
	)
	for _, c := range []struct {
		username, name, key string
		want                []string
	}{
		{"alice", "alice", "alice", nil},
		{" Alice\t", "Alice", "alice", nil},
		{"a.b@c+d-e_9", "a.b@c+d-e_9", "a.b@c+d-e_9", nil},
		{"ＡＬＩＣＥ", "ALICE", "alice", nil}, // full-width letters are the same letters
		{"ﬁona", "fiona", "fiona", nil},
		{"42", "42", "42", []string{short}},
		{"abc", "abc", "abc", nil},
		{strings.Repeat("n", 150), strings.Repeat("n", 150), strings.Repeat("n", 150), nil},
		{strings.Repeat("n", 151), strings.Repeat("n", 151), strings.Repeat("n", 151), []string{long}},
		{"", "", "", []string{blank}},
		{"\u00a0 \n", "", "", []string{blank}},
		{"me", "me", "me", []string{short, reserved}},
		{"Me", "Me", "me", []string{short, reserved}},
		{"meg", "meg", "meg", nil},
		{"two words", "two words", "two words", []string{invalid}},
		{"alic\u0435", "alic\u0435", "alic\u0435", []string{invalid}}, // a Cyrillic letter
		{"zoë", "zoë", "zoë", []string{invalid}},
		{"a\u200blice", "a\u200blice", "a\u200blice", []string{invalid}},
		{"a/lice", "a/lice", "a/lice", []string{invalid}},
		{"a\x00lice", "a\x00lice", "a\x00lice", []string{invalid}},
		{"alice\xff", "alice\xff", "alice\ufffd", []string{invalid}},
		{"<b>", "<b>", "<b>", []string{invalid}},
	} {
		fields := Fields{}
		name, key := checkUsername(fields, c.username)
		if got := fields["username"]; !slices.Equal(got, c.want) {
			t.Errorf("%.20q: got %q, want %q", c.username, got, c.want)
		}
		if name != c.name || key != c.key {
			t.Errorf("%.20q: name %.20q and key %.20q", c.username, name, key)
		}
		if c.want == nil && usernameKey(c.username) != key {
			t.Errorf("%.20q: looked up as %q, kept as %q", c.username, usernameKey(c.username), key)
		}
	}
}

func TestCheckEmail_Accepted(t *testing.T) {
	t.Parallel()
	local64 := strings.Repeat("l", 64)
	label60 := strings.Repeat("d", 60)
	long := local64 + "@" + label60 + "." + label60 + "." + label60 + ".ddd.de" // 254 bytes
	if len(long) != 254 {
		t.Fatalf("the long address has %d bytes", len(long))
	}
	for _, c := range []struct{ email, address, key string }{
		{"alice@example.com", "alice@example.com", "alice@example.com"},
		{" Alice@Example.COM\n", "Alice@Example.COM", "alice@example.com"},
		{"alice+lists@example.com", "alice+lists@example.com", "alice+lists@example.com"},
		{"a.l.i.c.e@example.com", "a.l.i.c.e@example.com", "a.l.i.c.e@example.com"}, // one provider's rule is not everybody's
		{"o'brien!#$%&*/=?^_`{|}~-@example.com", "o'brien!#$%&*/=?^_`{|}~-@example.com", "o'brien!#$%&*/=?^_`{|}~-@example.com"},
		{"root@localhost", "root@localhost", "root@localhost"},
		{"alice@BÜCHER.example", "alice@BÜCHER.example", "alice@xn--bcher-kva.example"},
		{"alice@xn--bcher-kva.example", "alice@xn--bcher-kva.example", "alice@xn--bcher-kva.example"},
		{"alice@ｅｘａｍｐｌｅ。com", "alice@ｅｘａｍｐｌｅ。com", "alice@example.com"},
		{local64 + "@example.com", local64 + "@example.com", local64 + "@example.com"},
		{long, long, long},
	} {
		fields := Fields{}
		address, key := checkEmail(fields, c.email)
		if len(fields) != 0 || address != c.address || key != c.key {
			t.Errorf("%.40q: got %q and %q, %v", c.email, address, key, fields)
		}
	}
}

func TestCheckEmail_Refused(t *testing.T) {
	t.Parallel()
	label60 := strings.Repeat("d", 60)
	for _, email := range []string{
		"alice", "@", "@example.com", "alice@", "alice@example", "alice@.com", "alice@example.", "alice@example..com",
		"a@b@example.com", "alice@@example.com", ".alice@example.com", "alice.@example.com", "al..ice@example.com",
		"al ice@example.com", "alice@exa mple.com", "alice@-example.com", "alice@example-.com", "alice@exa_mple.com",
		`"alice"@example.com`, `"al ice"@example.com`, `al\ice@example.com`, "alice(work)@example.com", "alice@example.com(work)",
		"Alice <alice@example.com>", "<alice@example.com>", "alice@example.com, bob@example.com", "alice@example.com;bob@example.com",
		"alice@example.com\r\nBcc: bob@example.com", "ali\x00ce@example.com", "ali\u200bce@example.com", "zoë@example.com", "ali\xffce@example.com",
		"alice@[127.0.0.1]", "mailto:alice@example.com", "alice@" + strings.Repeat("d", 64) + ".com",
		strings.Repeat("l", 65) + "@example.com", strings.Repeat("l", 64) + "@" + label60 + "." + label60 + "." + label60 + ".dddd.de",
	} {
		fields := Fields{}
		checkEmail(fields, email)
		if got := fields["email"]; !slices.Equal(got, []string{"Enter a valid email address."}) {
			t.Errorf("%.40q: got %q", email, got)
		}
	}
	for _, blank := range []string{"", " ", "\t\n"} {
		fields := Fields{}
		checkEmail(fields, blank)
		if got := fields["email"]; !slices.Equal(got, []string{"This field may not be blank."}) {
			t.Errorf("%q: got %q", blank, got)
		}
	}
}
