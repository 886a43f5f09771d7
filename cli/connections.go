package cli

import (
	"net"
	"net/netip"
	"sync"

	"dueto/services"
)

// maxPerClient is how many connections one client may hold of maxConnections.
const maxPerClient = 256

// clientListener closes at once what a client opens beyond its share, so that
// no single one can take every connection. Loopback and trusted proxies, who
// speak for many, may hold more.
type clientListener struct {
	net.Listener
	limit   int
	proxies []netip.Prefix

	mu   sync.Mutex
	held map[string]int
}

// newClientListener takes proxies that the settings' check has passed.
func newClientListener(l net.Listener, limit int, proxies []string) *clientListener {
	c := &clientListener{Listener: l, limit: limit, held: map[string]int{}}
	for _, p := range proxies {
		prefix, err := netip.ParsePrefix(p)
		if addr, addrErr := netip.ParseAddr(p); err != nil && addrErr == nil {
			prefix = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
		}
		c.proxies = append(c.proxies, prefix.Masked())
	}
	return c
}

// Accept gives the next connection of a client that has its share not yet.
func (l *clientListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, ok := conn.RemoteAddr().(*net.TCPAddr)
		if !ok || l.free(peer.AddrPort().Addr().Unmap().WithZone("")) {
			return conn, nil
		}
		client := services.ClientKey(peer.IP.String())
		if l.take(client) {
			return &clientConn{Conn: conn, release: sync.OnceFunc(func() { l.release(client) })}, nil
		}
		_ = conn.Close()
	}
}

func (l *clientListener) free(addr netip.Addr) bool {
	for _, p := range l.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return addr.IsLoopback()
}

func (l *clientListener) take(client string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[client] >= l.limit {
		return false
	}
	l.held[client]++
	return true
}

func (l *clientListener) release(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[client]--; l.held[client] == 0 {
		delete(l.held, client)
	}
}

// clientConn gives its place back when it is closed.
type clientConn struct {
	net.Conn
	release func()
}

// Close closes the connection.
func (c *clientConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
