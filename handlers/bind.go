package handlers

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/agnivade/levenshtein"
	"github.com/gin-gonic/gin"
	"github.com/go-playground/validator/v10"

	"dueto/services"
)

// Opt is a member of a request that may be absent. A struct of Opts describes a
// body: the json tag names a member, the validate tag says what it must be, and
// nullable:"true" that it may be null.
type Opt[T any] struct {
	Set   bool
	Null  bool
	Value T
}

// optional is what bind needs of an Opt, whatever its type.
type optional interface {
	decode(raw json.RawMessage) error
	setNull()
	isSet() bool
	value() any
}

func (o *Opt[T]) decode(raw json.RawMessage) error {
	o.Set = true
	if done, err := decodePlain(raw, &o.Value); done {
		return err
	}
	if err := json.Unmarshal(raw, &o.Value); err != nil {
		var complaint complaintError
		if errors.As(err, &complaint) {
			return complaint
		}
		return complaintError(typeComplaint(reflect.TypeFor[T]()))
	}
	return nil
}

func (o *Opt[T]) setNull()    { o.Set, o.Null = true, true }
func (o *Opt[T]) isSet() bool { return o.Set }
func (o *Opt[T]) value() any  { return o.Value }

// change gives the member as a patch of a value that cannot be null.
func (o Opt[T]) change() services.Change[T] { return services.Change[T]{Set: o.Set, To: o.Value} }

// changeNullable gives the member as a patch of a value that can be null.
func (o Opt[T]) changeNullable() services.Change[*T] {
	if o.Null || !o.Set {
		return services.Change[*T]{Set: o.Set}
	}
	return services.SetTo(&o.Value)
}

// complaintError is a text for the client about one member.
type complaintError string

func (e complaintError) Error() string { return string(e) }

// body says how a request's body is read.
type body struct {
	// message heads a list of complaints.
	message string
	// readOnly are members of the resource that are ignored when sent back.
	readOnly []string
	// partial makes no member required (PATCH).
	partial bool
	// optional lets the body be absent.
	optional bool
	// rules says what the service would refuse. Where something is wrong with
	// the body's shape, it adds what is wrong besides; else the service is left
	// to say it.
	rules func() error
}

// bind reads the body into a struct of Opts. All that is wrong is reported at
// once, by member.
func bind(c *gin.Context, into any, b body) error {
	if b.optional && (c.Request.Body == nil || c.Request.Body == http.NoBody) {
		return nil
	}
	sent, err := readObject(c)
	if err != nil {
		return err
	}
	fields := services.Fields{}
	members := membersOf(into)
	for _, m := range members {
		raw, present := sent[m.name]
		delete(sent, m.name)
		if complaint := m.bind(into, raw, present, b.partial); complaint != "" {
			fields.Add(m.name, complaint)
		}
	}
	addUnknown(fields, sent, members, b.readOnly)
	if len(fields) > 0 && b.rules != nil {
		addRules(fields, into, members, b.rules())
	}
	return fields.Err(b.message)
}

// addUnknown adds the complaints about what was sent and is no member.
func addUnknown(fields services.Fields, left map[string]json.RawMessage, members []bodyMember, readOnly []string) {
	for name := range left {
		if !fields.Full() && !slices.Contains(readOnly, name) {
			fields.Add(clip(name), unknown("There is no such member", name, names(members)))
		}
	}
}

// addRules adds the complaints about members that were sent and read.
func addRules(fields services.Fields, into any, members []bodyMember, err error) {
	var broken *services.Error
	if !errors.As(err, &broken) {
		return
	}
	for _, m := range members {
		if m.of(into).isSet() && len(fields[m.name]) == 0 && len(broken.Fields[m.name]) > 0 {
			fields[m.name] = broken.Fields[m.name]
		}
	}
}

// bodyMember is one field of a request struct.
type bodyMember struct {
	index    int
	name     string
	required bool
	nullable bool
	rules    string // for the validator
}

func names(members []bodyMember) []string {
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = m.name
	}
	return list
}

var memberCache sync.Map // reflect.Type of a request struct to []bodyMember

func membersOf(request any) []bodyMember {
	t := reflect.TypeOf(request).Elem()
	if cached, ok := memberCache.Load(t); ok {
		return cached.([]bodyMember)
	}
	var members []bodyMember
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		rules, required := tag.Get("validate"), false
		if rest, ok := strings.CutPrefix(rules, "required"); ok {
			rules, required = strings.TrimPrefix(rest, ","), true
		}
		members = append(members, bodyMember{i, tag.Get("json"), required, tag.Get("nullable") == "true", rules})
	}
	memberCache.Store(t, members)
	return members
}

// of gives the member's place in a request.
func (m bodyMember) of(into any) optional {
	return reflect.ValueOf(into).Elem().Field(m.index).Addr().Interface().(optional)
}

// bind decodes and checks one member and gives what is wrong with it, or "".
func (m bodyMember) bind(into any, raw json.RawMessage, present, partial bool) string {
	target := m.of(into)
	switch {
	case !present && m.required && !partial:
		return required
	case !present:
		return ""
	case string(raw) == "null" && m.nullable:
		target.setNull()
		return ""
	case string(raw) == "null":
		return "This field may not be null."
	}
	if err := target.decode(raw); err != nil {
		return err.Error()
	}
	if m.rules == "" {
		return ""
	}
	return ruleComplaint(validate.Var(target.value(), m.rules))
}

// validate is safe for use by many and keeps only the rules that it has parsed.
var validate = validator.New(validator.WithRequiredStructEnabled())

// ruleComplaint says which rule was broken, in Django REST Framework's words.
func ruleComplaint(err error) string {
	var broken validator.ValidationErrors
	if !errors.As(err, &broken) {
		return ""
	}
	rule := broken[0]
	text, number := rule.Kind() == reflect.String, rule.Kind() == reflect.Int64
	switch rule.Tag() {
	case "min":
		switch {
		case text && rule.Param() == "1":
			return blank
		case text:
			return "Ensure this field has at least " + rule.Param() + " characters."
		case number:
			return "Ensure this value is greater than or equal to " + rule.Param() + "."
		}
	case "max":
		switch {
		case text:
			return "Ensure this field has no more than " + rule.Param() + " characters."
		case number:
			return "Ensure this value is less than or equal to " + rule.Param() + "."
		}
		return "Ensure this field has no more than " + rule.Param() + " elements."
	case "oneof":
		return "This is not a valid choice. There are: " + strings.ReplaceAll(rule.Param(), " ", ", ") + "."
	}
	return "This is not valid."
}

// typeComplaint says what a member of a type must look like.
func typeComplaint(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "Must be a valid boolean."
	case reflect.Int64:
		return "A valid integer is required."
	case reflect.Slice:
		return "Expected a list of strings."
	default:
		return "Not a valid string."
	}
}

// unknown complains of a name that is not known, and offers the nearest that is.
func unknown(complaint, name string, known []string) string {
	nearest, best := "", 3
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(clip(name)), k); d < min(best, len(k)) {
			nearest, best = k, d
		}
	}
	switch {
	case nearest != "":
		return complaint + "; did you mean " + nearest + "?"
	case len(known) == 0:
		return complaint + "."
	default:
		return complaint + "; there are: " + strings.Join(known, ", ") + "."
	}
}
