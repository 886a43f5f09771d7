// Floor answers what Dueto's busiest routes answer, from the same database
// file, written by hand on net/http, database/sql and the SQLite driver: no
// router, no mapper, no reflection, no log, no timeouts, no paging links, one
// account's token. It is what a careful program for these routes alone costs,
// and so what Dueto's own work is measured against.
package main

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	database := flag.String("database", "", "the database file")
	grouped := flag.Bool("grouped", false, "commit waiting writes together")
	flag.Parse()
	if err := run(*addr, *database, *grouped); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(addr, database string, grouped bool) error {
	secret := os.Getenv("FLOOR_SECRET")
	if secret == "" {
		return errors.New("FLOOR_SECRET is not set")
	}
	st, err := openStore(openSQLite(database), grouped)
	if err != nil {
		return fmt.Errorf("open %s: %w", database, err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	public := "http://" + listener.Addr().String()
	s := &server{store: st, guard: newGuard(secret, st), url: public + "/tasks/"}
	fmt.Fprintf(os.Stderr, "listening on %s\n", public)
	return http.Serve(listener, s) //nolint:gosec // measured without timeouts
}

type server struct {
	store *store
	guard *guard
	url   string // of a task, but for its id
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, single := strings.CutPrefix(r.URL.Path, "/tasks/")
	var err error
	switch {
	case single && r.Method == http.MethodGet:
		err = s.get(w, r, id)
	case single && r.Method == http.MethodPatch:
		err = s.change(w, r, id)
	case r.URL.Path == "/tasks" && r.Method == http.MethodGet:
		err = s.list(w, r)
	case r.URL.Path == "/tasks" && r.Method == http.MethodPost:
		err = s.create(w, r)
	default:
		err = sql.ErrNoRows
	}
	switch {
	case err == nil:
	case errors.Is(err, sql.ErrNoRows):
		http.Error(w, "not found", http.StatusNotFound)
	case errors.Is(err, errUnauthorized):
		http.Error(w, "not authenticated", http.StatusUnauthorized)
	case errors.Is(err, errForbidden):
		http.Error(w, "not allowed", http.StatusForbidden)
	case errors.Is(err, errBadRequest):
		http.Error(w, "not valid", http.StatusBadRequest)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (s *server) get(w http.ResponseWriter, r *http.Request, text string) error {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return sql.ErrNoRows
	}
	row := rowPool.Get().(*row)
	defer rowPool.Put(row)
	if err := s.store.task(row, id); err != nil {
		return err
	}
	etag := `"` + strconv.FormatInt(row.version(), 10) + `"`
	h := w.Header()
	h["Etag"] = []string{etag}
	if match := r.Header["If-None-Match"]; len(match) == 1 && match[0] == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	b := bufferPool.Get().(*[]byte)
	*b = append(row.appendJSON((*b)[:0], s.url), '\n')
	send(w, http.StatusOK, *b)
	bufferPool.Put(b)
	return nil
}

func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	rows, err := s.page(r)
	if err != nil {
		return err
	}
	row := rowPool.Get().(*row)
	defer rowPool.Put(row)
	b := bufferPool.Get().(*[]byte)
	defer bufferPool.Put(b)
	if *b, err = row.appendList((*b)[:0], rows, s.url); err != nil {
		return err
	}
	send(w, http.StatusOK, *b)
	return nil
}

// page starts the query that the parameters ask for.
func (s *server) page(r *http.Request) (*sql.Rows, error) {
	if r.URL.RawQuery == "" {
		return s.store.first.Query()
	}
	q := r.URL.Query()
	if text := q.Get("after"); text != "" {
		after, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, errBadRequest
		}
		return s.store.after.Query(after)
	}
	person, err := strconv.ParseInt(q.Get("person"), 10, 64)
	if err != nil || q.Get("ordering") != "due_to" {
		return nil, errBadRequest
	}
	done, err := strconv.ParseBool(q.Get("done"))
	if err != nil {
		return nil, errBadRequest
	}
	return s.store.ofPerson.Query(person, done)
}

var (
	contentType = []string{"application/json"}
	bufferPool  = sync.Pool{New: func() any { return new(make([]byte, 0, 32<<10)) }}
)

func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
