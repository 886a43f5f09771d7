package web

import (
	"bytes"
	"encoding/json"
	"html/template"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxShown is how much of an answer a page shows, in bytes. What is longer is
// for programs: marked up, it would be several times as much to make and send.
const maxShown = 128 << 10

// cut gives the beginning of an answer that is too long for a page, and reports
// whether it is.
func cut(body []byte) (beginning []byte, long bool) {
	if len(body) <= maxShown {
		return body, false
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(body[end]) { //nolint:gosec // it is longer than that
		end--
	}
	return body[:end], true
}

// highlight writes JSON indented, with links and with classes for the style
// sheet. Values stay as they are written; what is no JSON is mere text.
func (p *Pages) highlight(body []byte) template.HTML {
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(body), "", "  "); err != nil {
		return plain(body)
	}
	text := indented.String()
	var b strings.Builder
	b.Grow(2 * len(text))
	for from := 0; from < len(text); {
		end := from + pieceLength(text[from:])
		class, href := "", ""
		switch c := text[from]; {
		case c == '"' && strings.HasPrefix(text[end:], ":"):
			class = "key"
		case c == '"':
			class, href = "string", p.hrefOf(text[from:end])
		case c == '-' || (c >= '0' && c <= '9'):
			class = "number"
		case c >= 'a' && c <= 'z':
			class = "word"
		}
		mark(&b, class, href, text[from:end])
		from = end
	}
	return template.HTML(b.String()) //nolint:gosec // mark escapes
}

// plain writes a text as it is.
func plain(body []byte) template.HTML {
	return template.HTML(template.HTMLEscapeString(strings.ToValidUTF8(string(body), "\ufffd"))) //nolint:gosec // escaped
}

// mark writes a piece of a text; href is a path of ours, or "".
func mark(b *strings.Builder, class, href, text string) {
	text = template.HTMLEscapeString(text)
	switch {
	case class == "":
		b.WriteString(text)
	case href != "":
		b.WriteString(`<a class="` + class + `" href="` + template.HTMLEscapeString(href) + `">` + text + "</a>")
	default:
		b.WriteString(`<span class="` + class + `">` + text + "</span>")
	}
}

// pieceLength gives how long the value is that a JSON text begins with, or what
// stands before the next one.
func pieceLength(text string) int {
	if text[0] == '"' {
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(text)
	}
	const between = " \n,:[]{}"
	i := 1
	for i < len(text) && text[i] != '"' && strings.IndexByte(between, text[i]) >= 0 == (strings.IndexByte(between, text[0]) >= 0) {
		i++
	}
	return i
}

// hrefOf gives where a text in JSON leads, if it is a URL of ours.
func (p *Pages) hrefOf(literal string) string {
	value := literal[1 : len(literal)-1]
	if strings.Contains(value, `\`) {
		if err := json.Unmarshal([]byte(literal), &value); err != nil {
			return ""
		}
	}
	return p.local(value)
}

// plainPath is a path, query and fragment that every reader takes alike: no
// white space, no backslash, and no second slash at the start, which would make
// it another host.
var plainPath = regexp.MustCompile(`^/([A-Za-z0-9\-._~:?#\[\]@!$&'()*+,;=%][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*)?$`)

// local gives a URL below the public one as a path, which works under whatever
// address the page was reached, and "" for every other text.
func (p *Pages) local(url string) string {
	if url == p.site {
		return p.prefix + "/"
	}
	rest, ours := strings.CutPrefix(url, p.site)
	if !ours || !plainPath.MatchString(rest) {
		return ""
	}
	return p.prefix + rest
}
