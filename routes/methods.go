package routes

import (
	"net/http"
	"slices"
	"strings"

	"dueto/handlers"
	"dueto/services"
)

// withImplied adds HEAD to each GET, and OPTIONS to each path.
func withImplied(table []Route) []Route {
	all := slices.Clone(table)
	done := map[string]bool{}
	for _, route := range table {
		if route.Method == get {
			head := route
			head.ID, head.Method = route.ID+"_head", http.MethodHead
			all = append(all, head)
		}
		if !done[route.Path] {
			done[route.Path] = true
			all = append(all, options(table, route))
		}
	}
	return all
}

// options makes a path's OPTIONS, behind the door that a bad credential meets
// on its other methods.
func options(table []Route, route Route) Route {
	access := Anyone
	if route.Access == Credentials {
		access = Credentials
	}
	var rate services.RateClass
	if route.Rate == services.RateExempt { // which is the path's
		rate = services.RateExempt
	}
	return Route{
		ID: route.ID + "_options", Method: http.MethodOptions, Path: route.Path, Access: access, Scope: services.AnyScope, Rate: rate,
		Handler: handlers.Options(allow(table, route.Path), describe(table, route.Path)), Does: optionsDoes, Summary: "Tell what the path allows",
	}
}

// allow lists the methods of one path of the table, as the Allow field does.
func allow(table []Route, path string) string {
	methods := []string{http.MethodOptions}
	for _, route := range table {
		if route.Path != path {
			continue
		}
		methods = append(methods, route.Method)
		if route.Method == get {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// shadowed lists the methods that a path lacks and that a pattern which fits it
// has: without routes of their own, GET /auth/activate/resend would be taken for
// a link.
func shadowed(table []Route) []Route {
	var list []Route
	served := withImplied(table)
	for _, pattern := range served {
		for _, route := range table {
			lacks := !slices.ContainsFunc(served, func(r Route) bool { return r.Path == route.Path && r.Method == pattern.Method })
			listed := slices.ContainsFunc(list, func(r Route) bool { return r.Path == route.Path && r.Method == pattern.Method })
			if pattern.Path != route.Path && fits(pattern.Path, route.Path) && lacks && !listed {
				list = append(list, Route{Method: pattern.Method, Path: route.Path})
			}
		}
	}
	return list
}

// methodsOf gives a function that lists the methods of a request's path, or
// gives "" where there is no such path. The router's own answer mixes up paths
// of which one is a pattern that fits the other.
func methodsOf(table []Route, prefix string) func(path string) string {
	pattern := patternOf(table, prefix)
	return func(path string) string {
		if found := pattern(path); found != "" {
			return allow(table, found)
		}
		return ""
	}
}

// patternOf gives a function that finds the path of the table that a request's
// path is one of, or gives "".
func patternOf(table []Route, prefix string) func(path string) string {
	return func(path string) string {
		path, ok := strings.CutPrefix(path, prefix)
		if !ok || strings.Contains(path, "//") {
			return ""
		}
		if path != "/" {
			path = strings.TrimSuffix(path, "/")
		}
		found := ""
		for _, route := range table {
			if route.Path == path || (path == "" && route.Path == "/") {
				return route.Path
			}
			if fits(route.Path, path) {
				found = route.Path
			}
		}
		return found
	}
}

// fits reports whether a path is one of a pattern's, such as /tasks/:id.
func fits(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, have, func(w, h string) bool {
		return w == h || (strings.HasPrefix(w, ":") && h != "")
	})
}
