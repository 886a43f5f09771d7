package main

import (
	"bytes"
	"cmp"
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

// signIn gets an access token as a new user does: register, activate, log in.
func signIn(s *server) error {
	const password = "a fine long phrase 71" //nolint:gosec // of this run only
	var got struct {
		URL    string `json:"confirmation_url"`
		Access string `json:"access"`
	}
	steps := []struct {
		path, body string
		status     int
	}{
		{"/auth/register", `{"username":"bench.writer","email":"writer@example.org","password":"` + password + `"}`, http.StatusCreated},
		{"", "", http.StatusOK},
		{"/auth/login", `{"username":"bench.writer","password":"` + password + `"}`, http.StatusOK},
	}
	for _, step := range steps {
		path := cmp.Or(step.path, strings.TrimPrefix(got.URL, s.url))
		status, _, body, err := call(s, http.MethodPost, path, step.body)
		if err != nil {
			return err
		}
		if status != step.status {
			return fmt.Errorf("sign in: POST %s answered %d: %s", path, status, body)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
	}
	s.token = got.Access
	return nil
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
		for i := range 3 {
			// The two write as different accounts, at different times.
			err := same(d, f, http.MethodPost, [2]string{"/tasks", "/tasks"}, newTask(i), http.StatusCreated,
				"id", "url", "person", "created_by", "created_at", "updated_at")
			if err != nil {
				return err
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
