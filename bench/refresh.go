package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
)

// maxClients is how many sessions there are to be refreshed at once.
const maxClients = 64

// chain refreshes one session: each token that is answered is the next to be
// spent.
type chain struct {
	server *server
	ready  []byte
}

// signInAll starts a session for each client, of an account each.
func signInAll(d *server) (chains []source, err error) {
	for i := range maxClients {
		_, refresh, err := login(d, i+1)
		if err != nil {
			return nil, err
		}
		c := &chain{server: d}
		c.follow(refresh)
		chains = append(chains, c)
	}
	return chains, nil
}

func (c *chain) follow(token string) {
	c.ready = request(c.server, http.MethodPost, "/auth/refresh", fmt.Sprintf(`{"refresh":%q}`, token))
}

func (c *chain) next() []byte { return c.ready }

func (c *chain) answered(status int, answer []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("a refresh was answered %d: %s", status, answer)
	}
	token, ok := member(answer, "refresh")
	if !ok {
		return errors.New("a refresh was answered without a token")
	}
	c.follow(token)
	return nil
}

// member gives a text without escapes from an answer. It is looked for rather
// than parsed: the load has to cost less than what it measures.
func member(answer []byte, name string) (string, bool) {
	_, rest, found := bytes.Cut(answer, []byte(`"`+name+`":"`))
	value, _, closed := bytes.Cut(rest, []byte{'"'})
	return string(value), found && closed
}
