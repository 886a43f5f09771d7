package routes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"dueto/handlers"
	"dueto/openapi"
)

// metadata is what OPTIONS answers, in the form of Django REST Framework's.
type metadata struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Renders     []string `json:"renders"`
	Parses      []string `json:"parses"`
	// Actions has the fields of the bodies, by method.
	Actions map[string]fields `json:"actions,omitempty"`
}

// field is a member of a body.
type field struct {
	Name      string   `json:"-"`
	Type      string   `json:"type"`
	Required  bool     `json:"required"`
	ReadOnly  bool     `json:"read_only"`
	Label     string   `json:"label,omitempty"`
	HelpText  string   `json:"help_text,omitempty"`
	Nullable  bool     `json:"nullable,omitempty"`
	MinLength *int64   `json:"min_length,omitempty"`
	MaxLength *int64   `json:"max_length,omitempty"`
	MinValue  *int64   `json:"min_value,omitempty"`
	MaxValue  *int64   `json:"max_value,omitempty"`
	Child     *field   `json:"child,omitempty"`
	Choices   []choice `json:"choices,omitempty"`
}

// choice is a value that a field may have.
type choice struct {
	Value       any    `json:"value"`
	DisplayName string `json:"display_name"`
}

// fields keep their order in JSON.
type fields []field

// MarshalJSON writes an object.
func (list fields) MarshalJSON() ([]byte, error) {
	members := make(openapi.Ordered, len(list))
	for i, f := range list {
		members[i] = openapi.Member{Name: f.Name, Value: f}
	}
	return members.MarshalJSON()
}

// describe gives what OPTIONS answers for a path of the table.
func describe(table []Route, path string) []byte {
	m := metadata{Renders: []string{}, Parses: []string{}, Actions: map[string]fields{}}
	add := func(list *[]string, media string) {
		if !slices.Contains(*list, media) {
			*list = append(*list, media)
		}
	}
	for _, route := range table {
		if route.Path != path {
			continue
		}
		if m.Name == "" {
			m.Name, m.Description = route.Summary, route.Does.Text
		}
		for _, answer := range route.Does.Answers {
			if answer.Body != nil {
				add(&m.Renders, answer.MediaType())
			}
		}
		if route.Does.Paged || browsable(route) {
			add(&m.Renders, mediaHTML)
		}
		if route.Does.Body != nil {
			add(&m.Parses, route.Does.BodyMediaType())
		}
	}
	for method, body := range bodies(table, path) {
		m.Actions[method] = fieldsOf(body)
	}
	encoded, err := json.Marshal(m)
	if err != nil {
		panic(err) // of texts and numbers: cannot fail
	}
	return append(encoded, '\n')
}

const mediaHTML = "text/html"

// browsable reports whether the JSON of a route is shown as a page to those who
// like that better.
func browsable(route Route) bool {
	return (route.Method == http.MethodGet || route.Method == http.MethodHead) && !route.Does.Plain && !route.Does.Paged
}

func fieldsOf(body *openapi.Schema) fields {
	list := make(fields, len(body.Properties))
	for i, p := range body.Properties {
		list[i] = fieldOf(p.Schema)
		list[i].Name, list[i].Label = p.Name, label(p.Name)
		list[i].Required = slices.Contains(body.Required, p.Name)
	}
	return list
}

// label makes words of a name: "Due to" of due_to.
func label(name string) string {
	return strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "_", " ")
}

func fieldOf(s *openapi.Schema) field {
	f := field{
		Type: fieldType(s), ReadOnly: s.ReadOnly, HelpText: s.Description, Nullable: s.Type.Has(openapi.Null),
		MinLength: s.MinLength, MaxLength: s.MaxLength, MinValue: s.Minimum, MaxValue: s.Maximum,
	}
	for _, value := range s.Enum {
		if value != nil {
			f.Choices = append(f.Choices, choice{value, fmt.Sprint(value)})
		}
	}
	if s.Items != nil {
		child := fieldOf(s.Items)
		child.Required = true
		f.Child, f.MinLength, f.MaxLength = &child, s.MinItems, s.MaxItems
	}
	return f
}

// fieldType gives the framework's word for a type.
func fieldType(s *openapi.Schema) string {
	switch {
	case s.Enum != nil:
		return "choice"
	case s.Format == "date-time":
		return "datetime"
	case s.Format == "idn-email":
		return "email"
	case s.Format == "uri":
		return "url"
	case s.Type[0] == openapi.Array:
		return "list"
	default:
		return s.Type[0]
	}
}

// optionsDoes describes every OPTIONS.
var optionsDoes = handlers.Operation{Answers: []handlers.Answer{{
	Status: http.StatusOK, Text: "What the path takes and gives.", Body: metadataSchema(), Headers: []string{"Allow"},
}}}

func metadataSchema() *openapi.Schema {
	list := func(text string) *openapi.Schema {
		return &openapi.Schema{Type: openapi.Types{openapi.Array}, Items: &openapi.Schema{Type: openapi.Types{openapi.String}}, Description: text}
	}
	return &openapi.Schema{
		Title: "Metadata", Description: "What a path takes and gives, as Django REST Framework tells it.",
		Type: openapi.Types{openapi.Object}, AdditionalProperties: false, Required: []string{"name", "description", "renders", "parses"},
		Properties: openapi.Properties{
			{Name: "name", Schema: &openapi.Schema{Type: openapi.Types{openapi.String}}},
			{Name: "description", Schema: &openapi.Schema{Type: openapi.Types{openapi.String}}},
			{Name: "renders", Schema: list("The media types of its answers.")},
			{Name: "parses", Schema: list("The media types of its bodies.")},
			{Name: "actions", Schema: &openapi.Schema{
				Type: openapi.Types{openapi.Object}, Description: "The members of its bodies, by method and name.",
				AdditionalProperties: &openapi.Schema{Type: openapi.Types{openapi.Object}, AdditionalProperties: fieldSchema()},
			}},
		},
	}
}

// fieldSchema describes a field.
func fieldSchema() *openapi.Schema {
	typed := func(kind string) *openapi.Schema { return &openapi.Schema{Type: openapi.Types{kind}} }
	return &openapi.Schema{
		Title: "Field", Description: "A member of a body.",
		Type: openapi.Types{openapi.Object}, AdditionalProperties: false, Required: []string{"type", "required", "read_only"},
		Properties: openapi.Properties{
			{Name: "type", Schema: &openapi.Schema{
				Type: openapi.Types{openapi.String},
				Enum: []any{"boolean", "choice", "datetime", "email", "integer", "list", "string", "url"},
			}},
			{Name: "required", Schema: typed(openapi.Boolean)}, {Name: "read_only", Schema: typed(openapi.Boolean)},
			{Name: "label", Schema: typed(openapi.String)}, {Name: "help_text", Schema: typed(openapi.String)},
			{Name: "nullable", Schema: typed(openapi.Boolean)},
			{Name: "min_length", Schema: typed(openapi.Integer)}, {Name: "max_length", Schema: typed(openapi.Integer)},
			{Name: "min_value", Schema: typed(openapi.Integer)}, {Name: "max_value", Schema: typed(openapi.Integer)},
			{Name: "child", Schema: &openapi.Schema{Ref: "#/components/schemas/Field"}},
			{Name: "choices", Schema: &openapi.Schema{Type: openapi.Types{openapi.Array}, Items: &openapi.Schema{
				Title: "Choice", Type: openapi.Types{openapi.Object}, AdditionalProperties: false, Required: []string{"value", "display_name"},
				Properties: openapi.Properties{{Name: "value", Schema: typed(openapi.String)}, {Name: "display_name", Schema: typed(openapi.String)}},
			}}},
		},
	}
}
