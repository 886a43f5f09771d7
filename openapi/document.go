package openapi

// Version is the version of the specification that documents are written in.
const Version = "3.1.1"

// Document describes an API.
type Document struct {
	OpenAPI    string              `json:"openapi"`
	Info       Info                `json:"info"`
	Servers    []Server            `json:"servers,omitempty"`
	Tags       []Tag               `json:"tags,omitempty"`
	Security   []Requirement       `json:"security,omitempty"`
	Paths      map[string]PathItem `json:"paths"`
	Components Components          `json:"components,omitzero"`
}

// Info says what the API is.
type Info struct {
	Title       string   `json:"title"`
	Summary     string   `json:"summary,omitempty"`
	Description string   `json:"description,omitempty"`
	Version     string   `json:"version"`
	License     *License `json:"license,omitempty"`
}

// License names the licence of the API.
type License struct {
	Name       string `json:"name"`
	Identifier string `json:"identifier,omitempty"` // of SPDX
}

// Server is where the API is.
type Server struct {
	URL         string `json:"url"`
	Description string `json:"description,omitempty"`
}

// Tag groups operations.
type Tag struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// Requirement names security schemes that are needed together, with no scopes;
// an empty one is none.
type Requirement map[string][]string

// PathItem has the operations of a path, by method in lower case.
type PathItem map[string]*Operation

// Operation is a method of a path.
type Operation struct {
	ID          string              `json:"operationId"`
	Tags        []string            `json:"tags,omitempty"`
	Summary     string              `json:"summary,omitempty"`
	Description string              `json:"description,omitempty"`
	Parameters  []Parameter         `json:"parameters,omitempty"`
	RequestBody *RequestBody        `json:"requestBody,omitempty"`
	Responses   map[string]Response `json:"responses"` // by status
	// Security lists what is enough, each by itself; a nil one is the document's.
	Security []Requirement `json:"security,omitzero"`
}

// Parameter is one of the path, the query or the headers.
type Parameter struct {
	Ref         string  `json:"$ref,omitempty"`
	Name        string  `json:"name,omitempty"`
	In          string  `json:"in,omitempty"` // path, query, header or cookie
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *Schema `json:"schema,omitempty"`
	Example     any     `json:"example,omitempty"`
}

// RequestBody is what a request may carry, by media type.
type RequestBody struct {
	Description string           `json:"description,omitempty"`
	Required    bool             `json:"required,omitempty"`
	Content     map[string]Media `json:"content"`
}

// Media is a body of one type.
type Media struct {
	Schema   *Schema  `json:"schema,omitempty"`
	Examples Examples `json:"examples,omitempty"`
}

// Example is a value as it is really sent.
type Example struct {
	Ref     string `json:"$ref,omitempty"`
	Summary string `json:"summary,omitempty"`
	Value   any    `json:"value,omitempty"`
}

// NamedExample is an example of a body.
type NamedExample struct {
	Name    string
	Example Example
}

// Examples are those of a body. The first is what tools show, and fill in.
type Examples []NamedExample

// Set puts an example at the end, or in place of the one of its name.
func (e *Examples) Set(name string, example Example) {
	for i := range *e {
		if (*e)[i].Name == name {
			(*e)[i].Example = example
			return
		}
	}
	*e = append(*e, NamedExample{name, example})
}

// MarshalJSON writes an object that keeps the order.
func (e Examples) MarshalJSON() ([]byte, error) {
	members := make(Ordered, len(e))
	for i, named := range e {
		members[i] = Member{named.Name, named.Example}
	}
	return members.MarshalJSON()
}

// Response is an answer.
type Response struct {
	Ref         string            `json:"$ref,omitempty"`
	Description string            `json:"description,omitempty"`
	Headers     map[string]Header `json:"headers,omitempty"`
	Content     map[string]Media  `json:"content,omitempty"`
}

// Header is a field of an answer.
type Header struct {
	Ref         string  `json:"$ref,omitempty"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *Schema `json:"schema,omitempty"`
}

// SecurityScheme is a way to say who is asking.
type SecurityScheme struct {
	Type         string `json:"type"`
	Scheme       string `json:"scheme,omitempty"`
	BearerFormat string `json:"bearerFormat,omitempty"`
	In           string `json:"in,omitempty"`
	Name         string `json:"name,omitempty"`
	Description  string `json:"description,omitempty"`
}

// Components are the parts that others point to.
type Components struct {
	Schemas         map[string]*Schema        `json:"schemas,omitempty"`
	Responses       map[string]Response       `json:"responses,omitempty"`
	Headers         map[string]Header         `json:"headers,omitempty"`
	SecuritySchemes map[string]SecurityScheme `json:"securitySchemes,omitempty"`
}
