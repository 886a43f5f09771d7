package routes

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"dueto/openapi"
)

// What OPTIONS answers is described by hand, for a field may have one of its own
// kind: each member is there, with its type, and required where it is not left
// out.
func TestMetadata_IsDescribedAsItIsWritten(t *testing.T) {
	t.Parallel()
	choices := fieldSchema().Properties.Get("choices").Items
	for _, c := range []struct {
		of     reflect.Type
		schema *openapi.Schema
	}{
		{reflect.TypeFor[metadata](), metadataSchema()},
		{reflect.TypeFor[field](), fieldSchema()},
		{reflect.TypeFor[choice](), choices},
	} {
		var names, required []string
		for f := range c.of.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			names = append(names, name)
			if options == "" {
				required = append(required, name)
			}
			if s := c.schema.Properties.Get(name); s == nil || !describes(s, f.Type) {
				t.Errorf("%s.%s is described as %+v", c.of.Name(), name, s)
			}
		}
		if len(c.schema.Properties) != len(names) || !slices.Equal(c.schema.Required, required) {
			t.Errorf("%s has %v, of which are required %v; described are %d, required %v", c.of.Name(), names, required, len(c.schema.Properties), c.schema.Required)
		}
	}
}

// describes reports whether a schema has the type that a value is written as.
func describes(s *openapi.Schema, t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[map[string]fields](): // fields are an object
		return s.Type.Has(openapi.Object)
	case reflect.TypeFor[*field]():
		return s.Ref == "#/components/schemas/Field"
	case reflect.TypeFor[any](): // the words of a choice
		return s.Type.Has(openapi.String)
	case reflect.TypeFor[[]choice]():
		return s.Type.Has(openapi.Array)
	}
	return slices.Equal(s.Type, openapi.OfType(t).Type)
}
