package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is one measurement to make: clients on connections of their own, each
// sending the next request as soon as one is answered.
type load struct {
	addr     string
	sources  []source // of a client each
	duration time.Duration
}

// source gives a client what to send, and hears how it was answered.
type source interface {
	next() []byte
	answered(status int, answer []byte) error
}

// turns are requests sent in turn, whatever the answers.
type turns struct {
	requests [][]byte // ready to be sent
	at       int
}

func (t *turns) next() []byte {
	t.at++
	return t.requests[(t.at-1)%len(t.requests)]
}

func (*turns) answered(int, []byte) error { return nil }

// inTurn spreads clients over the same requests.
func inTurn(requests [][]byte, clients int) []source {
	sources := make([]source, clients)
	for i := range sources {
		sources[i] = &turns{requests, i * len(requests) / clients}
	}
	return sources
}

// outcome is what was measured.
type outcome struct {
	answered  int // with 2xx or 304
	refused   int
	seconds   float64
	latencies []time.Duration // of the answered, sorted
}

func (o *outcome) perSecond() float64 { return float64(o.answered) / o.seconds }

// percentile gives the latency that p of a hundred stay below.
func (o *outcome) percentile(p int) time.Duration {
	if len(o.latencies) == 0 {
		return 0
	}
	return o.latencies[min(len(o.latencies)*p/100, len(o.latencies)-1)]
}

// run drives the server for the time and counts what is answered within it.
func (l load) run(ctx context.Context) (outcome, error) {
	clients := make([]*client, len(l.sources))
	for i := range clients {
		c, err := dial(ctx, l.addr)
		if err != nil {
			return outcome{}, err
		}
		defer c.close()
		clients[i] = c
	}
	begin := time.Now()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() { c.loop(l.sources[i], begin.Add(l.duration)) })
	}
	wg.Wait()
	total := outcome{seconds: l.duration.Seconds()}
	var errs []error
	for _, c := range clients {
		total.answered += len(c.latencies)
		total.refused += c.refused
		total.latencies = append(total.latencies, c.latencies...)
		errs = append(errs, c.err)
	}
	slices.Sort(total.latencies)
	if err := ctx.Err(); err != nil {
		return outcome{}, err
	}
	return total, errors.Join(errs...)
}

// client speaks just enough HTTP/1.1 to read what the servers under
// measurement answer: a Content-Length, or no body.
type client struct {
	conn      net.Conn
	buffer    []byte
	latencies []time.Duration
	refused   int
	err       error
}

func dial(ctx context.Context, addr string) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, buffer: make([]byte, 64<<10), latencies: make([]time.Duration, 0, 4096)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

func (c *client) loop(from source, until time.Time) {
	if err := c.conn.SetDeadline(until.Add(20 * time.Second)); err != nil {
		c.err = err
		return
	}
	for sent := time.Now(); sent.Before(until); {
		status, answer, err := c.send(from.next())
		if err == nil {
			err = from.answered(status, answer)
		}
		if err != nil {
			c.err = err
			return
		}
		now := time.Now()
		switch {
		case now.After(until):
		case (status >= 200 && status < 300) || status == 304:
			c.latencies = append(c.latencies, now.Sub(sent))
		default:
			c.refused++
		}
		sent = now
	}
}

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// send sends a request and reads its answer to the end. What is returned of it
// is as much as fitted into the buffer, and valid until the next call.
func (c *client) send(request []byte) (status int, read []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	n, end := 0, -1
	for end < 0 {
		m, err := c.conn.Read(c.buffer[n:])
		if err != nil {
			return 0, nil, fmt.Errorf("read the answer: %w", err)
		}
		n += m
		end = bytes.Index(c.buffer[:n], headEnd)
	}
	head := c.buffer[:end+2]
	if len(head) < 12 {
		return 0, nil, fmt.Errorf("not an HTTP answer: %q", head)
	}
	if status, err = strconv.Atoi(string(head[9:12])); err != nil {
		return 0, nil, fmt.Errorf("not an HTTP answer: %q", head)
	}
	length := 0
	if at := bytes.Index(head, contentLength); at >= 0 {
		for _, digit := range head[at+len(contentLength):] {
			if digit < '0' || digit > '9' {
				break
			}
			length = length*10 + int(digit-'0')
		}
	} else if status != 204 && status != 304 {
		return 0, nil, fmt.Errorf("an answer without Content-Length: %q", head)
	}
	for rest := end + len(headEnd) + length - n; rest > 0; {
		if n == len(c.buffer) {
			n = end + len(headEnd) // a body larger than the buffer is read over itself
		}
		m, err := c.conn.Read(c.buffer[n:])
		if err != nil {
			return 0, nil, fmt.Errorf("read the body: %w", err)
		}
		n += m
		rest -= m
	}
	return status, c.buffer[:n], nil
}
