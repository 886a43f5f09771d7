package tests

import (
	"net/http"
	"strings"
	"testing"
)

func TestBrowse_WhatWentWrongIsSaidInASentence(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for path, want := range map[string]struct {
		status int
		title  string
		detail string
	}{
		"/tasks/999":  {404, "Task 999", "Not found."},
		"/nowhere":    {404, "Not Found", "Not found."},
		"/auth/login": {405, "Login", `Method "GET" not allowed.`},
		"/tasks?x=1":  {400, "Tasks", "The query is not valid."},
		"/users/me":   {401, "Me", "Authentication credentials were not provided."},
	} {
		p := a.look(path, want.status)
		if got := p.text("detail"); got != want.detail {
			t.Errorf("%s: the page says %q", path, got)
		}
		if got := textOf(p.all("h1")[0]); got != want.title {
			t.Errorf("%s: the heading is %q", path, got)
		}
		for _, n := range p.all("p") {
			if attr(n, "class") == "lead" {
				t.Errorf("%s: the page says %q, as if it was done", path, textOf(n))
			}
		}
	}
	if p := a.look("/tasks", http.StatusOK); p.byID("detail") != nil {
		t.Errorf("a good answer has the sentence %q", p.text("detail"))
	}
}

func TestBrowse_WhoseCookiesContradictEachOtherIsToldWhatToDo(t *testing.T) {
	inBothModes(t, func(t *testing.T, alice *person, mode string) {
		_, name := cookiesOf(mode)
		for path, status := range map[string]int{"/tasks": 400, "/nowhere": 400, "/healthz": 200} {
			p := alice.app.do("GET", path, nil, browserAccept, cookies(name+"=one; "+name+"=other")).shown(status)
			if told := p.byID("tangled"); (told != nil) != (status == http.StatusBadRequest) || (told != nil && !strings.Contains(textOf(told), "Delete the cookies")) {
				t.Errorf("%s: the page says %v", path, told)
			}
		}
		if p := alice.look("/tasks?x=1", http.StatusBadRequest); p.byID("tangled") != nil {
			t.Error("a page without cookies is told to delete them")
		}
	})
}

func TestBrowser_TheScriptLinksWhatTheServerWould(t *testing.T) {
	t.Parallel()
	a := newBrowserApp(t, "/api")
	a.superuser("alice")
	p := a.page()
	p.expect("answer: 405 to GET /auth/login")
	p.visit("/auth/login")
	p.signIn("alice")
	p.visit("/auth/tokens")
	site := a.Config.PublicURL
	for name, href := range map[string]string{
		site: "/api/", site + "/": "/api/", site + "/tasks?a='b'&c=%20#d": "/api/tasks?a='b'&c=%20#d",
		site + `/"x`: "", site + "/<b>": "", site + "/{x}|^": "", site + "//evil/": "", site + `/\evil`: "", site + ".evil/": "", "/api/tasks": "",
	} {
		p.fill("#post-name", name)
		p.send("post")
		p.wait(`(e => e && seen(e) && JSON.parse(e.textContent).name === ` + js(name) + `)(find("#result-body"))`)
		linked := evaluate[[]string](p, `[...document.querySelectorAll("#result-body a")].filter(e => JSON.parse(e.textContent) === `+js(name)+`).map(e => e.getAttribute("href"))`)
		if (href == "" && len(linked) != 0) || (href != "" && (len(linked) != 1 || linked[0] != href)) {
			t.Errorf("%s leads to %q, want %q", name, linked, href)
		}
	}
}
