package openapi

import (
	"reflect"
	"strconv"
	"strings"
)

// Of describes what encoding/json writes of a struct: all members are there but
// those with omitempty. The tag doc says what a member is, format and rules how
// it is bounded.
func Of[T any](title, text string) *Schema {
	s := OfType(reflect.TypeFor[T]())
	s.Title, s.Description = title, text
	return s
}

// OfType describes what encoding/json writes of a type. It panics on one that it
// does not know: types are written down in the program.
func OfType(t reflect.Type) *Schema {
	switch t.Kind() {
	case reflect.Pointer:
		return OfType(t.Elem())
	case reflect.Bool:
		return &Schema{Type: Types{Boolean}}
	case reflect.Int64:
		return &Schema{Type: Types{Integer}, Format: "int64"}
	case reflect.Int:
		return &Schema{Type: Types{Integer}}
	case reflect.Slice:
		return &Schema{Type: Types{Array}, Items: OfType(t.Elem())}
	case reflect.Map:
		return &Schema{Type: Types{Object}, AdditionalProperties: OfType(t.Elem())}
	case reflect.Struct:
		return ofStruct(t)
	case reflect.String:
		return &Schema{Type: Types{String}}
	default:
		panic("openapi: there is no schema for " + t.String())
	}
}

func ofStruct(t reflect.Type) *Schema {
	s := &Schema{Type: Types{Object}, AdditionalProperties: false}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch name {
		case "-":
			continue
		case "":
			panic("openapi: " + t.String() + "." + f.Name + " has no name in JSON")
		}
		member := OfType(f.Type)
		member.Describe(f.Tag)
		s.Properties = append(s.Properties, Property{Name: name, Schema: member})
		if options == "" {
			s.Required = append(s.Required, name)
		}
	}
	return s
}

// Describe adds what the tags of a struct's field say: doc, format and rules.
func (s *Schema) Describe(tag reflect.StructTag) {
	s.Description = tag.Get("doc")
	if format := tag.Get("format"); format != "" {
		s.Format = format
	}
	s.Bound(tag.Get("rules"))
}

// Bound adds rules as a validator has them: min and max, of a text its length
// and of a list the number of its items; oneof; and dive, after which they are of
// the items. required is for the object to say. It panics on rules that it does
// not know, so that none is left out unnoticed.
func (s *Schema) Bound(rules string) {
	for rule := range strings.SplitSeq(rules, ",") {
		name, value, _ := strings.Cut(rule, "=")
		switch name {
		case "dive":
			s = s.Items
		case "oneof":
			for _, word := range strings.Fields(value) {
				s.Enum = append(s.Enum, word)
			}
		case "min", "max":
			s.limit(name, value)
		case "", "required":
		default:
			panic("openapi: the rule " + rule + " is not known")
		}
	}
}

func (s *Schema) limit(rule, value string) {
	bound, err := strconv.ParseInt(value, 10, 64)
	limits := map[string][2]**int64{
		String:  {&s.MinLength, &s.MaxLength},
		Integer: {&s.Minimum, &s.Maximum},
		Array:   {&s.MinItems, &s.MaxItems},
	}
	pair, ok := limits[strings.Join(s.Type, " ")]
	switch {
	case err != nil || !ok:
		panic("openapi: " + rule + "=" + value + " bounds no " + strings.Join(s.Type, " "))
	case rule == "min":
		*pair[0] = &bound
	default:
		*pair[1] = &bound
	}
}
