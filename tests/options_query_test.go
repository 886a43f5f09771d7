package tests

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"dueto/handlers"
	"dueto/openapi"
	"dueto/routes"
)

// queryValue is a value of a parameter, with others that it needs beside it.
type queryValue struct {
	value string
	good  bool
	with  string
}

// queryValues gives values at each bound of a parameter, and beyond it.
func queryValues(t *testing.T, p handlers.Param) (list []queryValue) {
	t.Helper()
	add := func(good bool, values ...string) {
		for _, value := range values {
			list = append(list, queryValue{value: value, good: good})
		}
	}
	s := p.Schema
	switch {
	case s.Enum != nil:
		for _, word := range s.Enum {
			add(true, fmt.Sprint(word))
		}
		add(false, "neither", "", "1")
	case s.Type.Has(openapi.Boolean):
		add(true, "true", "false")
		add(false, "neither", "", "2")
	case s.Type.Has(openapi.Integer):
		low, high := int64(-1<<63), int64(1<<63-1)
		if s.Minimum != nil {
			low = *s.Minimum
			add(false, strconv.FormatInt(low-1, 10))
		}
		if s.Maximum != nil {
			high = *s.Maximum
			add(false, strconv.FormatInt(high+1, 10))
		}
		add(true, strconv.FormatInt(low, 10), strconv.FormatInt(high, 10))
		add(false, "many", "", "1.5", "9223372036854775808")
	case s.Format == "date-time":
		add(true, "2026-10-18T19:12:01Z", "2026-10-18T21:12:01+02:00")
		add(false, "tomorrow", "", "2026-10-18T19:12:01")
	case p.Name == "search":
		add(true, "one", " 1 2 3 4 5 6 7 8 9 ten ", strings.Repeat("x", int(*s.MaxLength)))
		add(false, "", " ", "1 2 3 4 5 6 7 8 9 10 11", strings.Repeat("x", int(*s.MaxLength+1)))
	case s.Pattern != "":
		for _, word := range wordsOf(t, s.Pattern) {
			add(true, word, " "+word+" ")
			add(strings.HasPrefix(s.Pattern, "^ *-?"), "-"+word)
			add(false, word+"x", word+",")
		}
		add(true, strings.Join(wordsOf(t, s.Pattern), ","))
		add(false, "neither", "")
	default:
		add(s.MinLength == nil, "")
		add(false, "\x00")
	}
	return list
}

// wordsOf gives the words of the pattern of a list of them.
func wordsOf(t *testing.T, pattern string) []string {
	t.Helper()
	found := regexp.MustCompile(`\(([a-z_|]+)\)`).FindStringSubmatch(pattern)
	if found == nil {
		t.Fatalf("the pattern %s has no words", pattern)
	}
	return strings.Split(found[1], "|")
}

func TestQuery_BoundsAreThoseThatTheServerKeeps(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	boss := a.staff("boss")
	boss.task("One")
	boss.task("Two")
	count := 0
	// ask sends a request to a route, as somebody whom it leaves alone otherwise.
	ask := func(r routes.Route, query string) *response {
		count++
		who, body := boss, any(nil)
		if r.Method == http.MethodDelete {
			who, body = a.user(fmt.Sprint("user", count)), map[string]any{"password": password}
		}
		if r.Does.Body == nil {
			body = nil
		}
		return who.do(r.Method, strings.ReplaceAll(r.Path, ":id", fmt.Sprint(who.ID))+"?"+query, body)
	}
	parameters := map[string]bool{}
	for _, r := range routes.Table() {
		if handlers.TakesAny(r.Does.Query) {
			continue
		}
		for _, p := range r.Does.Query {
			values := queryValues(t, p)
			switch p.Name {
			case "cursor": // is made by the server
				link := ask(r, "page_size=1").want(http.StatusOK).Header.Get("Link")
				made := regexp.MustCompile(`[?&]cursor=([^&>]+)`).FindStringSubmatch(link)
				if made == nil {
					t.Fatalf("%s %s has no cursor in %q", r.Method, r.Path, link)
				}
				values = append(values, queryValue{value: made[1], good: true}, queryValue{value: "made-up"})
			case "page": // the last has the last row
				for i := range values {
					values[i].with = "&page_size=1"
				}
			}
			for _, v := range values {
				parameters[r.ID+" "+p.Name] = true
				res := ask(r, url.Values{p.Name: {v.value}}.Encode()+v.with)
				if good := res.Status < 300; good != v.good || (!good && res.Status != http.StatusBadRequest) {
					t.Errorf("%s %s with %s=%q: %d, and it should be good is %v: %s", r.Method, r.Path, p.Name, v.value, res.Status, v.good, res.Body)
				}
			}
		}
	}
	if len(parameters) < 30 {
		t.Errorf("%d parameters were tried", len(parameters))
	}
}
