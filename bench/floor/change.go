package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// members is a set of what can be changed of a task.
type members uint8

const (
	setTitle members = 1 << iota
	setDescription
	setDueTo
	setDone
	setPriority
	setTags
	setPrivate
	allMembers = 1<<iota - 1
)

// assignments are in the order of the bits, and so are the arguments.
var assignments = [...]string{
	"title = ?, ", "description = ?, ", "due_to = ?, ",
	"done = ?, done_at = CASE WHEN done = ? THEN done_at WHEN ? THEN ? END, ",
	"priority = ?, ", "tags = ?, ", "private = ?, ",
}

// update gives the statement that sets the members of a task that is for or by
// somebody.
func (m members) update() string {
	var b strings.Builder
	b.WriteString("UPDATE tasks SET ")
	for bit, text := range assignments {
		if m&(1<<bit) != 0 {
			b.WriteString(text)
		}
	}
	b.WriteString("updated_at = ?, version = version + 1 WHERE id = ? AND (person_id = CAST(? AS BIGINT) OR created_by = CAST(? AS BIGINT)) RETURNING " + columns)
	return b.String()
}

// patch is the body of a change. A member that is absent is nil.
type patch struct {
	Title       *string         `json:"title"`
	Description *string         `json:"description"`
	DueTo       json.RawMessage `json:"due_to"` // null takes the date away
	Done        *bool           `json:"done"`
	Priority    *int64          `json:"priority"`
	Tags        *[]string       `json:"tags"`
	Visibility  *string         `json:"visibility"`
}

// arguments gives what the statement takes for the members that are there, or
// fails where one is not valid.
func (p *patch) arguments(now int64) (set members, args []any, err error) {
	args = make([]any, 0, 16)
	if p.Title != nil {
		if n := utf8.RuneCountInString(*p.Title); n == 0 || n > 100 {
			return 0, nil, errBadRequest
		}
		set, args = set|setTitle, append(args, *p.Title)
	}
	if p.Description != nil {
		set, args = set|setDescription, append(args, *p.Description)
	}
	if p.DueTo != nil {
		var due any
		if !bytes.Equal(p.DueTo, []byte("null")) {
			var t time.Time
			if err := t.UnmarshalJSON(p.DueTo); err != nil {
				return 0, nil, errBadRequest
			}
			due = t.UnixMicro()
		}
		set, args = set|setDueTo, append(args, due)
	}
	if p.Done != nil {
		set, args = set|setDone, append(args, *p.Done, *p.Done, *p.Done, now)
	}
	if p.Priority != nil {
		if *p.Priority < 0 || *p.Priority > 4 {
			return 0, nil, errBadRequest
		}
		set, args = set|setPriority, append(args, *p.Priority)
	}
	if p.Tags != nil {
		if len(*p.Tags) > 20 {
			return 0, nil, errBadRequest
		}
		set, args = set|setTags, append(args, tagList(*p.Tags))
	}
	if p.Visibility != nil {
		set, args = set|setPrivate, append(args, *p.Visibility == "private")
	}
	return set, append(args, now), nil
}

func (s *server) change(w http.ResponseWriter, r *http.Request, text string) error {
	user, err := s.guard.user(r)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return sql.ErrNoRows
	}
	var in patch
	if err := read(w, r, &in); err != nil {
		return errBadRequest
	}
	set, args, err := in.arguments(time.Now().UnixMicro())
	if err != nil {
		return err
	}
	task := rowPool.Get().(*row)
	defer rowPool.Put(task)
	err = s.store.update(task, set, append(args, id, user, user))
	if errors.Is(err, sql.ErrNoRows) && s.store.task(task, id) == nil {
		return errForbidden // it is there to read, and not theirs
	}
	if err != nil {
		return err
	}
	w.Header()["Etag"] = []string{`"` + strconv.FormatInt(task.version(), 10) + `"`}
	b := bufferPool.Get().(*[]byte)
	*b = append(task.appendJSON((*b)[:0], s.url), '\n')
	send(w, http.StatusOK, *b)
	bufferPool.Put(b)
	return nil
}
