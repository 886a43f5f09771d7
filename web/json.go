package web

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// span is a piece of JSON as it is shown.
type span struct {
	Class string // of the style sheet; "" for what is between values
	Text  string
	Href  string // where a value that is a URL of ours leads
}

// highlight cuts JSON into pieces, indented. Values stay as they are written;
// what is no JSON is one piece.
func (p *Pages) highlight(body []byte) []span {
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(body), "", "  "); err != nil {
		return []span{{Text: strings.ToValidUTF8(string(body), "\ufffd")}}
	}
	text := indented.String()
	var spans []span
	for from := 0; from < len(text); {
		end := from + pieceLength(text[from:])
		piece := span{Text: text[from:end]}
		switch c := text[from]; {
		case c == '"' && strings.HasPrefix(text[end:], ":"):
			piece.Class = "key"
		case c == '"':
			piece.Class, piece.Href = "string", p.hrefOf(piece.Text)
		case c == '-' || (c >= '0' && c <= '9'):
			piece.Class = "number"
		case c >= 'a' && c <= 'z':
			piece.Class = "word"
		}
		spans = append(spans, piece)
		from = end
	}
	return spans
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
	var value string
	if err := json.Unmarshal([]byte(literal), &value); err != nil {
		return ""
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
