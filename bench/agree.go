package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// call sends a request as an ordinary client does; a token is sent if the
// server has one.
func call(s *server, method, path, body string) (status int, header http.Header, answer []byte, err error) {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
		if s.token != "" {
			req.Header.Set("Authorization", "Bearer "+s.token)
		}
	}
	res, err := http.DefaultClient.Do(req) //nolint:gosec // a server of ours
	if err != nil {
		return 0, nil, nil, fmt.Errorf("%s: %w", s.name, err)
	}
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, res.Header, answer, errors.Join(err, res.Body.Close())
}

// signIn gets an access token for writes as the first account.
func signIn(s *server) (err error) {
	s.token, _, err = login(s, 1)
	return err
}

// login signs one of the accounts in.
func login(s *server, person int) (access, refresh string, err error) {
	body := fmt.Sprintf(`{"username":%q,"password":%q}`, username(person), password)
	status, _, answer, err := call(s, http.MethodPost, "/auth/login", body)
	if err != nil {
		return "", "", err
	}
	var got struct {
		Access  string `json:"access"`
		Refresh string `json:"refresh"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || status != http.StatusOK {
		return "", "", fmt.Errorf("%s: a login was answered %d: %s", s.name, status, answer)
	}
	return got.Access, got.Refresh, nil
}

// floorToken makes a token like Dueto's for the floor.
func floorToken(secret string, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS512, jwt.MapClaims{
		"iss": "floor", "aud": []string{"floor"}, "sub": "1", "exp": now.Add(24 * time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(),
		"jti": "NQBZ3WXPQAJBX6P4IB2RUQVPOX", "token_type": "access", "user_id": 1, "username": "person0001", "sid": floorSession, "perms": []string{},
	}).SignedString([]byte(secret))
}

// agree makes sure that the servers answer the same: a floor that answers less
// would be no measure.
func (p *plan) agree(d *server, floors ...*server) error {
	for _, f := range floors {
		var paths [][2]string
		for _, id := range p.ids[:20] {
			paths = append(paths, [2]string{taskPath(id), taskPath(id)})
		}
		for _, person := range p.persons[:5] {
			paths = append(paths, [2]string{personPath(person), personPath(person)})
		}
		for _, at := range p.places {
			paths = append(paths, [2]string{at.path(d), at.path(f)})
		}
		paths = append(paths, [2]string{"/tasks", "/tasks"})
		for _, path := range paths {
			if err := same(d, f, http.MethodGet, path, "", http.StatusOK); err != nil {
				return err
			}
		}
	}
	for _, f := range floors {
		for i := range 3 {
			err := same(d, f, http.MethodPost, [2]string{"/tasks", "/tasks"}, newTask(i), http.StatusCreated,
				"id", "url", "created_at", "updated_at")
			if err != nil {
				return err
			}
		}
		for i, id := range p.own[:8] {
			path := [2]string{taskPath(id), taskPath(id)}
			if err := same(d, f, http.MethodPatch, path, changedTask(i), http.StatusOK, "done_at", "updated_at"); err != nil {
				return err
			}
		}
		if err := p.refuse(d, f); err != nil {
			return err
		}
	}
	return nil
}

// refuse makes sure that neither changes a task of somebody else's, nor for
// nobody.
func (p *plan) refuse(servers ...*server) error {
	for _, s := range servers {
		nobody := *s
		nobody.token = "nonsense"
		for _, c := range []struct {
			as     *server
			id     int64
			status int
		}{{s, p.others, http.StatusForbidden}, {s, 1 << 40, http.StatusNotFound}, {&nobody, p.own[0], http.StatusUnauthorized}} {
			status, _, answer, err := call(c.as, http.MethodPatch, taskPath(c.id), changedTask(0))
			if err != nil {
				return err
			}
			if status != c.status {
				return fmt.Errorf("%s: a change that must be refused with %d was answered %d: %s", s.name, c.status, status, answer)
			}
		}
	}
	return nil
}

// same compares two answers as JSON values, but for the hosts in URLs and what
// is named besides.
func same(d, f *server, method string, paths [2]string, body string, want int, except ...string) error {
	var values [2]any
	for i, s := range []*server{d, f} {
		status, _, answer, err := call(s, method, paths[i], body)
		if err != nil {
			return err
		}
		if status != want {
			return fmt.Errorf("%s: %s %s answered %d: %s", s.name, method, paths[i], status, answer)
		}
		decoder := json.NewDecoder(bytes.NewReader(bytes.ReplaceAll(answer, []byte(s.url), nil)))
		decoder.UseNumber()
		if err := decoder.Decode(&values[i]); err != nil {
			return fmt.Errorf("%s: %s %s: %w", s.name, method, paths[i], err)
		}
		if object, ok := values[i].(map[string]any); ok {
			for _, member := range except {
				if _, there := object[member]; !there {
					return fmt.Errorf("%s: %s %s answers no member %s", s.name, method, paths[i], member)
				}
				delete(object, member)
			}
		}
	}
	if !reflect.DeepEqual(values[0], values[1]) {
		return fmt.Errorf("%s and %s differ on %s %s:\n%v\n%v", d.name, f.name, method, paths[1], values[0], values[1])
	}
	return nil
}
