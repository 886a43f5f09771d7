package routes

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"dueto/handlers"
	"dueto/middleware"
	"dueto/openapi"
	"dueto/services"
	"dueto/web"
)

// browser shows what the table's routes answer, as pages.
type browser struct {
	table   []Route
	pages   *web.Pages
	cookies middleware.Cookies
	prefix  string // of all paths, escaped
	pattern func(path string) string
}

func newBrowser(table []Route, pages *web.Pages, cookies middleware.Cookies, public *url.URL) *browser {
	return &browser{
		table: table, pages: pages, cookies: cookies,
		prefix: public.EscapedPath(), pattern: patternOf(table, public.Path),
	}
}

// plain lists the patterns of the paths that are answered as they are.
func plain(table []Route, prefix string) []string {
	var patterns []string
	for _, route := range table {
		if route.Does.Plain {
			patterns = append(patterns, bothForms(prefix+route.Path)...)
		}
	}
	return patterns
}

// show makes the page of an answer.
func (b *browser) show(c *gin.Context, a middleware.Answer) []byte {
	pattern, path := b.pattern(c.Request.URL.Path), c.Request.URL.EscapedPath()
	v := web.View{
		Path: path, Query: c.Request.URL.RawQuery,
		Status: a.Status, Header: a.Header, Body: a.Body, Account: b.account(c, a.Status, pattern),
		Title: http.StatusText(a.Status),
	}
	if pattern != "/" {
		v.Parents = []web.Parent{{Name: b.title("/", ""), Path: b.prefix + "/"}}
	}
	if pattern == "" {
		return b.pages.Browse(v)
	}
	v.Parents = append(v.Parents, b.parents(path)...)
	v.Title = b.title(pattern, lastPart(path))
	v.Allow = strings.Split(allow(b.table, pattern), ", ")
	if i := b.index(pattern, get); i >= 0 {
		v.Parameters = parameters(b.table[i])
		if a.Status < http.StatusBadRequest {
			v.Summary = b.table[i].Summary
		}
	}
	if a.Status == http.StatusOK || a.Status == http.StatusMethodNotAllowed {
		v.Forms = b.forms(pattern, v.Parents, v.Account, middleware.Actor(c))
	}
	return b.pages.Browse(v)
}

// account says who looks, as far as the doors have found out.
func (b *browser) account(c *gin.Context, status int, pattern string) web.Account {
	a := web.Account{Mode: b.mode(), Entrance: pattern == "/auth/login"}
	actor := middleware.Actor(c)
	switch {
	case actor.Authenticated():
		a.Name = actor.Username
	case b.cookies.Given(c.Request):
		i := b.index(pattern, get)
		looked := i < 0 || b.table[i].Access != Credentials
		a.Refused = looked && status == http.StatusUnauthorized
		a.Unknown = !a.Refused
		_, _, err := b.cookies.Access(c.Request)
		a.Tangled = looked && err != nil
	}
	return a
}

// mode is the one in which a page signs in, or "".
func (b *browser) mode() string {
	for _, mode := range []string{services.ModeTwoCookies, services.ModeOneCookie} {
		if slices.Contains(b.cookies.Modes, mode) {
			return mode
		}
	}
	return ""
}

// parents gives the pages between the first one and that of a path.
func (b *browser) parents(path string) []web.Parent {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(path, b.prefix), "/"), "/")
	var list []web.Parent
	for i := 1; i < len(parts); i++ {
		below := "/" + strings.Join(parts[:i], "/")
		decoded, err := url.PathUnescape(b.prefix + below)
		if err != nil {
			return list
		}
		if pattern := b.pattern(decoded); pattern != "" {
			list = append(list, web.Parent{Name: b.title(pattern, parts[i-1]), Path: b.prefix + below})
		}
	}
	return list
}

// lastPart gives the end of an escaped path.
func lastPart(path string) string {
	path = strings.TrimRight(path, "/")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// maxTitle is how much of a path's end a title has, in bytes of its escaped form.
const maxTitle = 40

// title names what a pattern stands for; last is the end of a path of it.
func (b *browser) title(pattern, last string) string {
	if pattern == "/" {
		return "Dueto API"
	}
	static, parameter := pattern, ""
	if i := strings.LastIndexByte(pattern, '/'); pattern[i+1] == ':' {
		static, parameter = pattern[:i], pattern[i+1:]
	}
	name := static[strings.LastIndexByte(static, '/')+1:]
	for _, route := range b.table {
		if route.Path == static && route.Name != "" && parameter == "" {
			name = route.Name
		}
	}
	words := strings.Split(name, "_")
	for i, word := range words {
		if word == "api" || word == "jwks" {
			words[i] = strings.ToUpper(word)
		}
	}
	name = strings.Join(words, " ")
	name = strings.ToUpper(name[:1]) + name[1:]
	if parameter == ":id" && len(last) <= maxTitle {
		return strings.TrimSuffix(name, "s") + " " + last
	}
	return name
}

// forms gives what may be tried of a path's other methods.
func (b *browser) forms(pattern string, parents []web.Parent, account web.Account, actor services.Actor) []web.Form {
	var forms []web.Form
	below := strings.HasPrefix(pattern, "/auth/")
	for _, method := range []string{post, patch, put, remove} {
		i := b.index(pattern, method)
		if i < 0 || (account.Entrance && account.Mode != "" && account.Name == "") { // the page has a form to sign in by
			continue
		}
		route := b.table[i]
		form := web.Form{
			Method: method, Summary: route.Summary, Body: route.Does.Body, Query: parameters(route),
			// What is answered below /auth may be told once, as the key of a token is;
			// and without a GET there is nothing to go on to.
			Show:     method == post && (below || !b.has(pattern, get)),
			Entrance: account.Entrance, Own: below,
		}
		if method == remove && len(parents) > 1 {
			form.Next = parents[len(parents)-1].Path
		}
		switch {
		case route.Access == Credentials || route.Access == Anyone:
			form.Open = true
		case account.Mode == "":
			form.Closed = "it needs a token."
		case !actor.Authenticated():
			form.SignIn = true
		case route.Permission != "" && !actor.May(route.Permission):
			form.Closed = "your account lacks the permission " + route.Permission + "."
		}
		forms = append(forms, form)
	}
	return forms
}

func (b *browser) index(pattern, method string) int {
	return slices.IndexFunc(b.table, func(r Route) bool { return r.Path == pattern && r.Method == method })
}

func (b *browser) has(pattern, method string) bool { return b.index(pattern, method) >= 0 }

// parameters gives those of a route's query.
func parameters(route Route) []openapi.Parameter {
	var list []openapi.Parameter
	if handlers.TakesAny(route.Does.Query) {
		return nil
	}
	for _, p := range route.Does.Query {
		list = append(list, openapi.Parameter{Name: p.Name, In: "query", Description: p.Text, Schema: p.Schema})
	}
	return list
}
