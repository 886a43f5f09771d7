package tests

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"dueto/services"
)

// Where a cuttingProxy breaks a connection.
const (
	cutNowhere = iota
	cutBeforeCommit
	cutAfterCommit
)

// cuttingProxy stands before a PostgreSQL server, and breaks a connection off
// when a commit comes by: before the server hears of it, or after it has
// answered, without passing that on.
type cuttingProxy struct {
	listener net.Listener
	server   string
	cut      atomic.Int64 // where to break off the next commit
}

func newCuttingProxy(t *testing.T, server string) *cuttingProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &cuttingProxy{listener: l, server: server}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.pass(client)
		}
	}()
	return p
}

func (p *cuttingProxy) pass(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	var mute atomic.Bool
	go func() {
		defer func() { _ = client.Close() }()
		answers := make([]byte, 64<<10)
		for {
			n, err := server.Read(answers)
			if err != nil || mute.Load() { // what it answers to the commit is lost
				return
			}
			if _, err := client.Write(answers[:n]); err != nil {
				return
			}
		}
	}()
	defer func() { _ = server.Close() }()
	requests := make([]byte, 64<<10)
	for {
		n, err := client.Read(requests)
		if err != nil {
			return
		}
		if bytes.Contains(requests[:n], []byte("commit\x00")) {
			switch p.cut.Swap(cutNowhere) {
			case cutBeforeCommit:
				_ = client.Close()
				return
			case cutAfterCommit:
				mute.Store(true)
			}
		}
		if _, err := server.Write(requests[:n]); err != nil {
			return
		}
		if mute.Load() {
			_, _ = io.Copy(io.Discard, client) // until the client is cut off
			return
		}
	}
}

func TestPostgres_AConnectionCutDuringTheCommitIsToldAndNotTriedAgain(t *testing.T) {
	t.Parallel()
	direct, err := url.Parse(emptyPostgres(t))
	must(t, err)
	proxy := newCuttingProxy(t, direct.Host)
	through := *direct
	through.Host = proxy.listener.Addr().String()
	through.RawQuery = "sslmode=disable"
	a := startApp(t, through.String(), &clock{now: start})
	alice := a.user("alice")

	titles := func() (all []string) {
		for _, task := range a.do("GET", "/tasks", nil).want(http.StatusOK).list() {
			all = append(all, task["title"].(string))
		}
		return all
	}
	create := func(title string, cut int64) {
		a.Services.Close() // what is written behind answers is not what is to be cut
		proxy.cut.Store(cut)
		r := alice.do("POST", "/tasks", map[string]any{"title": title}).wantProblem(http.StatusServiceUnavailable, services.CodeStorage)
		if detail := r.object()["detail"].(string); !strings.Contains(detail, "Look whether it was") || strings.Contains(detail, "Nothing was changed") {
			t.Errorf("it says %q, which nobody knows", detail)
		}
		if proxy.cut.Load() != cutNowhere {
			t.Errorf("%s: no commit came by", title)
		}
	}
	create("never heard of", cutBeforeCommit)
	if got := titles(); len(got) != 0 {
		t.Errorf("there are %q", got)
	}
	create("kept", cutAfterCommit)
	if got := titles(); len(got) != 1 || got[0] != "kept" {
		t.Errorf("there are %q, want the one that was kept, once", got)
	}
	alice.task("as ever")
}
