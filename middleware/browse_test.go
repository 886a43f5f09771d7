package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"

	"dueto/middleware"
)

// browsed is a router whose one route answers JSON, shown as b says.
func browsed(b middleware.Browsing) http.Handler {
	r := gin.New()
	r.Use(middleware.Browse(b))
	r.GET("/", func(c *gin.Context) { c.JSON(http.StatusOK, "an answer") })
	return r
}

func TestBrowse_MakesFewPagesAtOnce(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	var made atomic.Int64
	handler := browsed(middleware.Browsing{AtOnce: 1, Show: func(*gin.Context, middleware.Answer) []byte {
		made.Add(1)
		entered <- struct{}{}
		<-leave
		return []byte("a page")
	}})
	ask := func(ctx context.Context) (body string, failed any) {
		defer func() { failed = recover() }()
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Accept", "text/html")
		handler.ServeHTTP(w, r)
		return w.Body.String(), nil
	}
	first := make(chan string)
	go func() {
		body, _ := ask(t.Context())
		first <- body
	}()
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, failed := ask(gone); failed == nil || !errors.Is(failed.(error), http.ErrAbortHandler) {
		t.Errorf("who has gone while waiting is answered: %v", failed)
	}
	if n := made.Load(); n != 1 {
		t.Errorf("%d pages are made at once", n)
	}
	leave <- struct{}{}
	if got := <-first; got != "a page" {
		t.Errorf("the first is sent %q", got)
	}
	go func() {
		<-entered
		leave <- struct{}{}
	}()
	if body, failed := ask(t.Context()); body != "a page" || failed != nil {
		t.Errorf("the next one is sent %q, %v", body, failed)
	}
}

func TestBrowse_MakesNoPageForHEAD(t *testing.T) {
	t.Parallel()
	r := gin.New()
	r.Use(middleware.Browse(middleware.Browsing{Policy: "a policy", Show: func(*gin.Context, middleware.Answer) []byte {
		t.Error("a page is made")
		return nil
	}}))
	r.HEAD("/", func(c *gin.Context) { c.JSON(http.StatusAccepted, "an answer") })
	w := httptest.NewRecorder()
	ask := httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", nil)
	ask.Header.Set("Accept", "text/html")
	r.ServeHTTP(w, ask)
	if h := w.Header(); w.Code != http.StatusAccepted || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Content-Security-Policy") != "a policy" {
		t.Errorf("HEAD is answered %d with %v", w.Code, h)
	}
}
