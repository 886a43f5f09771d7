package web

import "strings"

// escapeURL percent-encodes all that a shell might read otherwise, a POSIX one or
// that of Windows, or curl as a pattern. What is encoded already stays.
func escapeURL(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strings.IndexByte("-._~/:?=&%+,@", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// shellWord quotes a URL that escapeURL has made: by double quotes, for cmd.exe
// knows no others, and nothing is left that they would not hold together.
func shellWord(url string) string {
	if !strings.ContainsAny(url, "?&~") {
		return url
	}
	return `"` + url + `"`
}

// shellLines gives the commands that ask what a page shows, for httpie and curl.
// Whoever is signed in gets another answer than nobody: programs bring a token,
// by the scheme that takes both kinds.
func shellLines(url string, signedIn bool) (httpie, curl string) {
	url = shellWord(url)
	if !signedIn {
		return "http GET " + url, "curl " + url
	}
	const token = `"Authorization: Token $TOKEN"`
	return "http GET " + url + " " + token, "curl -H " + token + " " + url
}
