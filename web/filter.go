package web

import (
	"net/url"
	"strconv"
	"strings"
)

// filter gives the form by which a list is asked for in another way, filled with
// what the query has. Where in the list one is belongs to the list as it is.
func filter(v View, path string) *formView {
	values, _ := url.ParseQuery(v.Query) // what is not well-formed is not there
	form := formView{ID: "form-filter", Action: path}
	for _, p := range v.Parameters {
		if p.Name == "cursor" || p.Name == "page" {
			continue
		}
		made := queryField("filter-", p)
		if value := values.Get(p.Name); value != "" {
			made.fill(strings.ToValidUTF8(value, "\ufffd"))
		}
		form.Fields = append(form.Fields, made)
	}
	if len(form.Fields) == 0 {
		return nil
	}
	return &form
}

// fill puts in what a query has, whether or not it is good.
func (f *field) fill(value string) {
	f.Value = value
	if f.Kind == kindBoolean {
		if truth, err := strconv.ParseBool(value); err == nil {
			f.Value = strconv.FormatBool(truth)
		}
	}
	if _, err := strconv.ParseInt(value, 10, 64); err != nil && f.Type == "number" {
		f.Type = "text" // an input for numbers would be empty
	}
	if len(f.Options) == 0 {
		return
	}
	known := false
	for i := range f.Options {
		f.Options[i].Selected = f.Options[i].Value == f.Value
		known = known || f.Options[i].Selected
	}
	if !known {
		f.Options = append(f.Options, option{Value: value, Label: value, Selected: true})
	}
}
