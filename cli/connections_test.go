package cli

import (
	"net"
	"testing"
)

// peers is a listener to which connections come from addresses of our choice.
type peers struct{ waiting chan net.Conn }

func (p *peers) Accept() (net.Conn, error) {
	select {
	case conn := <-p.waiting:
		return conn, nil
	default:
		return nil, net.ErrClosed
	}
}
func (*peers) Close() error   { return nil }
func (*peers) Addr() net.Addr { return &net.TCPAddr{} }

// peer is a connection that knows whether it was closed.
type peer struct {
	net.Conn
	from   net.Addr
	closed bool
}

func (p *peer) RemoteAddr() net.Addr { return p.from }
func (p *peer) Close() error         { p.closed = true; return nil }

// connect opens a connection from an address; conn is nil where it is not accepted.
func connect(t *testing.T, l net.Listener, from *peers, address string) (conn net.Conn, seen *peer) {
	t.Helper()
	seen = &peer{from: &net.TCPAddr{IP: net.ParseIP(address), Port: 4711}}
	from.waiting <- seen
	conn, _ = l.Accept() // the error is that nobody else is waiting
	return conn, seen
}

func TestConnections_OfOneClientAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second string // addresses
		proxies       []string
		bounded       bool
	}{
		"one address":                   {"192.0.2.1", "192.0.2.1", nil, true},
		"two addresses":                 {"192.0.2.1", "192.0.2.2", nil, false},
		"one, written in two ways":      {"192.0.2.1", "::ffff:192.0.2.1", nil, true},
		"two of a /64":                  {"2001:db8::1", "2001:db8::2", nil, true},
		"two of different /64":          {"2001:db8::1", "2001:db8:0:1::1", nil, false},
		"loopback":                      {"127.0.0.1", "127.0.0.1", nil, false},
		"loopback, version 6":           {"::1", "::1", nil, false},
		"a proxy":                       {"192.0.2.1", "192.0.2.1", []string{"192.0.2.1"}, false},
		"a proxy, written as 4 in 6":    {"::ffff:192.0.2.1", "::ffff:192.0.2.1", []string{"192.0.2.1"}, false},
		"a proxy of a network":          {"192.0.2.1", "192.0.2.1", []string{"198.51.100.0/24", "192.0.2.7/24"}, false},
		"beside the network of proxies": {"192.0.3.1", "192.0.3.1", []string{"192.0.2.0/24"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := &peers{make(chan net.Conn, 1)}
			l := newClientListener(from, 1, c.proxies)
			first, _ := connect(t, l, from, c.first)
			second, seen := connect(t, l, from, c.second)
			if first == nil || (second == nil) != c.bounded || seen.closed != c.bounded {
				t.Errorf("first accepted: %v, second accepted: %v, second closed: %v", first != nil, second != nil, seen.closed)
			}
		})
	}
}

func TestConnections_ThatAreClosedGiveTheirPlaceBackOnce(t *testing.T) {
	t.Parallel()
	from := &peers{make(chan net.Conn, 1)}
	l := newClientListener(from, 2, nil)
	first, seen := connect(t, l, from, "192.0.2.1")
	connect(t, l, from, "192.0.2.1")
	for range 2 {
		_ = first.Close()
	}
	if !seen.closed {
		t.Error("it was not closed")
	}
	if third, _ := connect(t, l, from, "192.0.2.1"); third == nil {
		t.Error("a closed connection keeps its place")
	}
	if fourth, _ := connect(t, l, from, "192.0.2.1"); fourth != nil {
		t.Error("a connection that was closed twice gave two places back")
	}
}
