package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dueto/config"
	"dueto/models"
	"dueto/routes"
)

// These benchmarks call Dueto's handler in this process, so that a profile
// shows where its time goes:
//
//	go test ./bench -run '^$' -bench GetTask -o bin/bench.test -cpuprofile bin/cpu.out && go tool pprof -top bin/cpu.out

const profiledTasks = 20_000

// newHandler gives the handler that the binary serves, over a seeded database.
func newHandler(b *testing.B) http.Handler {
	b.Helper()
	ctx := context.Background()
	file := filepath.Join(b.TempDir(), "dueto.db")
	if err := seedDatabase(ctx, file, profiledTasks, time.Now()); err != nil {
		b.Fatal(err)
	}
	cfg := config.Default()
	cfg.PublicURL, cfg.Database, cfg.PasswordCost, cfg.Throttle = "http://dueto.test", "sqlite:"+file, 4, "off"
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // formatting lines is part of the cost
	store, err := models.Open(ctx, cfg.Database, models.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	h, err := routes.New(routes.Deps{
		Config: cfg, Secret: []byte("kV8rT2nQ5xW9zB4mL7cJ1hF6gD3sA0pY8uE5iO2tR7"), Store: store, Logger: log,
	})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// sink is an answer of which only the status is kept.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// serve calls the handler with a copy of the request.
func serve(h http.Handler, request *http.Request, body string) int {
	s := sink{header: http.Header{}, status: http.StatusOK}
	r := *request
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	h.ServeHTTP(&s, &r)
	return s.status
}

// measureReads asks for the paths in turn.
func measureReads(b *testing.B, paths ...string) {
	b.Helper()
	h := newHandler(b)
	var requests []*http.Request
	for _, path := range paths {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if serve(h, r, "") == http.StatusOK { // a private task is not there
			requests = append(requests, r)
		}
	}
	if len(requests) == 0 {
		b.Fatal("none of the paths is answered")
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if status := serve(h, requests[i%len(requests)], ""); status != http.StatusOK {
			b.Fatalf("GET %s answered %d", requests[i%len(requests)].URL, status)
		}
		i++
	}
}

func BenchmarkGetTask(b *testing.B) {
	var paths []string
	for id := int64(1); id <= profiledTasks; id += 37 {
		paths = append(paths, taskPath(id))
	}
	measureReads(b, paths...)
}

func BenchmarkListTasks50(b *testing.B) { measureReads(b, "/tasks") }

func BenchmarkFilteredPage(b *testing.B) {
	var paths []string
	for person := 1; person <= accounts; person += 7 {
		paths = append(paths, personPath(person))
	}
	measureReads(b, paths...)
}

// account signs a new user in, in this process.
func account(b *testing.B, h http.Handler) (access, refresh string) {
	b.Helper()
	post := func(path, body string) (answer map[string]any) {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code >= 300 {
			b.Fatalf("POST %s answered %d: %s", path, rec.Code, rec.Body)
		}
		return answer
	}
	const credentials = `"username":"bench.writer","password":"a fine long phrase 71"`
	made := post("/auth/register", `{"email":"writer@example.org",`+credentials+`}`)
	link, _ := made["confirmation_url"].(string)
	post(strings.TrimPrefix(link, "http://dueto.test"), "")
	tokens := post("/auth/login", "{"+credentials+"}")
	access, _ = tokens["access"].(string)
	refresh, _ = tokens["refresh"].(string)
	return access, refresh
}

func BenchmarkCreateTask_Parallel32(b *testing.B) {
	h := newHandler(b)
	access, _ := account(b, h)
	create := httptest.NewRequest(http.MethodPost, "/tasks", nil)
	create.Header.Set("Content-Type", "application/json")
	create.Header.Set("Authorization", "Bearer "+access)
	var refused, number atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32 / min(32, runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if status := serve(h, create, newTask(int(number.Add(1)))); status != http.StatusCreated {
				refused.Store(int64(status))
			}
		}
	})
	if status := refused.Load(); status != 0 {
		b.Fatal("POST /tasks answered " + strconv.FormatInt(status, 10))
	}
}

// BenchmarkRefresh spends each refresh token for the next.
func BenchmarkRefresh(b *testing.B) {
	h := newHandler(b)
	_, refresh := account(b, h)
	request := httptest.NewRequest(http.MethodPost, "/auth/refresh", nil)
	request.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		r := *request
		r.Body = io.NopCloser(strings.NewReader(fmt.Sprintf(`{"refresh":%q}`, refresh)))
		rec := httptest.NewRecorder()
		rec.Body = new(bytes.Buffer)
		h.ServeHTTP(rec, &r)
		var tokens struct {
			Refresh string `json:"refresh"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &tokens); err != nil || rec.Code != http.StatusOK {
			b.Fatalf("POST /auth/refresh answered %d: %s", rec.Code, rec.Body)
		}
		refresh = tokens.Refresh
	}
}

// BenchmarkDeepPage reads a page by the cursor that forty others lead to.
func BenchmarkDeepPage(b *testing.B) {
	h := newHandler(b)
	next := "/tasks"
	for range 40 {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, next, nil))
		link := rec.Header().Get("Link")
		next = link[strings.Index(link, "/tasks?"):strings.Index(link, ">")]
	}
	r := httptest.NewRequest(http.MethodGet, next, nil)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		serve(h, r, "")
	}
}
