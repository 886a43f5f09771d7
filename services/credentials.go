package services

import (
	_ "embed"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // time zones are there on machines without the database
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// commonPasswords are the 20,000 most used passwords of at least 8 characters
// in published leaks, in lower case, sorted, one a line.
//
//go:embed data/common_passwords.txt
var commonPasswords string

var commonPasswordList = sync.OnceValue(func() []string { return strings.Fields(commonPasswords) })

// The limits of a new password. Bytes are bounded besides characters so that
// nothing costly is computed over a megabyte.
const (
	MinPasswordChars = 8
	MaxPasswordChars = 256
	maxPasswordBytes = 1024
)

// checkPassword adds what is wrong with a password for an account of that name
// and address under a field's name. There are no rules of composition:
// length and being hard to guess are what counts (NIST SP 800-63B, 5.1.1.2).
func checkPassword(fields Fields, field, password, username, email string) {
	switch chars := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		fields.Add(field, "A password must not contain control characters.")
		return
	case chars < MinPasswordChars:
		fields.Add(field, "This password is too short. It must contain at least "+strconv.Itoa(MinPasswordChars)+" characters.")
		return
	case chars > MaxPasswordChars || len(password) > maxPasswordBytes:
		fields.Add(field, "This password is too long. It may contain at most "+strconv.Itoa(MaxPasswordChars)+" characters.")
		return
	}
	lower := strings.ToLower(password)
	if _, common := slices.BinarySearch(commonPasswordList(), lower); common {
		fields.Add(field, "This password is too common.")
	}
	if username != "" && strings.Contains(lower, strings.ToLower(username)) {
		fields.Add(field, "The password is too similar to the username.")
	}
	local, _, _ := strings.Cut(strings.ToLower(email), "@")
	// A local part of one or two letters is in most passwords by chance.
	if lower == local || (len(local) >= 3 && strings.Contains(lower, local)) {
		fields.Add(field, "The password is too similar to the email.")
	}
}

// What a username is made of, in its normal form, and how long it may be.
const (
	UsernamePattern = `^[A-Za-z0-9_.@+-]*$`
	MinUsername     = 3
	MaxUsername     = 150
)

var usernameLetters = regexp.MustCompile(UsernamePattern)

// checkUsername gives the name in its normal form and its lower-case key, or
// adds what is wrong with it.
func checkUsername(fields Fields, username string) (name, key string) {
	name = norm.NFKC.String(strings.TrimSpace(username))
	key = strings.ToLower(name)
	switch {
	case name == "":
		fields.Add("username", "This field may not be blank.")
	case !usernameLetters.MatchString(name):
		fields.Add("username", "Enter a valid username. It may contain only English letters, digits and @/./+/-/_ characters.")
	case len(name) < MinUsername:
		fields.Add("username", "Ensure this field has at least 3 characters.")
	case len(name) > MaxUsername:
		fields.Add("username", "Ensure this field has no more than 150 characters.")
	}
	if key == "me" {
		fields.Add("username", "This name is reserved.")
	}
	return name, key
}

// checkNameIsOwn complains of a name that is an address, unless it is the
// account's own: people sign in with either, and one must not stand for two.
func checkNameIsOwn(fields Fields, username, emailKey string) {
	// Without an address of its own there is a complaint about that, or it is
	// still to be asked for.
	if address, ok := canonicalEmail(username); ok && emailKey != "" && address != emailKey {
		fields.Add("username", "A name that is an e-mail address must be the account's own.")
	}
}

// checkEmail gives the address as typed and its canonical key (lower case, the
// domain in its ASCII form), or adds what is wrong with it.
func checkEmail(fields Fields, email string) (address, key string) {
	address = strings.TrimSpace(email)
	if address == "" {
		fields.Add("email", "This field may not be blank.")
		return address, ""
	}
	key, ok := canonicalEmail(address)
	if !ok {
		fields.Add("email", "Enter a valid email address.")
	}
	return address, key
}

// domains is how domains are compared (UTS 46), with DNS's bounds on lengths.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// canonicalEmail gives the form under which an address is unique.
func canonicalEmail(address string) (key string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || at > 64 || len(address) > 254 {
		return "", false
	}
	domain, err := domains.ToASCII(address[at+1:])
	if err != nil || (!strings.Contains(domain, ".") && domain != "localhost") {
		return "", false
	}
	canonical := address[:at] + "@" + domain
	parsed, err := mail.ParseAddress(canonical)
	// Quoted and non-ASCII local parts are legal, hardly used, and read
	// differently by different mail servers.
	if err != nil || parsed.Name != "" || parsed.Address != canonical || len(canonical) > 254 ||
		strings.ContainsFunc(canonical, func(r rune) bool { return r > unicode.MaxASCII || strings.ContainsRune(`"\() `, r) }) {
		return "", false
	}
	return strings.ToLower(canonical), true
}

// checkTimeZone adds a complaint unless name is in the IANA time zone database.
func checkTimeZone(fields Fields, name string) {
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		fields.Add("time_zone", "Enter a time zone of the IANA database, such as Europe/Berlin.")
	}
}

// checkPermissions gives the words sorted, without repetition, or adds which
// are unknown.
func checkPermissions(fields Fields, words []string) []string {
	known := Permissions()
	if i := slices.IndexFunc(words, func(w string) bool { return !slices.Contains(known, w) }); i >= 0 {
		word := []rune(words[i])
		fields.Add("permissions", `"`+string(word[:min(len(word), 40)])+`" is not a permission. There are: `+strings.Join(known, ", ")+".")
	}
	sorted := slices.Clone(words)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}
