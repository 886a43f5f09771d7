// Package openapi has the parts of an OpenAPI 3.1 document (spec.openapis.org/oas/v3.1.1)
// that this API needs, as values that marshal to the same JSON each time.
package openapi

import (
	"bytes"
	"encoding/json"
)

// The types of JSON values, for Schema.Type.
const (
	String  = "string"
	Integer = "integer"
	Boolean = "boolean"
	Array   = "array"
	Object  = "object"
	Null    = "null"
)

// Schema says what a JSON value must be (JSON Schema 2020-12).
type Schema struct {
	// Ref points to a component; beside it only Description counts.
	Ref         string `json:"$ref,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Type        Types  `json:"type,omitempty"`
	Format      string `json:"format,omitempty"` // date-time, uri, email, password, ...
	Pattern     string `json:"pattern,omitempty"`
	Const       any    `json:"const,omitempty"`
	Enum        []any  `json:"enum,omitempty"`
	MinLength   *int64 `json:"minLength,omitempty"` // in characters
	MaxLength   *int64 `json:"maxLength,omitempty"`
	Minimum     *int64 `json:"minimum,omitempty"`
	Maximum     *int64 `json:"maximum,omitempty"`
	MinItems    *int64 `json:"minItems,omitempty"`
	MaxItems    *int64 `json:"maxItems,omitempty"`

	Items      *Schema    `json:"items,omitempty"`
	Properties Properties `json:"properties,omitempty"`
	Required   []string   `json:"required,omitempty"`
	// AdditionalProperties is a *Schema, or a bool, or nil for whatever else.
	AdditionalProperties any       `json:"additionalProperties,omitempty"`
	OneOf                []*Schema `json:"oneOf,omitempty"`
	AllOf                []*Schema `json:"allOf,omitempty"`

	Default  any   `json:"default,omitempty"`
	Examples []any `json:"examples,omitempty"`
	ReadOnly bool  `json:"readOnly,omitempty"`
}

// Types are the types that a value may have: one, or with null.
type Types []string

// MarshalJSON writes one type as a text and several as a list.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// Property is a member of an object.
type Property struct {
	Name   string
	Schema *Schema
}

// Properties are the members of an object, in the order in which they are
// shown to people.
type Properties []Property

// MarshalJSON writes an object that keeps the order.
func (p Properties) MarshalJSON() ([]byte, error) {
	members := make(Ordered, len(p))
	for i, property := range p {
		members[i] = Member{property.Name, property.Schema}
	}
	return members.MarshalJSON()
}

// Member is a member of an Ordered object.
type Member struct {
	Name  string
	Value any
}

// Ordered is a JSON object whose members come in an order of their own.
type Ordered []Member

// MarshalJSON writes the members in their order.
func (o Ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.Value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Get gives a member's schema, or nil.
func (p Properties) Get(name string) *Schema {
	for _, property := range p {
		if property.Name == name {
			return property.Schema
		}
	}
	return nil
}

// Has reports whether a value may be of a type.
func (t Types) Has(name string) bool {
	for _, have := range t {
		if have == name {
			return true
		}
	}
	return false
}
