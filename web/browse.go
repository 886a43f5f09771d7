package web

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"dueto/openapi"
)

// View is an answer of the API, and what else a page shows of its path.
type View struct {
	// Title names what is shown, and Summary says what asking for it does.
	Title, Summary string
	// Parents are the pages above it.
	Parents []Parent
	// Path is the request's, escaped, and Query its query.
	Path, Query string

	Status int
	Header http.Header
	Body   []byte // JSON

	// Allow are the path's methods.
	Allow []string
	// Parameters are what the query may have.
	Parameters []openapi.Parameter
	Forms      []Form
	Account    Account
}

// Parent is a page above another.
type Parent struct{ Name, Path string }

// Account says who looks at a page.
type Account struct {
	// Name is whose session it is; "" where nobody is known to be signed in.
	Name string
	// Mode is how the page signs in; "" where it cannot.
	Mode string
	// Unknown is set where a credential was sent that nobody looked at.
	Unknown bool
	// Refused is set where a credential was sent and refused.
	Refused bool
	// Tangled is set where cookies were sent that contradict each other.
	Tangled bool
	// Entrance makes the page one to sign in by, which leads to the first page.
	Entrance bool
}

// shownHeaders are what a page shows of the answer's headers.
var shownHeaders = []string{
	"Content-Type", "Allow", "Cache-Control", "Etag", "Link", "Location", "Retry-After",
	"Vary", "Www-Authenticate", "X-Request-Id", "X-Total-Count",
}

type headerField struct{ Name, Value string }

type pageLink struct{ Rel, Label, Href string }

// browsePage is what the template is filled with.
type browsePage struct {
	Frame frame
	View
	URL, HTTPie, Curl string
	StatusText        string
	Detail            string // of what went wrong
	Headers           []headerField
	JSON              template.HTML
	Whole             string // where all of it is, if the page has only the beginning
	Pages             []pageLink
	Forms             []formView
	SignIn            *formView
	Filter            *formView
	Site, Prefix      string
}

// Browse gives the page of an answer, for BrowsePolicy.
func (p *Pages) Browse(v View) []byte {
	query := escapeURL(v.Query)
	path := escapeURL(v.Path)
	address := p.origin + path
	if query != "" {
		address += "?" + query
	}
	data := browsePage{
		Frame: p.frame(v.Title), View: v, URL: address,
		StatusText: http.StatusText(v.Status), Headers: headerFields(v.Header),
		Pages: p.pageLinks(v), SignIn: p.signIn(v.Account), Filter: filter(v, path), Site: p.site, Prefix: p.prefix,
	}
	if beginning, long := cut(v.Body); long {
		data.JSON, data.Whole = plain(beginning), path+"?"+strings.TrimPrefix(query+"&format=json", "&")
	} else {
		data.JSON = p.highlight(v.Body)
	}
	data.Frame.Script = p.asset("browse.js")
	data.HTTPie, data.Curl = shellLines(data.URL, v.Account.Name != "")
	if v.Status >= http.StatusBadRequest {
		data.Detail = detailOf(v.Body)
	}
	var object map[string]json.RawMessage
	if v.Status != http.StatusOK || !bytes.HasPrefix(v.Body, []byte("{")) || json.Unmarshal(v.Body, &object) != nil {
		object = nil
	}
	for i := range v.Forms {
		data.Forms = append(data.Forms, newForm(v.Forms[i], path, v.Header.Get("ETag"), object))
	}
	return p.render("browse.html", data)
}

// detailOf gives the sentence of a problem, or "".
func detailOf(body []byte) string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal(body, &problem); err != nil {
		return ""
	}
	return problem.Detail
}

// headerNames are spelled as they are written, where net/http does it otherwise.
var headerNames = map[string]string{"Etag": "ETag", "Www-Authenticate": "WWW-Authenticate", "X-Request-Id": "X-Request-Id"}

func headerFields(h http.Header) []headerField {
	var fields []headerField
	for _, name := range shownHeaders {
		written := name
		if spelled, ok := headerNames[name]; ok {
			written = spelled
		}
		if values := h[name]; len(values) > 0 {
			fields = append(fields, headerField{written, strings.Join(values, ", ")})
		}
	}
	return fields
}

var linkValue = regexp.MustCompile(`<([^>]*)>; rel="(\w+)"`)

// pageLinks gives where the neighbours of a page of a list are, from its Link
// header, and where the list begins.
func (p *Pages) pageLinks(v View) []pageLink {
	var links []pageLink
	values, err := url.ParseQuery(v.Query)
	if err == nil && (values.Has("cursor") || values.Has("page")) && v.Status == http.StatusOK {
		values.Del("cursor")
		values.Del("page")
		href := escapeURL(v.Path)
		if len(values) > 0 {
			href += "?" + values.Encode()
		}
		links = append(links, pageLink{"first", "First page", href})
	}
	labels := map[string]string{"prev": "Previous page", "next": "Next page"}
	found := linkValue.FindAllStringSubmatch(strings.Join(v.Header["Link"], ", "), -1)
	slices.SortFunc(found, func(a, b []string) int { return strings.Compare(b[2], a[2]) }) // prev before next
	for _, m := range found {
		if href := p.local(m[1]); href != "" && labels[m[2]] != "" {
			links = append(links, pageLink{m[2], labels[m[2]], href})
		}
	}
	return links
}

// signIn gives the form to sign in by, where the visitor may want it.
func (p *Pages) signIn(a Account) *formView {
	if a.Mode == "" || a.Name != "" || a.Unknown {
		return nil
	}
	form := formView{Form: Form{Method: http.MethodPost, Summary: "Sign in"}, ID: "form-sign-in", Action: p.prefix + "/auth/login"}
	if a.Entrance {
		form.Next = p.prefix + "/"
	}
	form.Sends, form.Open = true, true
	form.Fields = []field{
		{ID: "sign-in-username", Name: "username", Label: "Username or address", Kind: kindText, Type: "text", Required: true, Complete: "username"},
		{ID: "sign-in-password", Name: "password", Label: "Password", Kind: kindText, Type: "password", Required: true, Complete: "current-password"},
	}
	return &form
}
