package handlers

import (
	"cmp"
	"reflect"
	"slices"

	"dueto/openapi"
	"dueto/services"
)

// A schema with a title is shown under that name, and once.

// described says in words what a member is whose rules are in the request's struct.
func described(text string) *openapi.Schema { return &openapi.Schema{Description: text} }

func typed(kind, text string) *openapi.Schema {
	return &openapi.Schema{Type: openapi.Types{kind}, Description: text}
}

func textSchema(text string) *openapi.Schema { return typed(openapi.String, text) }

func boolSchema(text string) *openapi.Schema { return typed(openapi.Boolean, text) }

func integerSchema(text string) *openapi.Schema {
	s := typed(openapi.Integer, text)
	s.Format = "int64"
	return s
}

func idSchema(text string) *openapi.Schema {
	s := integerSchema(text)
	s.Minimum = new(int64(1))
	return s
}

func formatted(format, text string) *openapi.Schema {
	s := textSchema(text)
	s.Format = format
	return s
}

func timeSchema(text string) *openapi.Schema { return formatted("date-time", text) }

func urlSchema(text string) *openapi.Schema { return formatted("uri", text) }

// addressSchema is an e-mail address, whose domain may be of any script.
func addressSchema(text string) *openapi.Schema {
	s := formatted("idn-email", text)
	s.MaxLength = new(int64(254))
	return s
}

// newPasswordSchema is a password within the limits that the services keep.
func newPasswordSchema() *openapi.Schema {
	return within(services.MinPasswordChars, services.MaxPasswordChars,
		formatted("password", "Not one of the 20,000 most used, and without the name or the address in it."))
}

func listSchema(items *openapi.Schema, text string) *openapi.Schema {
	s := typed(openapi.Array, text)
	s.Items = items
	return s
}

func choiceSchema(text string, words ...string) *openapi.Schema {
	s := textSchema(text)
	s.Enum = anyOf(words)
	return s
}

// nullable lets null stand in the place of a value.
func nullable(s *openapi.Schema) *openapi.Schema {
	s.Type = append(slices.Clone(s.Type), openapi.Null)
	if s.Enum != nil {
		s.Enum = append(slices.Clone(s.Enum), nil)
	}
	return s
}

// withDefault tells what a member is that is absent from a new resource.
func withDefault(value any, s *openapi.Schema) *openapi.Schema {
	s.Default = value
	return s
}

// within bounds the length of a text.
func within(low, high int64, s *openapi.Schema) *openapi.Schema {
	s.MinLength, s.MaxLength = new(low), new(high)
	return s
}

func anyOf(words []string) []any {
	list := make([]any, len(words))
	for i, word := range words {
		list[i] = word
	}
	return list
}

// schemas gives what is known of each member, by name.
func schemas[T any](members []member[T]) openapi.Properties {
	list := make(openapi.Properties, len(members))
	for i, m := range members {
		list[i] = openapi.Property{Name: m.name, Schema: m.schema}
	}
	return list
}

// resourceSchema describes an answer by its members, and those that a request
// has too by the request's struct. optional names those that not everybody sees.
func resourceSchema[R, T any](title, text string, members []member[T], optional ...string) *openapi.Schema {
	s := objectSchema(title, text)
	sent := requestSchema[R]("", "").Properties
	for _, p := range schemas(members) {
		property := *p.Schema
		if rules := sent.Get(p.Name); rules != nil {
			property = *merge(rules, p.Schema)
		} else {
			property.ReadOnly = true
		}
		property.Default = nil
		s.Properties = append(s.Properties, openapi.Property{Name: p.Name, Schema: &property})
		if !slices.Contains(optional, p.Name) {
			s.Required = append(s.Required, p.Name)
		}
	}
	return s
}

// partsOf describes a resource of which only some members may be there.
func partsOf(title, text string, resource *openapi.Schema) *openapi.Schema {
	s := *resource
	s.Title, s.Description, s.Required = title, text, nil
	return &s
}

// objectSchema is an object without members that are not described.
func objectSchema(title, text string) *openapi.Schema {
	s := typed(openapi.Object, text)
	s.Title, s.AdditionalProperties = title, false
	return s
}

// requestSchema describes a body by its struct of Opts, in the order of the
// resource's members. Those that only the resource has may be sent back, and are
// ignored.
func requestSchema[R any](title, text string, resource ...openapi.Property) *openapi.Schema {
	s := objectSchema(title, text)
	sent := openapi.Properties{}
	t := reflect.TypeFor[R]()
	for _, m := range membersOf(new(R)) {
		sent = append(sent, openapi.Property{Name: m.name, Schema: memberSchema(t.Field(m.index), m)})
		if m.required {
			s.Required = append(s.Required, m.name)
		}
	}
	members := openapi.Properties(resource)
	for _, p := range members {
		property := *p.Schema
		if rules := sent.Get(p.Name); rules != nil {
			property = *merge(rules, p.Schema)
		} else {
			property.ReadOnly = true
		}
		s.Properties = append(s.Properties, openapi.Property{Name: p.Name, Schema: &property})
	}
	for _, p := range sent {
		if members.Get(p.Name) == nil {
			s.Properties = append(s.Properties, p)
		}
	}
	return s
}

// patchSchema is requestSchema where nothing is required and what is absent stays.
func patchSchema[R any](title, text string, resource ...openapi.Property) *openapi.Schema {
	s := requestSchema[R](title, text, resource...)
	s.Required = nil
	for _, p := range s.Properties {
		p.Schema.Default = nil
	}
	return s
}

// allRequired is a body under another name, of which all members have to be there.
func allRequired(title, text string, s *openapi.Schema) *openapi.Schema {
	out := *s
	out.Title, out.Description, out.Required = title, text, nil
	for _, p := range s.Properties {
		out.Required = append(out.Required, p.Name)
	}
	return &out
}

// merge adds to a member's rules what is said of it in its resource; what they say
// themselves comes first.
func merge(rules, said *openapi.Schema) *openapi.Schema {
	s := *rules
	s.Title, s.Description, s.Default = said.Title, cmp.Or(rules.Description, said.Description), said.Default
	if said.Format != "" {
		s.Format = said.Format
	}
	if said.MinLength != nil || said.MaxLength != nil {
		s.MinLength, s.MaxLength = said.MinLength, said.MaxLength
	}
	if said.Pattern != "" {
		s.Pattern = said.Pattern
	}
	if said.Items != nil {
		s.Items = said.Items
	}
	return &s
}

// memberSchema describes a field of a request's struct by its tags. rules and
// format have what only the service checks.
func memberSchema(f reflect.StructField, m bodyMember) *openapi.Schema {
	value, _ := f.Type.FieldByName("Value") // of an Opt
	var s *openapi.Schema
	switch value.Type {
	case reflect.TypeFor[newPassword]():
		return newPasswordSchema()
	case reflect.TypeFor[timestamp]():
		s = timeSchema("")
	default:
		s = openapi.OfType(value.Type)
	}
	s.Bound(m.rules)
	s.Describe(f.Tag)
	if m.nullable {
		nullable(s)
	}
	return s
}
