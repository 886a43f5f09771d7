package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pageScript finds elements as the tests name them: by a CSS selector or, after
// "=", by all the text of a link, button, summary or label that is seen. Each
// function gives null where it cannot be done yet.
const pageScript = `
const seen = e => e.checkVisibility({ visibilityProperty: true });
const find = s => s[0] !== "=" ? document.querySelector(s) :
	[...document.querySelectorAll("a, button, summary, label, [role=button], [role=tab]")].find(e => seen(e) && e.innerText.trim() === s.slice(1)) ?? null;
const usable = s => { const e = find(s); return e && seen(e) && !e.disabled ? e : null; };
const frame = () => new Promise(requestAnimationFrame);
// A link may take several lines, with nothing of it between them: the first counts.
const place = e => { const r = e.getClientRects()[0] ?? e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; };
const target = async s => {
	const e = usable(s);
	if (!e) return null;
	e.scrollIntoView({ block: "center", inline: "nearest", behavior: "instant" });
	await frame();
	const before = place(e);
	await frame();
	const [x, y, w, h] = place(e);
	if (String(before) !== String([x, y, w, h]) || !w || !h) return null; // it moves
	const at = { x: x + w / 2, y: y + h / 2 }, top = document.elementFromPoint(at.x, at.y);
	if (!top || !(e.contains(top) || top.contains(e) || top.closest("label")?.control === e)) return null; // something lies over it
	window.testClicked = false;
	addEventListener("click", ev => { window.testClicked = true; }, { capture: true, once: true });
	return at;
};
`

// evaluated runs an expression in the page. ready is false for null, and while
// the page is being left for another.
func evaluated(p *page, expression string, into any) (ready bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	wrapped := "(async () => {" + pageScript + "return JSON.stringify((await (" + expression + ")) ?? null) })()"
	r, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: wrapped, AwaitPromise: new(true), ReturnByValue: new(true)})
	if ctx.Err() != nil {
		p.t.Fatalf("%s: %v", expression, ctx.Err())
	}
	if err != nil {
		return false // there is no page at the moment
	}
	if e := r.ExceptionDetails; e != nil {
		if e.Exception == nil || strings.Contains(e.Text+e.Exception.Description, "context was destroyed") {
			return false
		}
		p.t.Fatalf("%s: %s", expression, e.Exception.Description)
	}
	var text string
	if err := json.Unmarshal(r.Result.Value, &text); err != nil || text == "null" {
		return false
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		p.t.Fatalf("%s gives %s: %v", expression, text, err)
	}
	return true
}

// evaluate gives the value of an expression of JavaScript, or of its promise, as
// soon as it is not null.
func evaluate[T any](p *page, expression string) (value T) {
	p.t.Helper()
	p.until(expression, func() bool { return evaluated(p, expression, &value) })
	return value
}

// until waits for a condition.
func (p *page) until(what string, so func() bool) {
	p.t.Helper()
	for late := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			var now string
			evaluated(p, `location.href + "\n" + document.body.innerText.slice(0, 3000)`, &now)
			p.t.Fatalf("the page waits in vain for %s; it is at %s\nfaults: %q", what, now, p.faults.all())
		}
	}
}

// wait waits until a condition in JavaScript is true.
func (p *page) wait(condition string) {
	p.t.Helper()
	p.until(condition, func() bool {
		var true bool
		return evaluated(p, "!!("+condition+")", &true) && true
	})
}

// see waits until an element is seen.
func (p *page) see(selector string) {
	p.t.Helper()
	p.wait("(e => e && seen(e))(find(" + js(selector) + "))")
}

// seeText waits until an element shows a text, and nothing else.
func (p *page) seeText(selector, text string) {
	p.t.Helper()
	p.wait("find(" + js(selector) + ")?.innerText.trim() === " + js(text))
}

// gone waits until an element is not seen.
func (p *page) gone(selector string) {
	p.t.Helper()
	p.wait("(e => !e || !seen(e))(find(" + js(selector) + "))")
}

// visit opens a page of the server and waits until it is loaded.
func (p *page) visit(path string) {
	p.t.Helper()
	p.do("open "+path, chromedp.Navigate(p.base+path))
}

// reload loads the page again.
func (p *page) reload() { p.t.Helper(); p.do("reload", chromedp.Reload()) }

// path gives where the page is, below the public URL, with its query.
func (p *page) path() string {
	p.t.Helper()
	return strings.TrimPrefix(evaluate[string](p, "location.href"), p.base)
}

// waitPath waits until the page is at a path.
func (p *page) waitPath(path string) {
	p.t.Helper()
	p.wait("location.href === " + js(p.base+path) + ` && document.readyState === "complete"`)
}

// text gives what an element shows, as soon as it is seen.
func (p *page) text(selector string) string {
	p.t.Helper()
	p.see(selector)
	return evaluate[string](p, "find("+js(selector)+")?.innerText.trim()")
}

// texts gives what each element of a selector shows now.
func (p *page) texts(selector string) []string {
	p.t.Helper()
	return evaluate[[]string](p, "[...document.querySelectorAll("+js(selector)+")].map(e => e.innerText.trim())")
}

// value gives what a field holds.
func (p *page) value(selector string) string {
	p.t.Helper()
	return evaluate[string](p, "find("+js(selector)+")?.value")
}

// attribute gives an attribute of an element, "" where it has none.
func (p *page) attribute(selector, name string) string {
	p.t.Helper()
	return evaluate[string](p, "find("+js(selector)+`)?.getAttribute(`+js(name)+`) ?? ""`)
}

// click presses the mouse on an element, once it is seen, at rest, and under
// nothing else.
func (p *page) click(selector string) {
	p.t.Helper()
	p.until("a click on "+selector, func() bool {
		var at struct{ X, Y float64 }
		if !evaluated(p, "target("+js(selector)+")", &at) {
			return false
		}
		p.do("click "+selector, chromedp.MouseClickXY(at.X, at.Y))
		var missed bool // it moved in the last moment; another page has no such variable
		return !evaluated(p, "window.testClicked === false", &missed) || !missed
	})
}

// fill puts text into a field in place of what it holds, as typing does.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	focus := "(e => e && (e.focus(), e.select(), document.activeElement === e ? true : null))(usable(" + js(selector) + "))"
	p.until(selector+" to be filled", func() bool {
		var focused bool
		if !evaluated(p, focus, &focused) {
			return false
		}
		if text == "" {
			p.press("Delete")
		} else {
			call(p, input.InsertText, input.InsertTextParams{Text: text})
		}
		return p.value(selector) == text
	})
}

// choose sets a field that is not typed into, such as a select, a box or a date,
// and tells the page. A box is set by "true" and "false".
func (p *page) choose(selector, value string) {
	p.t.Helper()
	p.wait(`(e => {
		if (!e) return false;
		if (e.type === "checkbox") { if (e.checked !== (` + js(value) + ` === "true")) e.click(); return true; }
		e.value = ` + js(value) + `;
		for (const type of ["input", "change"]) e.dispatchEvent(new Event(type, { bubbles: true }));
		return e.value === ` + js(value) + `;
	})(usable(` + js(selector) + `))`)
}

// pageKeys are the keys that have names.
var pageKeys = map[string]string{
	"Tab": kb.Tab, "Enter": kb.Enter, "Escape": kb.Escape, "Space": " ", "Delete": kb.Delete, "Backspace": kb.Backspace,
	"Up": kb.ArrowUp, "Down": kb.ArrowDown, "Left": kb.ArrowLeft, "Right": kb.ArrowRight, "Home": kb.Home, "End": kb.End,
}

// press presses keys one after the other, such as "Tab" or "Shift+Tab". What is
// no key's name is typed.
func (p *page) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		name, shift := strings.CutPrefix(key, "Shift+")
		if named, ok := pageKeys[name]; ok {
			name = named
		}
		var options []chromedp.KeyOption
		if shift {
			options = append(options, chromedp.KeyModifiers(chromedp.ModifierShift))
		}
		p.do("press "+key, chromedp.KeyEvent(name, options...))
	}
}

// tabTo presses Tab until an element has the focus. It fails where the focus has
// been everywhere else.
func (p *page) tabTo(selector string) {
	p.t.Helper()
	p.see(selector)
	for range 200 {
		p.press("Tab")
		if evaluate[bool](p, "document.activeElement === find("+js(selector)+")") {
			return
		}
	}
	p.t.Fatalf("Tab does not lead to %s", selector)
}

// focused describes the element that has the focus, by its id, name or text.
func (p *page) focused() string {
	p.t.Helper()
	return evaluate[string](p, "(e => e.id || e.name || e.innerText.trim())(document.activeElement)")
}

// cookies gives the values of the cookies that go to a path.
func (p *page) cookies(path string) map[string]string {
	p.t.Helper()
	kept := map[string]string{}
	for _, c := range call(p, network.GetCookies, network.GetCookiesParams{URLs: []string{p.base + path}}).Cookies {
		kept[c.Name] = c.Value
	}
	return kept
}

// setCookie puts a cookie into the browser, as if a page below path had.
func (p *page) setCookie(name, value, path string) {
	p.t.Helper()
	u, err := url.Parse(p.base)
	p.must("cookie", err)
	call(p, network.SetCookie, network.SetCookieParams{Name: name, Value: value, Domain: u.Hostname(), Path: u.Path + path})
}

// dark has the page shown to somebody who prefers dark colours, or light ones.
func (p *page) dark(on bool) {
	p.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[on]
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	p.wait("matchMedia('(prefers-color-scheme: " + scheme + ")').matches")
}

// size shows the page on a screen of so many pixels.
func (p *page) size(width, height int64) {
	p.t.Helper()
	p.do("resize", chromedp.EmulateViewport(width, height))
}

// picture gives what is seen of the page, as PNG.
func (p *page) picture() []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	p.must("take a picture", err)
	return png
}

// wantOwn checks that the page has nothing that comes from, or leads to, another
// host, but for links to those that are named.
func (p *page) wantOwn(linked ...string) {
	p.t.Helper()
	if linked == nil {
		linked = []string{}
	}
	for _, foreign := range evaluate[[]string](p, `[...document.querySelectorAll("[src], [href], [action], [data], [poster], [srcset]")]
		.filter(e => !(e.tagName === "A" && `+js(linked)+`.includes(e.href)))
		.filter(e => [e.src, e.href, e.action, e.data, e.poster].some(u => typeof u === "string" && u && !u.startsWith("data:") && new URL(u, location.href).origin !== location.origin))
		.map(e => e.outerHTML.slice(0, 200))`) {
		p.t.Errorf("%s has %s", p.path(), foreign)
	}
}

// wantNarrow checks that nothing of the page lies beyond the screen's width.
func (p *page) wantNarrow() {
	p.t.Helper()
	if wide := evaluate[int](p, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
		p.t.Errorf("%s is wider than the screen by %d pixels: %.300q", p.path(), wide, evaluate[[]string](p, `[...document.querySelectorAll("body *")]
			.filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth).map(e => e.cloneNode(false).outerHTML)`))
	}
}

// js writes a value as JavaScript.
func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprint(v, err))
	}
	return string(b)
}
