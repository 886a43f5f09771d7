package tests

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// isPage reports whether an answer is a page, and not JSON.
func (r *response) isPage() bool {
	r.t.Helper()
	switch kind := r.Header.Get("Content-Type"); kind {
	case "text/html; charset=utf-8":
		return true
	case "application/json", "application/problem+json":
		return false
	default:
		r.t.Fatalf("%s: answered with %q", r.What, kind)
		return false
	}
}

func TestBrowse_LinksAreNegotiatedAsPagesAre(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	n := 0
	for accept, html := range pageByAccept {
		var headers []header
		if accept != "" {
			headers = []header{{"Accept", accept}}
		}
		for _, request := range []string{
			"GET /auth/activate/nonsense", "POST /auth/activate/nonsense", "GET /auth/email/confirm/nonsense", "POST /auth/email/confirm/nonsense",
			"GET /auth/password/reset/nonsense",
		} {
			method, path, _ := strings.Cut(request, " ")
			if got := a.do(method, path, nil, headers...).want(http.StatusUnauthorized).isPage(); got != html {
				t.Errorf("%s with Accept %.60q: a page is %v", request, accept, got)
			}
		}
		n++
		name := fmt.Sprint("user", n)
		_, link := a.register(name)
		if got := a.do("GET", link, nil, headers...).want(http.StatusOK).isPage(); got != html {
			t.Errorf("GET of a link with Accept %.60q: a page is %v", accept, got)
		}
		if html { // a button is left to press
			a.wantPending(name)
		} else {
			a.login(name)
		}
	}
}

func TestBrowse_FormatDecidesOfLinksToo(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, link := a.register("alice")
	for _, headers := range [][]header{nil, {browserAccept}} {
		a.do("GET", link+"?format=html", nil, headers...).wantPage(http.StatusOK)
		a.wantPending("alice")
	}
	if a.do("POST", "/auth/activate/nonsense?format=html", nil).want(http.StatusUnauthorized).isPage() {
		t.Error("format decides of POST")
	}
	for _, path := range []string{"/auth/email/confirm/nonsense", "/auth/password/reset/nonsense"} {
		a.do("GET", path+"?format=html", nil).wantPage(http.StatusUnauthorized)
		if a.do("GET", path+"?format=json", nil, browserAccept).want(http.StatusUnauthorized).isPage() {
			t.Errorf("%s?format=json is a page", path)
		}
	}
	a.do("GET", link+"?format=json", nil, browserAccept).wantDetail(http.StatusOK, "User activated.")
	a.login("alice")
}
