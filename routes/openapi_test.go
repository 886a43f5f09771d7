package routes

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"dueto/middleware"
	"dueto/openapi"
)

// A title is the name of a component: two schemas that share one are the same.
func TestSchemas_OfOneTitleAreTheSame(t *testing.T) {
	t.Parallel()
	known := map[string]string{}
	var look func(s *openapi.Schema)
	look = func(s *openapi.Schema) {
		if s == nil {
			return
		}
		if s.Title != "" {
			text, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := known[s.Title]; ok && other != string(text) {
				t.Errorf("there are two schemas called %s: %s and %s", s.Title, other, text)
			}
			known[s.Title] = string(text)
		}
		look(s.Items)
		for _, p := range s.Properties {
			look(p.Schema)
		}
		for _, one := range slices.Concat(s.OneOf, s.AllOf) {
			look(one)
		}
		more, _ := s.AdditionalProperties.(*openapi.Schema)
		look(more)
	}
	for _, route := range withImplied(Table()) {
		look(route.Does.Body)
		for _, answer := range route.Does.Answers {
			look(answer.Body)
		}
	}
	if len(known) < 20 || known["Task"] == "" {
		t.Errorf("%d schemas have a title", len(known))
	}
}

func TestOtherType_TakesTheSameAnswerInAnotherTypeOnly(t *testing.T) {
	t.Parallel()
	answer := func(text, header, media string) openapi.Response {
		r := openapi.Response{Description: text, Headers: headerRefs([]string{header})}
		if media != "" {
			r.Content = map[string]openapi.Media{media: {}}
		}
		return r
	}
	first := answer("The file.", "ETag", "text/css")
	both := otherType("asset_read 200", first, answer("The file.", "ETag", "text/javascript"))
	if len(both.Content) != 2 || len(first.Content) != 1 {
		t.Errorf("both have %v, the first has %v", both.Content, first.Content)
	}
	for name, second := range map[string]openapi.Response{
		"another text":   answer("A file.", "ETag", "text/javascript"),
		"another header": answer("The file.", "Link", "text/javascript"),
		"the same type":  answer("The file.", "ETag", "text/css"),
		"no body":        answer("The file.", "ETag", ""),
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "asset_read 200") {
					t.Errorf("%s: taken, or refused with %q", name, text)
				}
			}()
			otherType("asset_read 200", first, second)
		}()
	}
}

func TestRefusals_AreExplainedAndNamed(t *testing.T) {
	t.Parallel()
	d := &describer{}
	for _, route := range withImplied(Table()) {
		for status, codes := range d.refusals(route) {
			if len(codes) > 1 && refusalNames[refusalKey(codes)] == "" {
				t.Errorf("%s: %d with %v has no name", route.ID, status, codes)
			}
			for _, code := range codes {
				if meaning[code] == "" || middleware.Status(code) != status {
					t.Errorf("%s: %s is not explained, or is no %d", route.ID, code, status)
				}
			}
		}
	}
}

func TestTags_AreOfTheirRoutesAndShown(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, route := range withImplied(Table()) {
		used[tagOf(route)] = true
	}
	for _, tag := range tags {
		if !used[tag.Name] {
			t.Errorf("nothing is in the group %s", tag.Name)
		}
		delete(used, tag.Name)
	}
	for name := range used {
		t.Errorf("the group %s is not described", name)
	}
	defer func() {
		if recover() == nil {
			t.Error("a route of no group has one")
		}
	}()
	tagOf(Route{ID: "things_list", Method: get, Path: "/things"})
}
