package tests

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailServer is a mail server on loopback that keeps what it is given. What
// goes wrong with it can be changed while it runs.
type mailServer struct {
	t        testing.TB
	address  string
	tls      *tls.Config
	implicit bool
	user     string // with password, who may send; "" is everybody
	password string

	running *mailRun // nil while it is down

	mu      sync.Mutex
	taken   []takenMail
	waiting int            // clients that it leaves without an answer
	changed chan struct{}  // closed, and made anew, when the two above change
	refusal map[string]int // codes by recipient, "" being everybody else
	hangsAt mailStep
	healed  chan struct{} // closed when those who wait may go on
	drops   bool
	isDown  bool
}

// mailStep is where a mail server can fall silent.
type mailStep string

const (
	atConnect mailStep = "connect" // before its greeting, or any other answer
	atTLS     mailStep = "tls"     // in the handshake
	atHello   mailStep = "hello"
	atAuth    mailStep = "auth"
	atSender  mailStep = "sender"
	atRcpt    mailStep = "recipient"
	atMessage mailStep = "message" // when it has been given all of it, which it does not keep
)

type mailServerOption func(*mailServer)

// withStartTLS makes a server take nothing but after STARTTLS.
func withStartTLS(ca *testCA) mailServerOption {
	return func(s *mailServer) { s.tls = ca.server() }
}

// withImplicitTLS makes a server speak TLS from the start.
func withImplicitTLS(ca *testCA) mailServerOption {
	return func(s *mailServer) { s.tls, s.implicit = ca.server(), true }
}

// withAuth makes a server take mail only from one who signs in.
func withAuth(user, password string) mailServerOption {
	return func(s *mailServer) { s.user, s.password = user, password }
}

// newMailServer starts a mail server on a free port.
func newMailServer(t testing.TB, options ...mailServerOption) *mailServer {
	t.Helper()
	s := &mailServer{
		t: t, address: "127.0.0.1:0", refusal: map[string]int{},
		changed: make(chan struct{}), healed: make(chan struct{}),
	}
	for _, option := range options {
		option(s)
	}
	if s.tls != nil {
		s.tls.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, s.pause(atTLS) }
	}
	s.up()
	t.Cleanup(s.down)
	return s
}

// URL is the setting smtp-url for the server.
func (s *mailServer) URL() string {
	u := url.URL{Scheme: "smtp", Host: s.address}
	if s.implicit {
		u.Scheme = "smtps"
	}
	if s.user != "" {
		u.User = url.UserPassword(s.user, s.password)
	}
	return u.String()
}

// mailRun is the time from up to down.
type mailRun struct {
	net.Listener
	server *smtp.Server
	owner  *mailServer
	served chan struct{}

	mu    sync.Mutex
	conns []net.Conn
}

// Accept keeps each connection, to close it when the server goes down.
func (r *mailRun) Accept() (net.Conn, error) {
	conn, err := r.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conn)
	return mailConn{conn, r.owner}, nil
}

type mailConn struct {
	net.Conn
	owner *mailServer
}

// Write is where a server that hangs from the start does so.
func (c mailConn) Write(p []byte) (int, error) {
	if err := c.owner.pause(atConnect); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// up starts the server, on the same port as before.
func (s *mailServer) up() {
	s.t.Helper()
	if s.running != nil {
		return
	}
	var listener net.Listener
	s.await("its port is free", func() bool {
		var err error
		if listener, err = net.Listen("tcp", s.address); err != nil && s.address == "127.0.0.1:0" {
			s.t.Fatal(err)
		}
		return err == nil
	})
	s.address = listener.Addr().String()
	run := &mailRun{Listener: listener, owner: s, served: make(chan struct{})}
	run.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &mailSession{server: s, conn: c}, s.pause(atHello)
	}))
	run.server.Domain = "mail.test"
	run.server.ErrorLog = log.New(io.Discard, "", 0)
	run.server.AllowInsecureAuth = s.tls == nil
	run.server.EnableSMTPUTF8 = true // refused below, as a server further on might
	accept := net.Listener(run)
	if s.implicit {
		accept = tls.NewListener(run, s.tls)
	} else {
		run.server.TLSConfig = s.tls
	}
	s.running = run
	s.setDown(false)
	go func() {
		defer close(run.served)
		_ = run.server.Serve(accept) // it ends when the listener is closed
	}()
}

// down closes the port and all connections. Faults stay for when it is up again.
func (s *mailServer) down() {
	s.t.Helper()
	if s.running == nil {
		return
	}
	run := s.running
	s.running = nil
	_ = run.Close()
	<-run.served
	run.mu.Lock()
	for _, conn := range run.conns {
		_ = conn.Close()
	}
	run.mu.Unlock()
	s.setDown(true)
	s.letGo()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run.server.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) {
		s.t.Errorf("the mail server does not end: %v", err)
	}
}

func (s *mailServer) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isDown = down
}

// refuse answers a recipient with a code from now on, 550 or 451 for example;
// "" is everybody. As servers do, it quotes the address.
func (s *mailServer) refuse(to string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal[to] = code
}

// hang falls silent at a step from now on.
func (s *mailServer) hang(step mailStep) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangsAt = step
}

// dropAfterMessage keeps messages from now on, but hangs up instead of saying so.
func (s *mailServer) dropAfterMessage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops = true
}

// heal ends all faults. Who waits for an answer gets a temporary refusal.
func (s *mailServer) heal() {
	s.mu.Lock()
	s.refusal, s.hangsAt, s.drops = map[string]int{}, "", false
	s.mu.Unlock()
	s.letGo()
}

func (s *mailServer) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.healed)
	s.healed = make(chan struct{})
}

// pause is called at each step. Where the server hangs there, it returns when
// that is over, with what to answer then.
func (s *mailServer) pause(step mailStep) error {
	s.mu.Lock()
	hangs, healed := s.hangsAt == step && !s.isDown, s.healed
	if hangs {
		s.waiting++
		s.change()
	}
	s.mu.Unlock()
	if !hangs {
		return nil
	}
	<-healed
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	s.change()
	return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "Too late"}
}

// change tells those who watch. It is called with mu held.
func (s *mailServer) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until something is so, which is looked at after every change.
func (s *mailServer) await(what string, so func() bool) {
	s.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if so() {
			return
		}
		select {
		case <-changed:
		case <-time.After(50 * time.Millisecond): // a port is freed without notice
		case <-late.C:
			s.t.Fatalf("the mail server waits in vain until %s", what)
		}
	}
}

// waitForHang waits until some client is left without an answer.
func (s *mailServer) waitForHang() {
	s.t.Helper()
	s.await("a client waits for it", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.waiting > 0
	})
}

// waitFor waits until an address has at least n messages, and gives all that
// it has, the oldest first.
func (s *mailServer) waitFor(to string, n int) []receivedMail {
	s.t.Helper()
	var all []receivedMail
	s.await(fmt.Sprintf("%s has %d messages", to, n), func() bool {
		all = s.inbox(to)
		return len(all) >= n
	})
	return all
}

// inbox gives what an address has now; "" is every address.
func (s *mailServer) inbox(to string) []receivedMail {
	s.t.Helper()
	s.mu.Lock()
	taken := slices.Clone(s.taken)
	s.mu.Unlock()
	all := []receivedMail{}
	for _, m := range taken {
		if to == "" || slices.Contains(m.To, to) {
			all = append(all, m.parse(s.t))
		}
	}
	return all
}

// mailSession is the conversation with one client.
type mailSession struct {
	server *mailServer
	conn   *smtp.Conn
	takenMail
}

func (c *mailSession) AuthMechanisms() []string {
	if c.server.user == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (c *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if err := c.server.pause(atAuth); err != nil {
			return err
		}
		if user != c.server.user || password != c.server.password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "Wrong password for " + user}
		}
		c.User = user
		return nil
	}), c.server.signInNeeded()
}

func (s *mailServer) signInNeeded() error {
	if s.user == "" {
		return smtp.ErrAuthUnsupported
	}
	return nil
}

func (c *mailSession) Mail(from string, options *smtp.MailOptions) error {
	_, c.TLS = c.conn.TLSConnectionState()
	switch {
	case c.server.tls != nil && !c.TLS:
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Must issue a STARTTLS command first"}
	case c.User != c.server.user:
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	case options.UTF8:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 6, 7}, Message: "The next server does not support SMTPUTF8"}
	}
	c.From = from
	return c.server.pause(atSender)
}

func (c *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := c.server.pause(atRcpt); err != nil {
		return err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	code, refused := c.server.refusal[to]
	if !refused {
		code, refused = c.server.refusal[""]
	}
	if refused {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "<" + to + ">: not now, or never"}
	}
	c.To = append(c.To, to)
	return nil
}

func (c *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := c.server.pause(atMessage); err != nil {
		return err
	}
	c.Raw = raw
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.taken = append(c.server.taken, c.takenMail)
	c.server.change()
	if c.server.drops {
		_ = c.conn.Conn().Close()
	}
	return nil
}

// Reset forgets the message, not who signed in.
func (c *mailSession) Reset() { c.takenMail = takenMail{User: c.User} }

func (c *mailSession) Logout() error { return nil }

// takenMail is a message with its envelope.
type takenMail struct {
	From string
	To   []string
	User string // who signed in to send it
	TLS  bool
	Raw  []byte
}

// receivedMail is a message as a mail program shows it.
type receivedMail struct {
	takenMail
	Header     mail.Header
	Subject    string
	Text, HTML string
}

func (m takenMail) parse(t testing.TB) receivedMail {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		t.Fatalf("no message: %v\n%s", err, m.Raw)
	}
	received := receivedMail{takenMail: m, Header: parsed.Header}
	if received.Subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("it is %q, not two forms of one text: %v", kind, err)
	}
	var kinds []string
	for parts := multipart.NewReader(parsed.Body, params["boundary"]); ; {
		part, err := parts.NextPart() // it undoes quoted-printable
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(content), "\r\n", "\n")
		kinds = append(kinds, strings.ToLower(part.Header.Get("Content-Type")))
		if strings.HasPrefix(kinds[len(kinds)-1], "text/html") {
			received.HTML = text
		} else {
			received.Text = text
		}
	}
	if want := []string{"text/plain; charset=utf-8", "text/html; charset=utf-8"}; !slices.Equal(kinds, want) {
		t.Fatalf("its parts are %q, want %q", kinds, want)
	}
	return received
}

var mailURL = regexp.MustCompile(`https?://[^\s<>"]+`)

// links gives the URLs of the text as they stand there: the one to follow, if
// there is one, then the site's.
func (m receivedMail) links() []string { return mailURL.FindAllString(m.Text, -1) }

// testCA vouches for servers on this machine. File is what SSL_CERT_FILE takes.
type testCA struct {
	File string
	Pool *x509.CertPool
	leaf tls.Certificate
}

// server gives what a server of this machine needs.
func (ca *testCA) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{ca.leaf}, MinVersion: tls.VersionTLS12}
}

// newTestCA makes a CA, and a certificate for 127.0.0.1, ::1, localhost and
// mail.test.
func newTestCA(t testing.TB) *testCA {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now() // TLS looks at the real clock
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Dueto's tests"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, caKey.Public(), caKey)
	must(err)
	root, err = x509.ParseCertificate(rootDER)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mail.test"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", "mail.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), caKey)
	must(err)
	ca := &testCA{File: filepath.Join(t.TempDir(), "ca.pem"), Pool: x509.NewCertPool()}
	ca.Pool.AddCert(root)
	ca.leaf = tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}
	must(os.WriteFile(ca.File, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o600))
	return ca
}
