package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

var (
	errUnauthorized = errors.New("not authenticated")
	errForbidden    = errors.New("not allowed")
	errBadRequest   = errors.New("bad request")
)

// guard tells who a request speaks for, as Dueto does: by a signed token, and
// by the session and account rows that it names.
type guard struct {
	key    any
	store  *store
	parser *jwt.Parser
	find   jwt.Keyfunc
}

func newGuard(secret string, st *store) *guard {
	g := &guard{key: []byte(secret), store: st, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{"HS512"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer("floor"), jwt.WithAudience("floor"))}
	g.find = func(*jwt.Token) (any, error) { return g.key, nil }
	return g
}

type claims struct {
	jwt.RegisteredClaims
	TokenType string `json:"token_type"`
	UserID    int64  `json:"user_id"`
	Username  string `json:"username"`
	SessionID int64  `json:"sid"`
}

// user gives the id of the account that the request is signed in as.
func (g *guard) user(r *http.Request) (int64, error) {
	raw, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var c claims
	if !bearer {
		return 0, errUnauthorized
	}
	if _, err := g.parser.ParseWithClaims(raw, &c, g.find); err != nil || c.TokenType != "access" {
		return 0, errUnauthorized
	}
	rows, err := g.store.session.Query(c.SessionID)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	var v [11]any
	if !rows.Next() {
		return 0, errors.Join(rows.Err(), errUnauthorized)
	}
	if err := rows.Scan(&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &v[10]); err != nil {
		return 0, err
	}
	id, live := v[5].(int64), v[4] == nil && time.Now().UnixMicro() < v[3].(int64)
	active := v[9] != nil && v[10] == nil
	if id != c.UserID || !live || !active {
		return 0, errUnauthorized
	}
	return id, nil
}

type newTask struct {
	Title       string     `json:"title"`
	Description string     `json:"description"`
	DueTo       *time.Time `json:"due_to"`
	Done        bool       `json:"done"`
	Priority    int64      `json:"priority"`
	Tags        []string   `json:"tags"`
	Visibility  string     `json:"visibility"`
}

func (t *newTask) valid() bool {
	title := utf8.RuneCountInString(t.Title)
	return title > 0 && title <= 100 && t.Priority >= 0 && t.Priority <= 4 && len(t.Tags) <= 20
}

func read(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

func tagList(tags []string) string {
	if len(tags) == 0 {
		return "[]"
	}
	list, _ := json.Marshal(tags) // of strings: cannot fail
	return string(list)
}

func (s *server) create(w http.ResponseWriter, r *http.Request) error {
	user, err := s.guard.user(r)
	if err != nil {
		return err
	}
	var in newTask
	if err := read(w, r, &in); err != nil || !in.valid() {
		return errBadRequest
	}
	task := rowPool.Get().(*row)
	defer rowPool.Put(task)
	now := time.Now().UnixMicro()
	var due, doneAt any
	if in.DueTo != nil {
		due = in.DueTo.UnixMicro()
	}
	if in.Done {
		doneAt = now
	}
	task.values = [...]any{int64(0), in.Title, in.Description, due, in.Done, doneAt, in.Priority, tagList(in.Tags), in.Visibility == "private",
		user, user, now, now, int64(1)}
	id, err := s.store.insert(task.values[1:]...)
	if err != nil {
		return err
	}
	task.values[0] = id
	h := w.Header()
	h["Etag"] = []string{`"1"`}
	h["Location"] = []string{s.url + strconv.FormatInt(id, 10)}
	b := bufferPool.Get().(*[]byte)
	*b = append(task.appendJSON((*b)[:0], s.url), '\n')
	send(w, http.StatusCreated, *b)
	bufferPool.Put(b)
	return nil
}
