// Constant answers bodies made beforehand on bare net/http: the most that any
// server on that library can reach.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	one := flag.Int("one", 340, "bytes of an answer")
	list := flag.Int("list", 17000, "bytes of the answer to GET /tasks")
	flag.Parse()
	if err := run(*addr, answer(*one), answer(*list)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// body is an answer and what its headers say of it.
type body struct {
	bytes  []byte
	length []string
}

func answer(size int) body {
	return body{bytes.Repeat([]byte{'x'}, size), []string{strconv.Itoa(size)}}
}

func run(addr string, one, list body) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	contentType := []string{"application/json"}
	fmt.Fprintf(os.Stderr, "listening on http://%s\n", listener.Addr())
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // measured without timeouts
		b := one
		if r.Method == http.MethodGet && r.URL.Path == "/tasks" {
			b = list
		}
		h := w.Header()
		h["Content-Type"], h["Content-Length"] = contentType, b.length
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = w.Write(b.bytes)
	}))
}
