package tests

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dueto/config"
)

// screenshotPages are the pages that pictures are taken of, each in a tab of its
// own, by the name of the picture.
var screenshotPages = []struct {
	name string
	open func(p *page, w screenshotWorld)
	tall int64 // how much is shown where that is more than a screen
}{
	{"docs", func(p *page, _ screenshotWorld) {
		p.visit("/docs")
		p.see(operation("tasks_list", ""))
	}, 0},
	{"docs-call", func(p *page, _ screenshotWorld) {
		p.visit("/docs")
		p.see(operation("tasks_list", ""))
		p.execute("tasks_list", "")
	}, 0},
	{"resources", func(p *page, _ screenshotWorld) { p.visit("/") }, 0},
	{"tasks", func(p *page, _ screenshotWorld) {
		p.visit("/tasks?ordering=due_to&page_size=1")
		p.signIn("maria")
		p.reload() // without the word of welcome
	}, 1600},
	{"tasks-nobody", func(p *page, _ screenshotWorld) { p.visit("/tasks?page_size=1") }, 0},
	{"tasks-refused", func(p *page, _ screenshotWorld) {
		p.expect("answer: 400 to POST /tasks")
		p.visit("/tasks?page_size=1")
		p.signIn("maria")
		p.send("post")
		p.see("#post-title-error")
	}, 1600},
	{"task", func(p *page, _ screenshotWorld) {
		p.visit("/tasks/2")
		p.signIn("maria")
		p.reload()
	}, 1600},
	{"task-delete", func(p *page, _ screenshotWorld) {
		p.visit("/tasks/2")
		p.signIn("maria")
		p.click("#delete-open")
		p.see("#delete-dialog")
	}, 0},
	{"sessions", func(p *page, _ screenshotWorld) {
		p.expect("answer: 401 to GET /auth/sessions")
		p.visit("/auth/sessions")
		p.signIn("maria")
	}, 1600},
	{"register", func(p *page, _ screenshotWorld) {
		p.expect("answer: 405 to GET /auth/register")
		p.visit("/auth/register")
	}, 1600},
	{"missing", func(p *page, _ screenshotWorld) {
		p.expect("answer: 404 to GET /none")
		p.visit("/none")
	}, 1600},
	{"activate", func(p *page, w screenshotWorld) {
		_, link := w.signUp("noor")
		p.visit(link)
	}, 0},
	{"activated", func(p *page, w screenshotWorld) {
		_, link := w.signUp("emil")
		p.visit(link)
		p.click("=Activate my account")
		p.gone("button")
	}, 0},
	{"reset", func(p *page, w screenshotWorld) { p.visit(w.resetLink("maria")) }, 0},
	{"reset-refused", func(p *page, w screenshotWorld) {
		p.expect("answer: 400 to POST " + resetPath)
		p.visit(w.resetLink("jonas"))
		p.fill(newPasswordField, "short one")
		p.fill(repeatedField, "another one")
		p.click("=Set the password")
		p.see("[role=alert]")
	}, 0},
}

// usualURL is where the README has the server, which pictures are to show.
const usualURL = "http://127.0.0.1:8000"

// screenshotWorld is a server that a few people use.
type screenshotWorld struct{ *mailApp }

func newScreenshotWorld(t *testing.T) screenshotWorld {
	t.Helper()
	mail := newMailServer(t)
	w := screenshotWorld{&mailApp{newApp(t, mail.settings, func(c *config.Config) { c.PublicURL = usualURL }), mail}}
	front, err := net.Listen("tcp", strings.TrimPrefix(usualURL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	behind, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &http.Server{Handler: httputil.NewSingleHostReverseProxy(behind), ReadHeaderTimeout: patience}
	go func() { _ = proxy.Serve(front) }()
	t.Cleanup(func() { _ = proxy.Close() })
	maria, jonas := w.member("maria"), w.member("jonas")
	type members = map[string]any
	for _, task := range []members{
		{"title": "Order paint for the hallway", "due_to": "2026-10-19T16:00:00Z", "priority": 2, "tags": []string{"home"}},
		{"title": "Send the quarterly figures", "due_to": "2026-10-20T08:30:00Z", "priority": 4, "tags": []string{"work", "finance"},
			"description": "To the board, with the notes on September."},
		{"title": "Book the train to Lyon", "due_to": "2026-10-24T18:00:00Z", "priority": 1, "tags": []string{"travel"}, "person": jonas.ID},
		{"title": "Renew the passport", "due_to": "2026-10-15T12:00:00Z", "priority": 3, "visibility": "private"},
		{"title": "Water the plants", "done": true, "tags": []string{"home"}},
	} {
		maria.do("POST", "/tasks", task).want(http.StatusCreated)
	}
	jonas.task("Fix the bicycle light", members{"due_to": "2026-10-18T17:30:00Z", "tags": []string{"home"}})
	jonas.task("Prepare the talk on backups", members{"due_to": "2026-10-29T09:00:00Z", "priority": 3, "tags": []string{"work"}, "person": maria.ID})
	return w
}

// resetLink asks for a new password, and gives the path of the link.
func (w screenshotWorld) resetLink(name string) string {
	w.t.Helper()
	w.askFor(resetPath, address(name)).want(http.StatusAccepted)
	return w.linkOf(w.wantInbox(address(name), subjectActivation, subjectPasswordReset)[1])
}

// TestBrowser_Screenshots takes the pictures, which "make screenshots" asks for.
func TestBrowser_Screenshots(t *testing.T) {
	folder := os.Getenv("DUETO_SCREENSHOTS")
	if folder == "" {
		t.Skip("no pictures are asked for: run make screenshots")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	w := newScreenshotWorld(t)
	for _, shown := range screenshotPages {
		p := w.page()
		shown.open(p, w)
		for screen, size := range map[string][2]int64{"phone": {390, 844}, "desktop": {1280, 900}} {
			p.size(size[0], max(size[1], shown.tall))
			for scheme, dark := range map[string]bool{"light": false, "dark": true} {
				p.dark(dark)
				evaluate[bool](p, "(scrollTo(0, 0), document.activeElement.blur(), frame().then(frame).then(() => true))")
				name := filepath.Join(folder, shown.name+"-"+screen+"-"+scheme+".png")
				if err := os.WriteFile(name, p.picture(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
