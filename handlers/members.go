package handlers

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// splitMembers gives the members of an object undecoded, or nil for another
// value. It refuses an object, at any depth, that has a member twice. The body
// must be known to be valid JSON: what it is made of is only told apart here,
// which spares most of what decoding a small body costs.
func splitMembers(body []byte) (map[string]json.RawMessage, error) {
	w := walker{body: body}
	w.space()
	if w.body[w.at] == '{' {
		return w.object()
	}
	return nil, w.value()
}

// walker goes through valid JSON; at is where it stands.
type walker struct {
	body []byte
	at   int
}

func (w *walker) space() {
	for w.at < len(w.body) && strings.IndexByte(" \t\r\n", w.body[w.at]) >= 0 {
		w.at++
	}
}

// object goes over an object, which begins here, and gives its members.
func (w *walker) object() (map[string]json.RawMessage, error) {
	members := map[string]json.RawMessage{}
	w.at++
	for {
		w.space()
		switch w.body[w.at] {
		case '}':
			w.at++
			return members, nil
		case ',':
			w.at++
			continue
		}
		name := unquoted(w.text())
		if _, twice := members[name]; twice {
			return nil, malformed("JSON parse error: the member " + strconv.Quote(clip(name)) + " is there twice.")
		}
		w.space()
		w.at++ // the colon
		w.space()
		from := w.at
		if err := w.value(); err != nil {
			return nil, err
		}
		members[name] = w.body[from:w.at:w.at]
	}
}

// value goes over the value that begins here or after white space.
func (w *walker) value() error {
	w.space()
	switch w.body[w.at] {
	case '{':
		_, err := w.object()
		return err
	case '[':
		return w.array()
	case '"':
		w.text()
	default: // a number or a word
		for w.at < len(w.body) && strings.IndexByte(",]} \t\r\n", w.body[w.at]) < 0 {
			w.at++
		}
	}
	return nil
}

func (w *walker) array() error {
	w.at++
	for {
		w.space()
		switch w.body[w.at] {
		case ']':
			w.at++
			return nil
		case ',':
			w.at++
		default:
			if err := w.value(); err != nil {
				return err
			}
		}
	}
}

// text goes over a text and gives it with its quotes.
func (w *walker) text() []byte {
	from := w.at
	for w.at++; w.body[w.at] != '"'; w.at++ {
		if w.body[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	return w.body[from:w.at]
}

// unquoted gives a text that is known to be valid.
func unquoted(raw []byte) string {
	if text, ok := plainText(raw); ok {
		return text
	}
	var text string
	_ = json.Unmarshal(raw, &text)
	return text
}

// plainText gives a valid JSON text that stands for itself, without escapes.
func plainText(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 {
		return "", false
	}
	return string(raw[1 : len(raw)-1]), true
}

// decodePlain decodes valid JSON of the kinds that bodies mostly are made of, or
// gives false.
func decodePlain(raw []byte, into any) (done bool, err error) {
	text, isText := plainText(raw)
	switch to := into.(type) {
	case *string:
		if done = isText; done {
			*to = text
		}
	case *trimmed:
		if done = isText; done {
			*to = trimmed(strings.TrimSpace(text))
		}
	case *timestamp:
		if done = isText; done {
			err = to.parse(text)
		}
	case *bool:
		if done = string(raw) == "true" || string(raw) == "false"; done {
			*to = raw[0] == 't'
		}
	}
	return done, err
}
