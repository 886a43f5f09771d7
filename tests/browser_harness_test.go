package tests

import (
	"maps"
	"testing"
)

// The other tests of pages rely on what this one checks.
func TestBrowser_IsDrivenAsTestsSay(t *testing.T) {
	t.Parallel()
	p := controls{
		"/form": {body: `<main><h1>Form</h1><p id="hidden" hidden>hidden</p>
			<form action="/sent"><label>Name <input id="name" name="name" value="old"></label>
			<label>When <input id="when" name="when" type="datetime-local"></label>
			<label>Size <select id="size" name="size"><option>small<option>large</select></label>
			<label>Sure <input id="sure" name="sure" type="checkbox"></label>
			<button id="covered" type="button">Covered</button><button id="send">Send</button></form>
			<a href="/sent?by=link">Another page</a></main>`,
			// The button moves away from the first click, and something lies over the other at first.
			script: `
			const send = document.getElementById("send"), over = document.createElement("div");
			over.textContent = "loading";
			document.body.append(over);
			Object.assign(over.style, { position: "fixed", inset: 0, background: "white" });
			document.getElementById("covered").onclick = e => { e.target.innerText = "Uncovered"; };
			let frames = 0;
			const step = () => { send.style.marginLeft = frames + "px"; if (++frames < 30) requestAnimationFrame(step); else over.remove(); };
			step();`},
		"/sent": {body: `<h1>Sent</h1><p id="made"></p>`, script: `document.getElementById("made").innerText = document.cookie`},
	}.page(t)
	p.visit("/form")
	p.gone("#hidden")
	p.click("#covered")
	p.seeText("#covered", "Uncovered")
	if got := p.value("#name"); got != "old" {
		t.Errorf("the field holds %q", got)
	}
	p.fill("#name", "new")
	p.choose("#when", "2026-10-18T12:00")
	p.choose("#size", "large")
	p.choose("#sure", "true")
	p.click("=Send")
	p.waitPath("/sent?name=new&when=2026-10-18T12%3A00&size=large&sure=on")
	if got := p.text("h1"); got != "Sent" {
		t.Errorf("the page shows %q", got)
	}

	p.setCookie("one", "1", "/")
	p.setCookie("other", "2", "/elsewhere")
	p.reload()
	p.seeText("#made", "one=1")
	for path, want := range map[string]map[string]string{"/sent": {"one": "1"}, "/elsewhere/a": {"one": "1", "other": "2"}} {
		if got := p.cookies(path); !maps.Equal(got, want) {
			t.Errorf("to %s go the cookies %v", path, got)
		}
	}

	p.visit("/form")
	p.tabTo("#name")
	p.press("Shift+Tab", "Tab", "x", "Tab")
	if got := p.focused(); got != "when" {
		t.Errorf("Tab leads to %q", got)
	}
	if got := p.value("#name"); got != "x" {
		t.Errorf("typing over what is selected leaves %q", got)
	}
	p.tabTo("=Another page")
	p.press("Enter")
	p.waitPath("/sent?by=link")
}
