package tests

import (
	"net/http"
	"testing"
	"time"

	"dueto/config"
)

// throttledBrowserApp is a server for the browser that refuses who asks too often.
func throttledBrowserApp(t *testing.T) *app {
	return newBrowserApp(t, "", func(c *config.Config) { c.Throttle = "on" })
}

// exhaust asks until it is refused for its number.
func (a *app) exhaust(method, path string) {
	a.t.Helper()
	for range 100 {
		if a.do(method, path, nil).Status == http.StatusTooManyRequests {
			return
		}
	}
	a.t.Fatalf("%s %s is never refused", method, path)
}

func TestBrowser_ASessionOutlivesARefreshThatIsPutOff(t *testing.T) {
	t.Parallel()
	a := throttledBrowserApp(t)
	a.superuser("alice")
	p := a.page()
	p.visit("/tasks")
	p.signIn("alice")
	a.Clock.Advance(6 * time.Minute)
	a.exhaust("POST", "/auth/refresh")

	p.expect("answer: 401 to POST /tasks", "answer: 429 to POST /auth/refresh")
	p.fill("#post-title", "Too early")
	p.send("post")
	p.wait(`find("#form-post-summary")?.innerText.startsWith("Request was throttled.")`)
	p.expect("answer: 401 to GET /tasks")
	p.visit("/tasks")
	p.seeText("#status", "Your session could not be refreshed. Try again in 1 second.")
	if got := p.asked("POST /auth/logout"); got != 0 {
		t.Errorf("the page has signed out %d times", got)
	}
	if kept := p.cookies("/auth/refresh"); kept["jwt_refresh"] == "" || kept["csrftoken"] == "" {
		t.Errorf("of the session there are the cookies %v", kept)
	}

	a.Clock.Advance(2 * time.Second)
	p.reload()
	p.seeText("#account-name", "alice")
}

func TestBrowser_SigningOutThatIsRefusedIsNotSaidToBeDone(t *testing.T) {
	t.Parallel()
	a := throttledBrowserApp(t)
	a.superuser("alice")
	p := a.page()
	p.visit("/tasks")
	p.signIn("alice")
	a.exhaust("GET", "/auth/activate/nonsense")
	p.expect("answer: 429 to POST /auth/logout")
	p.click("#sign-out")
	p.wait(`(s => s?.startsWith("Request was throttled.") && s.endsWith(" You are still signed in."))(find("#status")?.innerText)`)
	p.reload()
	p.seeText("#account-name", "alice")
	a.Clock.Advance(2 * time.Second)
	p.click("#sign-out")
	p.waitPath("/")
	p.seeText("#status", "You are signed out.")

	// A session that has expired is over too.
	p.visit("/auth/login")
	p.expect("answer: 405 to GET /auth/login", "answer: 401 to POST /auth/logout")
	p.signIn("alice")
	a.Clock.Advance(25 * time.Hour)
	p.click("#sign-out")
	p.seeText("#status", "You are signed out.")
	if kept := p.cookies("/auth/refresh"); len(kept) != 0 {
		t.Errorf("after signing out there are the cookies %v", kept)
	}
}
