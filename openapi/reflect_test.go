package openapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestOfType_DescribesWhatJSONHas(t *testing.T) {
	t.Parallel()
	type thing struct {
		Name   string           `json:"name" rules:"min=1,max=9" doc:"A name."`
		Count  *int64           `json:"count" rules:"min=0"`
		Kinds  []string         `json:"kinds,omitempty" rules:"max=2,dive,oneof=a b"`
		Parts  map[string][]int `json:"parts"`
		Hidden func()           `json:"-"`
	}
	want := `{"type":"object","properties":{` +
		`"name":{"description":"A name.","type":"string","minLength":1,"maxLength":9},` +
		`"count":{"type":"integer","format":"int64","minimum":0},` +
		`"kinds":{"type":"array","maxItems":2,"items":{"type":"string","enum":["a","b"]}},` +
		`"parts":{"type":"object","additionalProperties":{"type":"array","items":{"type":"integer"}}}},` +
		`"required":["name","count","parts"],"additionalProperties":false}`
	if got, err := json.Marshal(OfType(reflect.TypeFor[thing]())); err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

func TestOfType_RefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value any
		named string
	}{
		{1.5, "float64"},
		{[]any{}, "interface"},
		{struct {
			F func() `json:"f"`
		}{}, "func()"},
		{struct{ Name string }{}, "Name"},
		{struct {
			Name string `json:"name" rules:"min=1,email"`
		}{}, "email"},
		{struct {
			Name string `json:"name" rules:"min=few"`
		}{}, "min=few"},
		{struct {
			Done bool `json:"done" rules:"max=1"`
		}{}, "boolean"},
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, c.named) {
					t.Errorf("%T: want a refusal that names %s, have %q", c.value, c.named, text)
				}
			}()
			OfType(reflect.TypeOf(c.value))
		}()
	}
}
