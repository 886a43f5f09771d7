package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
	"dueto/services"
)

const bodyLimit = 64

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// records gives the lines of the log with a message.
func (l *logBuffer) records(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

// failures gives the error records that hold a cause.
func (l *logBuffer) failures(t *testing.T, cause string) (found []map[string]any) {
	t.Helper()
	for _, message := range []string{"request failed", "request failed after its answer began"} {
		for _, record := range l.records(t, message) {
			if text, _ := record["error"].(string); record["level"] == "ERROR" && strings.Contains(text, cause) {
				found = append(found, record)
			}
		}
	}
	return found
}

// only gives the one line of the log with a message.
func (l *logBuffer) only(t *testing.T, message string) map[string]any {
	t.Helper()
	found := l.records(t, message)
	if len(found) != 1 {
		t.Fatalf("%d lines say %q in %s", len(found), message, l)
	}
	return found[0]
}

// authenticator knows one token.
type authenticator struct{}

func (authenticator) Authenticate(_ context.Context, c services.Credential) (services.Actor, error) {
	if c.Token == "good" {
		return services.Actor{UserID: 7, Permissions: []string{services.PermViewTasks}}, nil
	}
	return services.Actor{}, services.ErrTokenNotValid.Because(errors.New("cause of the refusal"))
}

// serve starts the middlewares, in the order that routes has them, before one
// handler; its error goes the way that handlers.Wrap sends it.
func serve(t *testing.T, handler func(*gin.Context) error, doors ...gin.HandlerFunc) (url string, out *logBuffer) {
	t.Helper()
	out = &logBuffer{}
	logger := slog.New(slog.NewJSONHandler(out, nil))
	engine := gin.New()
	engine.Use(
		middleware.Request(time.Minute), middleware.AccessLog(logger), middleware.Recover(logger),
		middleware.SecureHeaders(false), middleware.Errors(logger), middleware.LimitBody(bodyLimit),
	)
	authenticate := middleware.Authenticate(authenticator{}, middleware.Cookies{})
	allow := func(path string) string {
		if strings.HasPrefix(path, "/things/") && strings.Count(path, "/") == 2 {
			return "POST"
		}
		return ""
	}
	engine.NoRoute(authenticate, middleware.NoRoute(allow))
	chain := append([]gin.HandlerFunc{authenticate}, doors...)
	engine.POST("/things/:id", append(chain, func(c *gin.Context) {
		if err := handler(c); err != nil {
			_ = c.Error(err)
			c.Abort()
		}
	})...)
	server := httptest.NewUnstartedServer(engine)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, out
}

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

// answer is what a client got; err is why it could not read it to its end.
type answer struct {
	*http.Response
	body []byte
	err  error
}

func (a *answer) problem(t *testing.T) (p map[string]any) {
	t.Helper()
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return p
}

// send asks for the thing with everything in the request that no log may hold.
func send(t *testing.T, method, url string, headers ...string) *answer {
	t.Helper()
	req, err := http.NewRequest(method, url+"/things/rawid?query=queryvalue", strings.NewReader("bodytext"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", "the-id")
	req.Header.Set("Cookie", "jar=cookievalue")
	req.Header.Set("From", "someone@example.com")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return &answer{err: err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return &answer{res, body, err}
}

func TestFailure_BeforeTheAnswerIs500WithoutInternals(t *testing.T) {
	t.Parallel()
	cause := errors.New("secret cause")
	for name, handler := range map[string]func(*gin.Context) error{
		"unknown error": func(*gin.Context) error { return cause },
		"wrapped error": func(*gin.Context) error { return fmt.Errorf("create thing: %w", cause) },
		"unknown code": func(*gin.Context) error {
			return services.NewError("news", "Something went wrong on the server.").Because(cause)
		},
		"internal":        func(*gin.Context) error { return services.Public(cause) },
		"panic":           func(*gin.Context) error { panic("secret cause") },
		"panic, an error": func(*gin.Context) error { panic(cause) },
		"runtime panic": func(*gin.Context) error {
			var things []error
			return things[len(things)]
		},
		"panic after its headers": func(c *gin.Context) error {
			c.Header("ETag", `"1"`)
			c.Header("Content-Type", "text/html")
			c.Header("Content-Length", "3")
			c.Status(http.StatusCreated)
			panic("secret cause")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, out := serve(t, handler)
			a := send(t, "POST", url, "Authorization", "Bearer good")
			if a.err != nil || a.StatusCode != http.StatusInternalServerError {
				t.Fatalf("the answer is %v", a)
			}
			p := a.problem(t)
			want := map[string]any{"type": "about:blank", "title": "Internal Server Error", "status": 500.0,
				"detail": "Something went wrong on the server.", "code": p["code"], "request_id": "the-id"}
			if !reflect.DeepEqual(p, want) || (p["code"] != "internal" && name != "unknown code") {
				t.Errorf("the body is %v, want %v", p, want)
			}
			if h := a.Header; h.Get("Content-Type") != "application/problem+json" || h.Get("ETag") != "" || h.Get("Cache-Control") != "no-store" ||
				h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Length") != strconv.Itoa(len(a.body)) {
				t.Errorf("the headers are %v", h)
			}
			wanted := "secret cause"
			if name == "runtime panic" {
				wanted = "index out of range"
			}
			told := out.failures(t, wanted)
			if len(told) != 1 || told[0]["request_id"] != "the-id" || told[0]["route"] != "/things/:id" {
				t.Errorf("the log has %v", told)
			}
			if line := out.only(t, "request"); line["status"] != 500.0 {
				t.Errorf("the access log has %v", line)
			}
		})
	}
}

func TestFailure_AfterTheAnswerBeganCutsTheConnection(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"panic":         func() error { panic("secret cause") },
		"unknown error": func() error { return errors.New("secret cause") },
		"known error":   func() error { return services.ErrNotFound.Because(errors.New("secret cause")) },
	} {
		for flushed, flush := range map[string]func(*gin.Context){"sent": func(c *gin.Context) { c.Writer.Flush() }, "buffered": func(*gin.Context) {}} {
			t.Run(name+", "+flushed, func(t *testing.T) {
				t.Parallel()
				url, out := serve(t, func(c *gin.Context) error {
					c.Status(http.StatusOK)
					_, _ = io.WriteString(c.Writer, `{"half":`)
					flush(c)
					return fail()
				})
				a := send(t, "POST", url)
				if a.err == nil {
					t.Errorf("the client takes %d %q for the whole answer", a.StatusCode, a.body)
				}
				if bytes.Contains(a.body, []byte("secret cause")) || bytes.Contains(a.body, []byte("problem")) {
					t.Errorf("the answer goes on with %q", a.body)
				}
				if told := out.failures(t, "secret cause"); len(told) != 1 || told[0]["request_id"] != "the-id" || told[0]["route"] != "/things/:id" {
					t.Errorf("%d records have the cause; wanted is one with the request's id and route", len(told))
				}
				if lines := out.records(t, "request"); len(lines) != 1 || lines[0]["route"] != "/things/:id" || lines[0]["request_id"] != "the-id" {
					t.Errorf("the access log has %v", lines)
				}
			})
		}
	}
}

func TestAbortHandler_IsPassedOnWithoutAWord(t *testing.T) {
	t.Parallel()
	url, out := serve(t, func(*gin.Context) error { panic(http.ErrAbortHandler) })
	if a := send(t, "POST", url); a.err == nil {
		t.Errorf("the answer is %d %q", a.StatusCode, a.body)
	}
	if failed := out.records(t, "request failed"); len(failed) != 0 {
		t.Errorf("the log has %v", failed)
	}
}

func TestKnownError_IsRenderedByItsCode(t *testing.T) {
	t.Parallel()
	statuses := map[services.Code]int{
		services.CodeInvalid: 400, services.CodeMalformed: 400,
		services.CodeNotAuthenticated: 401, services.CodeTokenNotValid: 401, services.CodeTokenExpired: 401,
		services.CodeUserInactive: 401, services.CodeNoActiveAccount: 401,
		services.CodePermissionDenied: 403, services.CodeNotFound: 404, services.CodeMethodNotAllowed: 405,
		services.CodeAlreadyActive: 409, services.CodeConflict: 409, services.CodeCSRF: 403, services.CodePrecondition: 412, services.CodeTooLarge: 413, services.CodeUnsupportedMedia: 415,
		services.CodeThrottled: 429,
		services.CodeBusy:      503, services.CodeStorage: 503, services.CodeTimeout: 503,
		services.CodeInternal: 500,
	}
	for code, status := range statuses {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			url, out := serve(t, func(*gin.Context) error {
				err := &services.Error{Code: code, Message: "A public sentence.", Fields: services.Fields{"title": {"No."}}, RetryAfter: 1500 * time.Millisecond}
				return fmt.Errorf("create thing: %w", err.Because(errors.New("secret cause")))
			})
			a := send(t, "POST", url)
			want := map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": float64(status), "detail": "A public sentence.",
				"code": string(code), "errors": map[string]any{"title": []any{"No."}}, "request_id": "the-id"}
			if got := a.problem(t); a.StatusCode != status || !reflect.DeepEqual(got, want) {
				t.Errorf("%d: %v, want %v", a.StatusCode, got, want)
			}
			if a.Header.Get("Retry-After") != "2" || (a.Header.Get("WWW-Authenticate") != "") != (status == http.StatusUnauthorized) {
				t.Errorf("the headers are %v", a.Header)
			}
			if logged := len(out.records(t, "request failed")) == 1; logged != (status >= 500) {
				t.Errorf("logged as a failure: %v in %s", logged, out)
			}
		})
	}
}

func TestDoors_RefuseBeforeTheHandler(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		door    gin.HandlerFunc
		headers []string
		status  int
	}{
		"nobody at an open door":     {nil, nil, 200},
		"nobody at a closed one":     {middleware.RequireActor, nil, 401},
		"somebody at a closed one":   {middleware.RequireActor, []string{"Authorization", "JWT good"}, 200},
		"somebody who is not good":   {nil, []string{"Authorization", "Token sneakytoken"}, 401},
		"two credentials":            {nil, []string{"Authorization", "Bearer good", "Authorization", "Bearer good"}, 400},
		"a scheme that is not ours":  {nil, []string{"Authorization", "Basic good"}, 200},
		"nobody without the word":    {middleware.RequirePermission(services.PermViewTasks), nil, 403},
		"somebody who has the word":  {middleware.RequirePermission(services.PermViewTasks), []string{"Authorization", "Bearer good"}, 200},
		"somebody with another word": {middleware.RequirePermission(services.PermAddUsers), []string{"Authorization", "Bearer good"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors := slices.DeleteFunc([]gin.HandlerFunc{test.door}, func(f gin.HandlerFunc) bool { return f == nil })
			var reached atomic.Int32
			url, _ := serve(t, func(c *gin.Context) error { reached.Add(1); c.Status(http.StatusOK); return nil }, doors...)
			a := send(t, "POST", url, test.headers...)
			if a.StatusCode != test.status || (reached.Load() == 1) != (test.status == 200) {
				t.Errorf("%d, and the handler was reached %d times; want %d", a.StatusCode, reached.Load(), test.status)
			}
		})
	}
}

func TestLimitBody_StopsAHandlerAtTheLimit(t *testing.T) {
	t.Parallel()
	for size, fits := range map[int]bool{0: true, bodyLimit: true, bodyLimit + 1: false} {
		url, _ := serve(t, func(c *gin.Context) error {
			_, err := io.Copy(io.Discard, c.Request.Body)
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) != !fits {
				return fmt.Errorf("a body of %d bytes: %w", size, err)
			}
			c.Status(http.StatusOK)
			return nil
		})
		res, err := http.Post(url+"/things/1", "text/plain", io.LimitReader(strings.NewReader(strings.Repeat("x", size)), int64(size)))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("a body of %d bytes is handled as %d", size, res.StatusCode)
		}
	}
}

func TestAccessLog_HasThePatternAndNothingOfTheRequest(t *testing.T) {
	t.Parallel()
	created := func(c *gin.Context) error { c.String(http.StatusCreated, "made"); return nil }
	for name, test := range map[string]struct {
		method, path, token string
		handler             func(*gin.Context) error
		want                map[string]any
	}{
		"answer":        {"POST", "", "good", created, map[string]any{"method": "POST", "route": "/things/:id", "status": 201.0, "user_id": 7.0}},
		"nobody":        {"POST", "", "sneakytoken", created, map[string]any{"method": "POST", "route": "/things/:id", "status": 401.0, "user_id": nil}},
		"no such path":  {"POST", "/rawprefix", "good", created, map[string]any{"method": "POST", "route": "", "status": 404.0, "user_id": 7.0}},
		"no method":     {"GET", "", "good", created, map[string]any{"method": "GET", "route": "", "status": 405.0}},
		"long method":   {strings.Repeat("M", 100), "", "good", created, map[string]any{"method": strings.Repeat("M", 20) + "...", "status": 405.0}},
		"panic":         {"POST", "", "good", func(*gin.Context) error { panic("oops") }, map[string]any{"route": "/things/:id", "status": 500.0}},
		"unknown error": {"POST", "", "good", func(*gin.Context) error { return io.EOF }, map[string]any{"route": "/things/:id", "status": 500.0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, out := serve(t, test.handler)
			send(t, test.method, url+test.path, "Authorization", "Bearer "+test.token)
			line := out.only(t, "request")
			for member, want := range test.want {
				if line[member] != want {
					t.Errorf("%s is %v, want %v", member, line[member], want)
				}
			}
			if _, timed := line["duration"].(float64); !timed || line["request_id"] != "the-id" {
				t.Errorf("the line is %v", line)
			}
			for _, secret := range []string{"rawid", "rawprefix", "queryvalue", "good", "sneakytoken", "cookievalue", "someone", "example.com", "bodytext"} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("the log holds %q: %s", secret, out)
				}
			}
		})
	}
}
