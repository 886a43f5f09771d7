package web

import "strings"

// shellWord quotes a text for a POSIX shell, where it needs it.
func shellWord(s string) string {
	plain := s != ""
	for i := range len(s) {
		b := s[i]
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && !strings.ContainsRune("-._/:,@%+", rune(b)) {
			plain = false
		}
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// escapeURL percent-encodes what does not belong into a URL as it is, or would
// be a pattern to curl. What is encoded already stays.
func escapeURL(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c > ' ' && c < 0x7f && !strings.ContainsRune("\"<>\\^`{|}[]", rune(c)) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// shellLines gives the commands that ask what a page shows, for httpie and curl.
// Whoever is signed in gets another answer than nobody: programs bring a token.
func shellLines(url string, signedIn bool) (httpie, curl string) {
	url = shellWord(url)
	if !signedIn {
		return "http GET " + url, "curl " + url
	}
	const token = `"Authorization: Bearer $TOKEN"`
	return "http GET " + url + " " + token, "curl -H " + token + " " + url
}
