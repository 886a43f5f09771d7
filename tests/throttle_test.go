package tests

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"dueto/config"
	"dueto/routes"
	"dueto/services"
)

// throttledApp is a server that counts requests. Clients have the address that
// they claim: the tests' own is a trusted proxy.
func throttledApp(t *testing.T) *app {
	t.Helper()
	return newApp(t, func(c *config.Config) { c.Throttle, c.TrustedProxies = "on", []string{"127.0.0.1"} })
}

func from(address string) header { return header{"X-Forwarded-For", address} }

// wantThrottled checks a refusal for the number of requests in full.
func (r *response) wantThrottled(wait time.Duration) *response {
	r.t.Helper()
	r.wantProblem(http.StatusTooManyRequests, services.CodeThrottled)
	seconds := strconv.Itoa(int(wait / time.Second))
	text := "Request was throttled. Expected available in " + seconds + " seconds."
	if seconds == "1" {
		text = "Request was throttled. Expected available in 1 second."
	}
	if got := r.object()["detail"]; got != text || r.Header.Get("Retry-After") != seconds || r.Header.Get("Cache-Control") != "no-store" {
		r.t.Fatalf("%s: %q, Retry-After %q; want %q", r.What, got, r.Header.Get("Retry-After"), text)
	}
	return r
}

// wantThrough checks that a request got past the limits.
func (r *response) wantThrough() *response {
	r.t.Helper()
	if r.Status == http.StatusTooManyRequests || r.Status == 0 || r.Status >= http.StatusInternalServerError {
		r.t.Fatalf("%s: %d: %s", r.What, r.Status, r.Body)
	}
	return r
}

func TestThrottle_HoldsAnAddressToEachRate(t *testing.T) {
	t.Parallel()
	for path, c := range map[string]struct {
		number int
		wait   time.Duration
	}{
		"POST /auth/login":              {30, 2 * time.Second},
		"POST /auth/refresh":            {60, time.Second},
		"POST /auth/register":           {10, 6 * time.Minute},
		"POST /auth/activate/resend":    {10, 6 * time.Second},
		"GET /auth/activate/some-link":  {60, time.Second},
		"POST /auth/activate/some-link": {60, time.Second},
		"POST /auth/verify":             {60, time.Second},
		"POST /auth/logout":             {60, time.Second},
		"HEAD /auth/activate/some-link": {60, 0},
		"GET /tasks":                    {500, time.Second},
		"DELETE /nowhere":               {500, time.Second},
		"GET /auth/login":               {500, time.Second}, // there is no such method
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			a := throttledApp(t)
			method, path, _ := strings.Cut(path, " ")
			ask := func(address string) *response {
				t.Helper()
				var body any
				if method == "POST" {
					body = map[string]any{}
				}
				return a.do(method, path, body, from(address))
			}
			for i := range c.number {
				if i%2 == 1 && !strings.HasSuffix(path, "/") {
					path += "/" // the same route
				} else {
					path = strings.TrimSuffix(path, "/")
				}
				ask("192.0.2.1").wantThrough()
			}
			ask("192.0.2.2").wantThrough()
			if method == "HEAD" {
				ask("192.0.2.1").want(http.StatusTooManyRequests)
				return
			}
			ask("192.0.2.1").wantThrottled(c.wait)
			a.Clock.Advance(c.wait)
			ask("192.0.2.1").wantThrough()
			if c.number < 500 { // a hundred come back in a second
				ask("192.0.2.1").wantThrottled(c.wait)
			}
			a.Clock.Advance(time.Hour)
			for range c.number {
				ask("192.0.2.1").wantThrough()
			}
		})
	}
}

func TestThrottle_BucketsAreSeparate(t *testing.T) {
	t.Parallel()
	a := throttledApp(t)
	alice := a.user("alice") // from the proxy's own address
	for range 29 {
		a.loginAs("alice", password).wantThrough()
	}
	a.loginAs("alice", password).wantThrottled(2 * time.Second)
	alice.setTokens(a.refreshWith(alice.Refresh).want(http.StatusOK))
	alice.task("Still here")
	a.verifyToken(alice.Access).want(http.StatusOK)
	a.do("POST", "/auth/register", map[string]any{}).want(http.StatusBadRequest)
	a.do("POST", "/auth/activate/resend", map[string]any{"email": "alice@example.com"}).want(http.StatusAccepted)
	a.do("POST", "/auth/login", map[string]any{}, from("192.0.2.1")).want(http.StatusBadRequest)
}

func TestThrottle_OverallStandsBeforeEverythingButProbes(t *testing.T) {
	t.Parallel()
	a := throttledApp(t)
	for range 500 {
		a.do("GET", "/", nil).want(http.StatusOK)
	}
	for _, c := range []struct {
		method, path string
		body         any
		headers      []header
	}{
		{"GET", "/", nil, nil},
		{"GET", "/users/me", nil, []header{bearer("not a token")}},
		{"POST", "/tasks", strings.Repeat("x", 2<<20), nil},
		{"POST", "/auth/login", map[string]any{}, nil},
		{"GET", "/nowhere", nil, nil},
		{"POST", "/healthz", nil, nil},
	} {
		a.do(c.method, c.path, c.body, c.headers...).wantThrottled(time.Second)
	}
	for _, path := range []string{"/healthz", "/readyz", "/healthz/", "/readyz/"} {
		a.do("GET", path, nil).want(http.StatusOK)
		a.do("HEAD", path, nil).want(http.StatusOK)
	}
}

func TestThrottle_TakesTheClientsAddressFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	forwarded := func(values ...string) (fields []header) {
		for _, v := range values {
			fields = append(fields, from(v))
		}
		return fields
	}
	for name, c := range map[string]struct {
		proxies []string
		// claims gives the fields of request i.
		claims func(i int) []header
		same   bool // whether they are one client
	}{
		"no proxy is trusted":          {nil, func(i int) []header { return forwarded(fmt.Sprintf("192.0.2.%d", i)) }, true},
		"another proxy is trusted":     {[]string{"10.0.0.0/8"}, func(i int) []header { return forwarded(fmt.Sprintf("192.0.2.%d", i)) }, true},
		"a trusted one":                {[]string{"127.0.0.1"}, func(i int) []header { return forwarded(fmt.Sprintf("192.0.2.%d", i)) }, false},
		"what the client claimed":      {[]string{"127.0.0.1"}, func(i int) []header { return forwarded(fmt.Sprintf("192.0.2.%d, 203.0.113.9", i)) }, true},
		"in a field of its own":        {[]string{"127.0.0.1"}, func(i int) []header { return forwarded(fmt.Sprintf("192.0.2.%d", i), "203.0.113.9") }, true},
		"behind two trusted hops":      {[]string{"127.0.0.1", "10.0.0.0/8"}, func(i int) []header { return forwarded(fmt.Sprintf("6.6.6.6, 192.0.2.%d, 10.1.1.1", i)) }, false},
		"addresses of one /64":         {[]string{"127.0.0.1"}, func(i int) []header { return forwarded(fmt.Sprintf("2001:db8::%x:1", i)) }, true},
		"addresses of many /64":        {[]string{"127.0.0.1"}, func(i int) []header { return forwarded(fmt.Sprintf("2001:db8:0:%x::1", i)) }, false},
		"one address, written anew":    {[]string{"127.0.0.1"}, func(i int) []header { return forwarded([]string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2]) }, true},
		"other fields are not read":    {[]string{"127.0.0.1"}, func(i int) []header { return []header{{"X-Real-IP", fmt.Sprintf("192.0.2.%d", i)}} }, true},
		"nor is Forwarded, of another": {[]string{"127.0.0.1"}, func(i int) []header { return []header{{"Forwarded", fmt.Sprintf("for=192.0.2.%d", i)}} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, func(cfg *config.Config) { cfg.Throttle, cfg.TrustedProxies = "on", c.proxies })
			var last *response
			for i := range 11 {
				last = a.do("POST", "/auth/register", map[string]any{}, c.claims(i)...)
				if i < 10 {
					last.wantThrough()
				}
			}
			if c.same {
				last.wantThrottled(6 * time.Minute)
			} else {
				last.wantThrough()
			}
		})
	}
}

func TestThrottle_OffLimitsNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *config.Config) { c.Throttle = "off" })
	a.user("alice")
	for range 40 {
		a.loginAs("nobody", password).want(http.StatusUnauthorized)
	}
	for range 510 {
		a.do("POST", "/auth/register", map[string]any{}).want(http.StatusBadRequest)
	}
}

// What is open to all and takes a credential of its own is what is guessed at.
func TestRoutes_ThatTakeCredentialsHaveARate(t *testing.T) {
	t.Parallel()
	throttle := services.NewThrottle(time.Now, nil)
	for _, r := range routes.Table() {
		if r.Access == routes.Credentials && r.Rate == services.RateOverall {
			t.Errorf("%s %s has no rate", r.Method, r.Path)
		}
		if err := throttle.Allow(t.Context(), r.Rate, r.Method+r.Path); err != nil { // panics at a class that there is not
			t.Errorf("%s %s: %v", r.Method, r.Path, err)
		}
	}
}
