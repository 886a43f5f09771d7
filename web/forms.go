package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"dueto/openapi"
)

// Form is a method of a page's path that the visitor may try.
type Form struct {
	Method  string
	Summary string
	// Body says what may be sent; nil is nothing.
	Body *openapi.Schema
	// Query are the parameters of the URL.
	Query []openapi.Parameter
	// Next is the path to go to when it is done; "" is the same page again.
	Next string
	// Show has the answer shown in place of going on: it may not be had again.
	Show bool
	// Entrance says that it signs in, and Own that it is about the visitor's own
	// account: browsers fill in what they know.
	Entrance, Own bool
	// Open says that nobody has to be signed in for it.
	Open bool
	// Closed says why the visitor may not; SignIn that they may when signed in.
	Closed string
	SignIn bool
}

// formView is a form as the template has it.
type formView struct {
	Form
	ID     string
	Action string
	ETag   string
	Sends  bool // a body
	Fields []field
}

// The kinds of fields, which the script turns into JSON each in its way.
const (
	kindText    = "text"
	kindInteger = "integer"
	kindBoolean = "boolean"
	kindTime    = "time"
	kindTexts   = "texts"    // one a line
	kindNumbers = "integers" // one a line
	kindJSON    = "json"
)

// longText is from which length on a text gets several lines.
const longText = 200

// field is an input of a form.
type field struct {
	ID, Name, Label string
	Kind            string
	Query           bool   // a parameter of the URL in place of a member
	Type            string // of an input; "" for others
	Rows            int    // of a text area
	Options         []option
	Required        bool
	Nullable, Null  bool
	Value           string
	Was             string // the JSON that Value stands for, as it came
	Help            []string
	Complete        string // the autocomplete attribute
	Min, Max        *int64
}

// Described lists the ids of what explains the field.
func (f field) Described() string {
	if len(f.Help) == 0 {
		return f.ID + "-error"
	}
	return f.ID + "-help " + f.ID + "-error"
}

// Exact says that no keyboard may correct what is typed.
func (f field) Exact() bool {
	return f.Kind != kindText || f.Type == "password" || f.Complete == "username"
}

type option struct {
	Value, Label string
	Selected     bool
}

// newForm makes a form for the template; object is what is shown, for the
// methods that change it.
func newForm(f Form, path, etag string, object map[string]json.RawMessage) formView {
	id := strings.ToLower(f.Method) + "-"
	v := formView{Form: f, ID: "form-" + strings.ToLower(f.Method), Action: path, ETag: etag, Sends: f.Body != nil}
	if f.Method != http.MethodPut && f.Method != http.MethodPatch {
		object = nil
	}
	for _, p := range f.Query {
		v.Fields = append(v.Fields, queryField(id, p))
	}
	if f.Body == nil {
		return v
	}
	for _, property := range f.Body.Properties {
		if property.Schema.ReadOnly {
			continue
		}
		made := newField(id, property.Name, property.Schema, object)
		for _, name := range f.Body.Required {
			made.Required = made.Required || name == property.Name
		}
		made.Complete = completion(f, property.Name)
		if made.Rows > 0 && made.Complete != "off" { // however long it may be
			made.Type, made.Rows = "text", 0
		}
		v.Fields = append(v.Fields, made)
	}
	return v
}

// queryField makes the field of a parameter of the URL.
func queryField(prefix string, p openapi.Parameter) field {
	schema := p.Schema
	if schema == nil {
		schema = &openapi.Schema{Type: openapi.Types{openapi.String}}
	}
	made := newField(prefix, p.Name, schema, nil)
	made.Query, made.Required, made.Nullable = true, p.Required, false
	if p.Description != "" && schema.Description == "" {
		made.Help = append([]string{p.Description}, made.Help...)
	}
	return made
}

func newField(prefix, name string, s *openapi.Schema, object map[string]json.RawMessage) field {
	f := field{ID: prefix + name, Name: name, Label: humanize(name), Nullable: s.Type.Has(openapi.Null), Min: s.Minimum, Max: s.Maximum}
	f.Kind, f.Type, f.Rows = widget(s)
	if raw, ok := object[name]; ok {
		f.Was = string(raw)
		if f.Kind == kindTexts && strings.Contains(f.Was, `\n`) {
			f.Kind = kindJSON // one of them has lines itself
		}
		f.Value, f.Null = shownValue(f.Kind, raw)
		if f.Type != "" && f.Kind == kindText && strings.ContainsAny(f.Value, "\r\n") {
			f.Type, f.Rows = "", 3 // an input has one line
		}
	}
	f.Options = options(f, s)
	if len(f.Options) > 0 {
		f.Type, f.Rows = "", 0
	}
	f.Help = help(f, s)
	return f
}

// widget gives how a value is put in: by which kind of field, and by an input of
// a type or a text area of some rows.
func widget(s *openapi.Schema) (kind, inputType string, rows int) {
	switch {
	case s.Type.Has(openapi.Integer):
		return kindInteger, "number", 0
	case s.Type.Has(openapi.Boolean):
		return kindBoolean, "", 0
	case s.Type.Has(openapi.String) && s.Format == "date-time":
		return kindTime, "text", 0
	case s.Type.Has(openapi.String) && s.Format == "password":
		return kindText, "password", 0
	case s.Type.Has(openapi.String) && s.MaxLength != nil && *s.MaxLength > longText && s.Format == "":
		return kindText, "", 5
	case s.Type.Has(openapi.String):
		return kindText, "text", 0
	case s.Type.Has(openapi.Array) && s.Items != nil && s.Items.Type.Has(openapi.String):
		return kindTexts, "", 3
	case s.Type.Has(openapi.Array) && s.Items != nil && s.Items.Type.Has(openapi.Integer):
		return kindNumbers, "", 3
	}
	return kindJSON, "", 3
}

// shownValue gives what a field of a kind shows for a value, and whether it is
// null.
func shownValue(kind string, raw json.RawMessage) (value string, null bool) {
	var text string
	var list []json.RawMessage
	switch {
	case string(raw) == "null":
		return "", true
	case kind == kindJSON, json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &list) != nil:
		return string(raw), false
	case list == nil:
		return text, false
	}
	lines := make([]string, len(list))
	for i, item := range list {
		lines[i], _ = shownValue("", item)
	}
	return strings.Join(lines, "\n"), false
}

// options gives the choices of a field that has some, with "" for none where
// nothing has been chosen.
func options(f field, s *openapi.Schema) []option {
	var list []option
	for _, value := range s.Enum {
		if value != nil {
			list = append(list, option{Value: fmt.Sprint(value), Label: fmt.Sprint(value)})
		}
	}
	if f.Kind == kindBoolean {
		list = []option{{Value: "true", Label: "true"}, {Value: "false", Label: "false"}}
	}
	if len(list) == 0 {
		return nil
	}
	for i := range list {
		list[i].Selected = f.Was != "" && !f.Null && list[i].Value == f.Value
	}
	if f.Was == "" || f.Null {
		list = append([]option{{Label: "(not set)", Selected: true}}, list...)
	}
	return list
}

// help says what the schema tells of a value, for people.
func help(f field, s *openapi.Schema) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if s.Description != "" {
		add("%s", s.Description)
	}
	switch f.Kind {
	case kindTime:
		add("A time with an offset, such as 2026-10-18T19:12:01Z.")
	case kindTexts, kindNumbers:
		add("One a line%s.", map[bool]string{true: ", at most " + number(s.MaxItems)}[s.MaxItems != nil])
	case kindJSON:
		add("As JSON.")
	case kindInteger:
		if bounds := bounds(s.Minimum, s.Maximum); bounds != "" && s.Description == "" {
			add("%s.", bounds)
		}
	case kindText:
		if bounds := bounds(s.MinLength, s.MaxLength); bounds != "" && len(s.Enum) == 0 {
			add("%s %s.", bounds, characters(s.MinLength, s.MaxLength))
		}
	}
	if s.Default != nil && f.Was == "" {
		if b, err := json.Marshal(s.Default); err == nil && !slices.Contains([]string{`""`, "[]", "null"}, string(b)) {
			add("By default %s.", b)
		}
	}
	return list
}

func bounds(low, high *int64) string {
	switch {
	case low != nil && high != nil && *high < 1<<53:
		return number(low) + " to " + number(high)
	case high != nil && *high < 1<<53:
		return "Up to " + number(high)
	case low != nil:
		return "At least " + number(low)
	}
	return ""
}

// characters is in the number of the last of the bounds.
func characters(low, high *int64) string {
	last := high
	if high == nil || *high >= 1<<53 {
		last = low
	}
	if last != nil && *last == 1 {
		return "character"
	}
	return "characters"
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// words is a piece of a sentence.
type words struct {
	Text string
	Code bool
}

// prose cuts a sentence in which `this` is code.
func prose(sentence string) []words {
	var list []words
	for i, part := range strings.Split(sentence, "`") {
		if part != "" {
			list = append(list, words{part, i%2 == 1})
		}
	}
	return list
}

// humanize makes a label of a name: due_to becomes Due to.
func humanize(name string) string {
	words := strings.ReplaceAll(strings.ReplaceAll(name, "_", " "), "-", " ")
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// completion gives the autocomplete attribute of fields that browsers know: of
// one's own account, and none for others'.
func completion(f Form, name string) string {
	switch {
	case name == "old_password", name == "password" && (f.Method == http.MethodDelete || f.Entrance):
		return "current-password"
	case name == "password", name == "new_password":
		return "new-password"
	case f.Own && (name == "username" || name == "email"):
		return name
	}
	return "off"
}
