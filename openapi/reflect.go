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

// OfType describes what encoding/json writes of a type.
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
	default:
		return &Schema{Type: Types{String}}
	}
}

func ofStruct(t reflect.Type) *Schema {
	s := &Schema{Type: Types{Object}, AdditionalProperties: false}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
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
// the items.
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
		}
	}
}

func (s *Schema) limit(rule, value string) {
	bound, err := strconv.ParseInt(value, 10, 64)
	if err != nil || len(s.Type) == 0 {
		return
	}
	limits := map[string][2]**int64{
		String:  {&s.MinLength, &s.MaxLength},
		Integer: {&s.Minimum, &s.Maximum},
		Array:   {&s.MinItems, &s.MaxItems},
	}
	if pair, ok := limits[s.Type[0]]; ok && rule == "min" {
		*pair[0] = &bound
	} else if ok {
		*pair[1] = &bound
	}
}
