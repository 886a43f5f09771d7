package tests

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"dueto/services"
)

// What the people of the run are called and type, each unlike anything that a
// log or a database has by itself.
const (
	restNewAddress   = "numbats.post@ornithology.example"
	restPending      = "wombatina"
	restPendingMail  = "capybara.mail@speleology.example"
	restBoss         = "okapiboss"
	restBossMail     = "okapi.chief@cartography.example"
	restSMTPUser     = "pangolin-relay"
	restSMTPPassword = "Persiflage4Postmen"
	restThird        = "lugubrious ibis gavotte"
	restFourth       = "mellifluous yak fandango"
)

var (
	issuedToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)
	issuedKey   = regexp.MustCompile(`dueto_[a-z2-7]{59}`)
)

// restRun is the life of a real server, and all the secrets that it gave out or
// was told.
type restRun struct {
	*app
	t       *testing.T
	program *program
	mail    *mailServer
	server  *serving
	secrets map[string]bool
	logs    []*transcript
}

// note keeps the tokens and keys that a text holds.
func (n *restRun) note(text string) {
	for _, pattern := range []*regexp.Regexp{issuedToken, issuedKey} {
		for _, found := range pattern.FindAllString(text, -1) {
			n.secrets[found] = true
		}
	}
}

// do sends a request and notes what the answer gives out.
func (n *restRun) do(method, path string, body any, headers ...header) *response {
	n.t.Helper()
	r := n.app.do(method, path, body, headers...)
	n.note(string(r.Body))
	for _, c := range (&http.Response{Header: r.Header}).Cookies() {
		n.note(c.Value)
		if c.Name == "csrftoken" && c.Value != "" {
			n.secrets[c.Value] = true
		}
	}
	return r
}

// run runs a command and notes what it prints.
func (n *restRun) run(args ...string) *outcome {
	n.t.Helper()
	o := n.program.run(args...).want(0)
	n.note(o.stdout)
	return o
}

func (n *restRun) serve(args ...string) {
	n.t.Helper()
	n.server = n.program.serve(append([]string{"--public-url=http://dueto.test", "--log-level=debug"}, args...)...)
	n.app = n.server.app()
	n.logs = append(n.logs, n.server.stderr)
}

// login signs in, and keeps the password.
func (n *restRun) login(username, password string, status int) (access header, refresh string) {
	n.t.Helper()
	n.secrets[password] = true
	o := n.do("POST", "/auth/login", map[string]any{"username": username, "password": password}).want(status).object()
	refresh, _ = o["refresh"].(string)
	token, _ := o["access"].(string)
	return bearer(token), refresh
}

// linkTo gives the path of the link in the n-th message to an address.
func (n *restRun) linkTo(address string, nth int) string {
	n.t.Helper()
	link := n.mail.waitFor(address, nth)[nth-1].links()[0]
	return strings.TrimPrefix(link, n.Config.PublicURL)
}

func tokenInLink(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

// registers makes accounts, by mail.
func (n *restRun) registers() {
	account := map[string]any{"username": spyName, "email": spyAddress, "password": spyPassword}
	n.do("POST", "/auth/register", account).want(http.StatusCreated)
	link := n.linkTo(spyAddress, 1)
	n.do("GET", link, nil).want(http.StatusOK)
	n.do("GET", link, nil, browserAccept).want(http.StatusOK)
	n.do("POST", link+"x", nil).want(http.StatusUnauthorized)
	n.do("GET", link+"?token="+tokenInLink(link), nil).want(http.StatusOK)
	n.do("POST", "/auth/activate/resend", map[string]any{"email": spyAddress}).want(http.StatusAccepted)
	n.do("POST", n.linkTo(spyAddress, 2), nil).want(http.StatusOK)
	n.do("POST", link, nil).want(http.StatusConflict)
	account["username"] = "other." + spyName
	n.do("POST", "/auth/register", account).want(http.StatusCreated)
	n.mail.waitFor(spyAddress, 3) // it is taken

	// This one's mail does not get through.
	n.mail.refuse(restPendingMail, 451)
	n.do("POST", "/auth/register", map[string]any{"username": restPending, "email": restPendingMail, "password": spyPassword}).want(http.StatusCreated)
	n.server.stderr.await(n.t, n.server.exited, `mail not sent`, 0)
	waits := regexp.MustCompile(`(?m)^(\d+) +waiting`).FindStringSubmatch(n.run("outbox", "list").stdout)
	if shown := n.run("outbox", "show", waits[1]).stdout; !issuedToken.MatchString(shown) {
		n.t.Fatalf("it shows no link:\n%s", shown)
	}
	n.mail.refuse(restPendingMail, 550)
	n.do("POST", "/auth/activate/resend", map[string]any{"email": restPendingMail}).want(http.StatusAccepted)
	n.server.stderr.await(n.t, n.server.exited, `mail refused`, 0)
	n.mail.heal()
}

// signsIn lives through sessions, of JSON and of cookies.
func (n *restRun) signsIn() {
	n.login(spyName, wrongPassword, http.StatusUnauthorized)
	n.login(spyAddress, wrongPassword, http.StatusUnauthorized)
	n.login("nobody."+spyAddress, wrongPassword, http.StatusUnauthorized)
	spy, refresh := n.login(spyAddress, spyPassword, http.StatusOK)
	n.do("GET", "/users/me", nil, spy).want(http.StatusOK)
	n.do("GET", "/users/me", nil, header{spy.name, spy.value + "x"}).want(http.StatusUnauthorized)
	n.do("GET", "/tasks?access_token="+strings.Fields(spy.value)[1], nil).want(http.StatusBadRequest)
	next := n.do("POST", "/auth/refresh", map[string]any{"refresh": refresh}).want(http.StatusOK).object()["refresh"].(string)
	n.do("POST", "/auth/verify", map[string]any{"token": next}).want(http.StatusOK)
	n.do("GET", "/auth/sessions", nil, spy).want(http.StatusOK)
	n.do("POST", "/auth/refresh", map[string]any{"refresh": refresh}).want(http.StatusUnauthorized) // it ends the session
	_, refresh = n.login(spyName, spyPassword, http.StatusOK)
	n.do("POST", "/auth/logout", map[string]any{"refresh": refresh}).want(http.StatusNoContent)

	for _, mode := range []string{services.ModeOneCookie, services.ModeTwoCookies} {
		r := n.do("POST", "/auth/login", map[string]any{"username": spyName, "password": spyPassword, "mode": mode}).want(http.StatusOK)
		jar, proof := heldCookies(r)
		n.do("GET", "/users/me", nil, jar).want(http.StatusOK)
		n.do("POST", "/tasks", map[string]any{"title": spyTitle}, jar).want(http.StatusForbidden)
		n.do("POST", "/tasks", map[string]any{"title": spyTitle}, jar, header{"X-CSRFToken", "x" + proof.value}).want(http.StatusForbidden)
		n.do("POST", "/tasks", map[string]any{"title": spyTitle}, jar, proof).want(http.StatusCreated)
		n.do("GET", "/users/me", nil, jar, jar).want(http.StatusBadRequest)
		jar, proof = heldCookies(n.do("POST", "/auth/refresh", nil, jar, proof).want(http.StatusOK))
		n.do("POST", "/auth/logout", nil, jar, proof).want(http.StatusNoContent)
	}
}

// heldCookies gives the cookies of an answer as a browser sends them, and the
// proof that goes with them.
func heldCookies(r *response) (jar, proof header) {
	var pairs []string
	for _, c := range (&http.Response{Header: r.Header}).Cookies() {
		if c.Value != "" {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
		if c.Name == "csrftoken" {
			proof = header{"X-CSRFToken", c.Value}
		}
	}
	return header{"Cookie", strings.Join(pairs, "; ")}, proof
}

// changes moves passwords and addresses, and makes API tokens.
func (n *restRun) changes() {
	spy, _ := n.login(spyName, spyPassword, http.StatusOK)
	n.secrets[secondPassword], n.secrets[restThird], n.secrets[restFourth] = true, true, true
	n.do("POST", "/auth/password/change", map[string]any{"old_password": wrongPassword, "new_password": secondPassword}, spy).want(http.StatusBadRequest)
	n.do("POST", "/auth/password/change", map[string]any{"old_password": spyPassword, "new_password": secondPassword}, spy).want(http.StatusNoContent)
	n.mail.waitFor(spyAddress, 4)
	n.do("POST", "/auth/password/reset", map[string]any{"email": spyAddress}).want(http.StatusAccepted)
	link := n.linkTo(spyAddress, 5)
	n.do("GET", link, nil, browserAccept).want(http.StatusOK)
	form := url.Values{"new_password": {restThird}, "repeated": {restThird}}.Encode()
	n.do("POST", link, form, browserAccept, header{"Content-Type", "application/x-www-form-urlencoded"}).want(http.StatusOK)
	n.do("POST", "/auth/password/reset/confirm", map[string]any{"token": tokenInLink(link), "new_password": restFourth}).want(http.StatusUnauthorized)
	n.mail.waitFor(spyAddress, 6)

	spy, _ = n.login(spyName, restThird, http.StatusOK)
	n.do("PATCH", "/users/me", map[string]any{"email": restNewAddress}, spy).want(http.StatusOK)
	link = n.linkTo(restNewAddress, 1)
	n.do("GET", link, nil).want(http.StatusOK)
	n.do("POST", link, nil).want(http.StatusOK)
	n.do("DELETE", "/users/me", map[string]any{"password": wrongPassword}, spy).want(http.StatusBadRequest)

	for _, words := range [][]string{nil, {services.PermViewTasks}} {
		o := n.do("POST", "/auth/tokens", map[string]any{"name": "script", "permissions": words}, spy).want(http.StatusCreated).object()
		key := o["key"].(string)
		n.do("GET", "/tasks", nil, tokenKey(key)).want(http.StatusOK)
		n.do("GET", "/tasks", nil, bearer(key)).want(http.StatusUnauthorized)
		n.do("GET", "/tasks", nil, tokenKey(key[:40])).want(http.StatusUnauthorized)
		n.do("GET", "/tasks?key="+key, nil).want(http.StatusBadRequest)
		n.do("GET", "/"+key, nil).want(http.StatusNotFound)
		n.do("POST", "/auth/tokens", map[string]any{"name": "child"}, tokenKey(key)).want(http.StatusForbidden)
	}
	n.do("DELETE", apiTokenPath(1), nil, spy).want(http.StatusNoContent)
}

// administers acts for the people by the command line, and over the API.
func (n *restRun) administers() {
	n.secrets[password] = true
	n.program.with("DUETO_SUPERUSER_PASSWORD="+restFourth).run("createsuperuser", "--no-input", "--username", restBoss, "--email", restBossMail).want(0)
	n.program.with("DUETO_SUPERUSER_PASSWORD="+password).run("changepassword", "--no-input", restBoss).want(0)
	n.run("user", "grant", spyName, "tasks.view")
	n.run("user", "list")
	n.run("token", "create", spyName, "--name=of the operator")
	n.run("token", "list")
	for _, command := range [][]string{{"keys", "list"}, {"config"}, {"outbox", "list"}} {
		n.run(command...)
	}
	boss, _ := n.login(restBoss, password, http.StatusOK)
	found := n.do("GET", "/users?search="+spyName, nil, boss).want(http.StatusOK).list()
	path := userPath(int64(found[0]["id"].(float64)))
	before := len(n.mail.inbox(restNewAddress))
	n.do("POST", path+"/password/reset", nil, boss).want(http.StatusAccepted)
	link := n.linkTo(restNewAddress, before+1)
	n.do("POST", "/auth/password/reset/confirm", map[string]any{"token": tokenInLink(link), "new_password": restFourth}).want(http.StatusNoContent)
	n.do("GET", path+"/events", nil, boss).want(http.StatusOK)
	n.login(spyName, restFourth, http.StatusOK)
}

// goesOnWithKeys restarts the server without mail and with a key pair, and
// rotates what signs.
func (n *restRun) goesOnWithKeys() {
	n.run("keys", "generate", "--algorithm=ES256", "--out=key.pem")
	n.program = n.program.with("DUETO_SMTP_URL=", "DUETO_MAIL_FROM=", "DUETO_JWT_ALGORITHM=ES256", "DUETO_JWT_SIGNING_KEY=key.pem")
	for i := range 2 {
		n.serve()
		name := fmt.Sprint(restPending, "-", i)
		o := n.do("POST", "/auth/register", map[string]any{"username": name, "email": name + "@speleology.example", "password": spyPassword}).want(http.StatusCreated).object()
		n.do("GET", strings.TrimPrefix(o["confirmation_url"].(string), n.Config.PublicURL), nil).want(http.StatusOK)
		access, refresh := n.login(name, spyPassword, http.StatusOK)
		n.do("GET", "/users/me", nil, access).want(http.StatusOK)
		n.do("POST", "/auth/refresh", map[string]any{"refresh": refresh}).want(http.StatusOK)
		n.do("GET", "/.well-known/jwks.json", nil).want(http.StatusOK)
		n.do("POST", "/auth/password/reset", map[string]any{"email": restNewAddress}).want(http.StatusAccepted)
		n.server.stderr.await(n.t, n.server.exited, `a message waits in the outbox`, 0)
		n.run("keys", "rotate")
		n.run("keys", "rotate", "secret")
		n.server.stop()
	}
	waits := regexp.MustCompile(`(?m)^(\d+) +waiting`).FindStringSubmatch(n.run("outbox", "list").stdout)
	n.run("outbox", "show", waits[1])
}

// keys gives what signs, and what is derived from it.
func (n *restRun) keys() (found []string) {
	n.t.Helper()
	refresh := "" // kid of some refresh token
	for token := range n.secrets {
		if strings.HasPrefix(token, "eyJ") && headerOf(n.t, token)["typ"] == "refresh+jwt" {
			refresh += headerOf(n.t, token)["kid"].(string) + " "
		}
	}
	for line := range strings.Lines(readFile(n.t, n.program.file("dueto.secret"))) {
		line = strings.TrimSpace(line)
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			n.t.Fatal(err)
		}
		found = append(found, line, string(raw))
		for _, kind := range []services.TokenKind{kindAccess, kindRefresh, kindActivation, services.TokenReset, services.TokenEmail} {
			key, kid := tokenKeyOf(n.t, line, kind)
			found = append(found, string(key))
			refresh = strings.ReplaceAll(refresh, kid+" ", "")
		}
		for _, purpose := range []string{"state", "cursor", "csrf"} {
			key, err := hkdf.Key(sha512.New, []byte(line), nil, "dueto/v1/"+purpose, 64)
			if err != nil {
				n.t.Fatal(err)
			}
			found = append(found, string(key))
		}
	}
	if refresh != "" {
		n.t.Errorf("tokens were signed with keys that were not derived here: %s", refresh)
	}
	rest := []byte(readFile(n.t, n.program.file("key.pem")))
	pairs := 0
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "PRIVATE KEY" {
			continue
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			n.t.Fatal(err)
		}
		scalar, err := key.(*ecdsa.PrivateKey).Bytes()
		if err != nil {
			n.t.Fatal(err)
		}
		pairs++
		found = append(found, string(block.Bytes), string(scalar))
	}
	if pairs == 0 {
		n.t.Error("there is no private key")
	}
	return found
}

// formsOf gives a secret as it could stand somewhere: as it is, what in it is
// its own, and the bytes behind it in the usual spellings.
func formsOf(secret string) (forms []string) {
	spelt := func(raw []byte) {
		forms = append(forms, string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
			base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw))
	}
	parts := strings.Split(secret, ".")
	switch {
	case issuedToken.MatchString(secret):
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1]) // it was issued, so it can be decoded
		signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
		forms = append(forms, parts[1], parts[2], parts[2][:20], string(payload))
		spelt([]byte(secret))
		spelt(signature)
	case issuedKey.MatchString(secret):
		body := secret[len("dueto_"):]
		raw, _ := keyAlphabet.DecodeString(strings.ToUpper(body[:52])) // the pattern admits nothing else
		forms = append(forms, body, body[:52], body[:20])
		spelt([]byte(secret))
		spelt(raw)
	default:
		spelt([]byte(secret))
		sum := sha256.Sum256([]byte(secret)) // without a salt it is as good as the password
		spelt(sum[:])
		forms = append(forms, url.QueryEscape(secret), url.PathEscape(secret))
	}
	return forms
}

// secretsIn gives what a text holds of secrets: each with the form in which it
// is there.
func secretsIn(text []byte, secrets []string) map[string]string {
	found := map[string]string{}
	for _, secret := range secrets {
		for _, form := range formsOf(secret) {
			if bytes.Contains(text, []byte(form)) {
				found[secret] = form
				break
			}
		}
	}
	return found
}

// wantNothingOf checks that a text holds no form of any of the secrets.
func wantNothingOf(t *testing.T, where string, text []byte, secrets []string) {
	t.Helper()
	if len(text) == 0 {
		t.Fatalf("%s is empty", where)
	}
	for secret, form := range secretsIn(text, secrets) {
		at := bytes.Index(text, []byte(form))
		t.Errorf("%s holds %q, of %.20q: ...%q...", where, form, secret, text[max(0, at-150):min(len(text), at+len(form)+50)])
	}
}

// stored gives what lies in the run's folder but the files that are for keys,
// and all rows of the database as text.
func (n *restRun) stored() map[string][]byte {
	n.t.Helper()
	kept := map[string][]byte{}
	entries, err := os.ReadDir(n.program.dir)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			n.t.Fatal(err)
		}
		if name := e.Name(); name == "dueto.secret" || name == "key.pem" {
			if info.Mode().Perm() != 0o600 {
				n.t.Errorf("%s has mode %v", name, info.Mode())
			}
		} else if text := []byte(readFile(n.t, n.program.file(name))); len(text) > 0 {
			kept[name] = text
		}
	}
	kept["rows"] = allRows(n.t, n.program.database)
	return kept
}

func TestAtRest_NeitherDatabaseNorLogHoldsASecret(t *testing.T) {
	t.Parallel()
	mail := newMailServer(t, withAuth(restSMTPUser, restSMTPPassword))
	p := newProgram(t).with("DUETO_PASSWORD_COST=4", "DUETO_PUBLIC_URL=http://dueto.test", "DUETO_REFRESH_GRACE=0s",
		"DUETO_SMTP_URL="+mail.URL(), "DUETO_MAIL_FROM=Dueto <tasks@vexillology.example>")
	n := &restRun{t: t, program: p, mail: mail, secrets: map[string]bool{restSMTPPassword: true}}
	n.serve()
	n.registers()
	n.signsIn()
	n.changes()
	n.administers()
	running := n.stored()
	if !onPostgres && (running["dueto.db-wal"] == nil || !bytes.Contains(running["dueto.db-wal"], []byte(restBossMail))) {
		t.Error("the log file of the database does not hold what was written last")
	}
	n.server.stop()
	n.goesOnWithKeys()
	for _, m := range mail.inbox("") {
		n.note(m.Text)
		n.note(m.HTML)
	}
	kinds := map[any]int{}
	for s := range n.secrets {
		kind := any("another")
		if issuedToken.MatchString(s) {
			kind = headerOf(t, s)["typ"]
		} else if issuedKey.MatchString(s) {
			kind = "key"
		}
		kinds[kind]++
	}
	for kind, least := range map[any]int{"at+jwt": 10, "refresh+jwt": 10, "activation+jwt": 5, "password_reset+jwt": 3, "email_change+jwt": 1, "key": 3, "another": 8} {
		if kinds[kind] < least {
			t.Errorf("the run gave out %d of %v, want %d or more", kinds[kind], kind, least)
		}
	}

	secrets := append(slices.Collect(maps.Keys(n.secrets)), n.keys()...)
	var log bytes.Buffer
	for _, l := range n.logs {
		log.WriteString(l.String())
	}
	for when, kept := range map[string]map[string][]byte{"while it ran": running, "at the end": n.stored()} {
		for name, text := range kept {
			wantNothingOf(t, name+" "+when, text, secrets)
		}
		if rows := kept["rows"]; !bytes.Contains(rows, []byte(spyName)) || !bytes.Contains(rows, []byte(restNewAddress)) || !bytes.Contains(rows, []byte("v1$$2a$04$")) {
			t.Errorf("the database %s does not hold the people: it was not the one to look at", when)
		}
	}
	wantNothingOf(t, "the log", log.Bytes(), secrets)
	wantNone(t, "the log", bytes.ToLower(log.Bytes()), []string{
		spyName, restPending, restBoss, restSMTPUser, "vexillology", "quokkas", "numbats", "ornithology", "capybara", "speleology", "okapi", "cartography",
		strings.ToLower(spyTitle), "$2a$", "@",
	})
	for _, written := range []string{`"msg":"request"`, "security event", "mail sent", "mail refused", "mail not sent", "/auth/password/reset/:token", "API token created"} {
		if !strings.Contains(log.String(), written) {
			t.Errorf("the log does not say %s: it was not the one to look at", written)
		}
	}
	n.plants(secrets, log.Bytes())
}

// plants shows that the search finds each secret where there is one, in a
// database's file or rows as in a log.
func (n *restRun) plants(secrets []string, log []byte) {
	n.t.Helper()
	url := newDatabase(n.t)
	if err := migrateNew(url); err != nil {
		n.t.Fatal(err)
	}
	db := openDatabase(n.t, url)
	insert := "INSERT INTO tasks (title, description, created_at, updated_at) VALUES ('planted', $1, 0, 0)"
	for i, secret := range secrets {
		end := secret
		if issuedToken.MatchString(secret) { // its signature
			end = secret[strings.LastIndexByte(secret, '.')+1:]
		}
		planted := []string{secret, end, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))}[i%4]
		value := any([]byte(planted)) // as it is
		if onPostgres && utf8.ValidString(planted) && !strings.Contains(planted, "\x00") {
			value = planted
		} else if onPostgres { // which takes no text like that
			value = hex.EncodeToString([]byte(secret))
		}
		if _, err := db.Exec(insert, value); err != nil {
			n.t.Fatal(err)
		}
		if line := append(bytes.Clone(log), `{"path":"`+planted+`"}`...); len(secretsIn(line, []string{secret})) != 1 {
			n.t.Errorf("%q, of %q, was planted in the log and is not found", planted, secret)
		}
	}
	if err := db.Close(); err != nil {
		n.t.Fatal(err)
	}
	for where, text := range map[string][]byte{"database": atRest(n.t, url), "rows": allRows(n.t, url)} {
		found := secretsIn(text, secrets)
		for _, secret := range secrets {
			if found[secret] == "" {
				n.t.Errorf("%q was planted and is not found in the %s", secret, where)
			}
		}
	}
}
