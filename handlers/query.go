package handlers

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"dueto/models"
	"dueto/openapi"
	"dueto/services"
)

const (
	invalidQuery = "The query is not valid."
	blank        = "This field may not be blank."
	required     = "This field is required."
)

// AnyQuery stands for the parameters of links in mail, to which mail programs
// and trackers add what they like.
var AnyQuery = []Param{{Name: "*"}}

// TakesAny reports whether parameters are those of AnyQuery.
func TakesAny(params []Param) bool { return len(params) == 1 && params[0].Name == "*" }

// CheckQuery refuses parameters that a route does not have, and any that is
// there twice. shown says that pages show what the route answers: a format that
// has been left in the query is none that there is.
func CheckQuery(params []Param, shown bool) Func {
	known, takesAny := make([]string, len(params)), TakesAny(params)
	for i, p := range params {
		known[i] = p.Name
	}
	return func(c *gin.Context) error {
		if c.Request.URL.RawQuery == "" || takesAny {
			return nil
		}
		values, err := url.ParseQuery(c.Request.URL.RawQuery)
		if err != nil {
			return malformed("The query string is not well-formed.")
		}
		fields := services.Fields{}
		for name, list := range values {
			switch {
			case fields.Full():
			case name == "format" && shown && !slices.Contains(known, name):
				fields.Add(name, "Give json or html, once.")
			case !slices.Contains(known, name):
				fields.Add(clip(strings.ToValidUTF8(name, "\ufffd")), unknown("There is no such parameter", name, known))
			case len(list) > 1:
				fields.Add(name, "This parameter is there more than once.")
			case !utf8.ValidString(list[0]) || strings.ContainsRune(list[0], 0):
				fields.Add(name, "This is not valid text.")
			}
		}
		return fields.Err(invalidQuery)
	}
}

// query reads the parameters of a request, within the bounds that their schemas
// have, and collects what is wrong with them.
type query struct {
	values url.Values
	params []Param
	read   uint64 // of params, by their places
	fields services.Fields
}

// newQuery begins to read the parameters that an operation has.
func newQuery(c *gin.Context, params []Param) *query {
	return &query{values: c.Request.URL.Query(), params: params, fields: services.Fields{}}
}

// err gives all that is wrong, once everything is read. A parameter that is
// described and not read would do nothing, without a word to the client.
func (q *query) err() error {
	for i, p := range q.params {
		if q.read&(1<<i) == 0 {
			panic("the parameter " + p.Name + " is described, and never read")
		}
	}
	return q.fields.Err(invalidQuery)
}

// has reports whether there is a parameter of a name.
func (q *query) has(name string) bool { return q.place(name) >= 0 }

func (q *query) place(name string) int {
	return slices.IndexFunc(q.params, func(p Param) bool { return p.Name == name })
}

// schema gives what a parameter must be, and notes that it is read.
func (q *query) schema(name string) *openapi.Schema {
	i := q.place(name)
	if i < 0 {
		panic("the parameter " + name + " is read, and not described")
	}
	q.read |= 1 << i
	return q.params[i].Schema
}

// text gives a parameter, if it is there, and its schema.
func (q *query) text(name string) (string, *openapi.Schema, bool) {
	schema := q.schema(name)
	if list, ok := q.values[name]; ok {
		return list[0], schema, true
	}
	return "", schema, false
}

// number gives an integer within its bounds, or nil.
func (q *query) number(name string) *int64 { return q.numberBelow(name, "") }

// numberBelow is number with a complaint of one's own about what is too much.
func (q *query) numberBelow(name, tooMuch string) *int64 {
	text, schema, ok := q.text(name)
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		q.fields.Add(name, "A valid integer is required.")
	case schema.Minimum != nil && n < *schema.Minimum:
		q.fields.Add(name, "Ensure this value is greater than or equal to "+strconv.FormatInt(*schema.Minimum, 10)+".")
	case schema.Maximum != nil && n > *schema.Maximum:
		q.fields.Add(name, cmp.Or(tooMuch, "Ensure this value is less than or equal to "+strconv.FormatInt(*schema.Maximum, 10)+"."))
	default:
		return &n
	}
	return nil
}

func (q *query) bool(name string) *bool {
	text, _, ok := q.text(name)
	if !ok {
		return nil
	}
	switch strings.ToLower(text) {
	case "true", "1":
		return new(true)
	case "false", "0":
		return new(false)
	}
	q.fields.Add(name, "Must be true or false.")
	return nil
}

func (q *query) time(name string) *timestamp {
	text, _, ok := q.text(name)
	if !ok {
		return nil
	}
	var t timestamp
	if err := t.parse(text); err != nil {
		q.fields.Add(name, err.Error()+" In a URL, + is written %2B.")
		return nil
	}
	return &t
}

// choice gives one of the words that there are, or "" where the parameter is
// absent or wrong.
func (q *query) choice(name string) string {
	text, schema, ok := q.text(name)
	if ok && !slices.Contains(schema.Enum, any(text)) {
		q.fields.Add(name, "This is not a valid choice. There are: "+strings.Trim(strings.ReplaceAll(fmt.Sprint(schema.Enum), " ", ", "), "[]")+".")
		return ""
	}
	return text
}

// order reads a comma-separated list of sort keys, each with "-" for descending.
func (q *query) order(keys []string) models.Order {
	text, _, ok := q.text("ordering")
	if ok && text == "" {
		q.fields.Add("ordering", blank)
	}
	if text == "" {
		return nil
	}
	var order models.Order
	for part := range strings.SplitSeq(text, ",") {
		name, desc := strings.CutPrefix(strings.TrimSpace(part), "-")
		switch {
		case !slices.Contains(keys, name):
			q.fields.Add("ordering", unknown("There is no such key", name, keys))
			return nil
		case slices.ContainsFunc(order, func(k models.SortKey) bool { return k.Name == name }):
			q.fields.Add("ordering", "The key "+name+" is there twice.")
			return nil
		}
		order = append(order, models.SortKey{Name: name, Desc: desc})
	}
	return order
}

// page reads where in a list to go. Cursors are bound to the list's path and
// everything in the query but the place itself.
func (q *query) page(path string, keys []string) services.PageRequest {
	req := services.PageRequest{List: path + "?" + q.without("cursor", "page", "page_size", "count", "fields").Encode()}
	if len(keys) > 0 {
		req.Order = q.order(keys)
	}
	req.Size, _ = q.schema("page_size").Default.(int)
	if n := q.number("page_size"); n != nil {
		req.Size = int(*n)
	}
	if n := q.numberBelow("page", tooFar); n != nil {
		if int(*n)*req.Size > services.MaxOffset {
			q.fields.Add("page", tooFar)
		}
		req.Number = int(*n)
	}
	if cursor, _, ok := q.text("cursor"); ok {
		if req.Number > 0 {
			q.fields.Add("cursor", "Give either cursor or page.")
		} else if cursor == "" {
			q.fields.Add("cursor", blank)
		}
		req.Cursor = cursor
	}
	req.Count = q.has("count") && q.choice("count") != ""
	return req
}

const tooFar = "Pages beyond 1,000,000 rows are not numbered. Leave page out, and follow the cursor in the Link header."

// without gives the parameters but some.
func (q *query) without(names ...string) url.Values {
	rest := url.Values{}
	for name, list := range q.values {
		if !slices.Contains(names, name) {
			rest[name] = list
		}
	}
	return rest
}

// pick gives the members that ?fields= names, or all of them.
func pick[T any](q *query, all []member[T]) []member[T] {
	text, _, ok := q.text("fields")
	if ok && text == "" {
		q.fields.Add("fields", blank)
	}
	if text == "" {
		return all
	}
	wanted := strings.Split(text, ",")
	for i, name := range wanted {
		wanted[i] = strings.TrimSpace(name)
		if !slices.ContainsFunc(all, func(m member[T]) bool { return m.name == wanted[i] }) {
			q.fields.Add("fields", unknown("There is no such member", wanted[i], memberNames(all)))
			return nil
		}
	}
	var picked []member[T]
	for _, m := range all {
		if slices.Contains(wanted, m.name) {
			picked = append(picked, m)
		}
	}
	return picked
}

// setPageHeaders says where the neighbours are (RFC 8288) and how many there
// are in all.
func setPageHeaders(c *gin.Context, q *query, url string, info services.PageInfo) {
	var links []string
	link := func(rel, parameter, value string) {
		rest := q.without("cursor", "page")
		rest.Set(parameter, value)
		links = append(links, "<"+url+"?"+rest.Encode()+`>; rel="`+rel+`"`)
	}
	if info.NextPage > 0 {
		link("next", "page", strconv.Itoa(info.NextPage))
	}
	if info.PrevPage > 0 {
		link("prev", "page", strconv.Itoa(info.PrevPage))
	}
	if info.Next != "" {
		link("next", "cursor", info.Next)
	}
	if info.Prev != "" {
		link("prev", "cursor", info.Prev)
	}
	if len(links) > 0 {
		c.Header("Link", strings.Join(links, ", "))
	}
	if info.Total != nil {
		c.Header("X-Total-Count", strconv.FormatInt(*info.Total, 10))
	}
}
