package tests

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"dueto/services"
)

// twoServers are two real processes with throttles over one database.
func twoServers(t *testing.T, database string) [2]*serving {
	t.Helper()
	p := newProgram(t).with("DUETO_DATABASE="+database, "DUETO_SECRET="+secret)
	p.superuser("boss")
	var servers [2]*serving
	for i := range servers {
		servers[i] = p.serve("--throttle=on", "--trusted-proxies=127.0.0.1", "--public-url=http://dueto.test")
	}
	return servers
}

// inTurn gives a function that sends requests to the servers in turn.
func inTurn(servers [2]*serving) func() *app {
	apps, n := [2]*app{servers[0].app(), servers[1].app()}, 0
	return func() *app { n++; return apps[n%2] }
}

// wantWait checks a refusal whose wait depends on the hour.
func (r *response) wantWait(atMost time.Duration) {
	r.t.Helper()
	r.wantProblem(http.StatusTooManyRequests, services.CodeThrottled)
	if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || seconds < 1 || time.Duration(seconds)*time.Second > atMost {
		r.t.Fatalf("%s: Retry-After %q, want %s at most", r.What, r.Header.Get("Retry-After"), atMost)
	}
}

func TestPostgres_ThrottlesHoldOverProcesses(t *testing.T) {
	t.Parallel()
	database := emptyPostgres(t)
	server := inTurn(twoServers(t, database))
	const home = "192.0.2.1"
	for range 10 {
		server().do("POST", "/auth/register", map[string]any{}, from(home)).want(http.StatusBadRequest)
	}
	for range 2 {
		server().do("POST", "/auth/register", map[string]any{}, from(home)).wantWait(6 * time.Minute)
		server().do("POST", "/auth/register", map[string]any{}, from("192.0.2.2")).want(http.StatusBadRequest)
	}
	for class, c := range map[string]struct {
		path  string
		burst int
		every time.Duration
	}{
		"login":   {"/auth/login", 30, 2 * time.Second},
		"refresh": {"/auth/refresh", 60, time.Second},
		"mail":    {"/auth/activate/resend", 10, 6 * time.Second},
		"links":   {"/auth/verify", 60, time.Second},
	} {
		began, through := time.Now(), 0
		for range 2 * c.burst {
			if r := server().do("POST", c.path, map[string]any{}, from(home)); r.Status != http.StatusTooManyRequests {
				r.want(http.StatusBadRequest)
				through++
			}
		}
		if most := c.burst + 1 + int(time.Since(began)/c.every); through < c.burst || through > most {
			t.Errorf("%s: %d are let through, want %d to %d", class, through, c.burst, most)
		}
	}
	if n := rowsOf(t, database, "shared_limits"); n < 6 {
		t.Errorf("the database counts for %d keys only", n)
	}
}

func TestPostgres_FailedLoginsDelayTheNextOverProcesses(t *testing.T) {
	t.Parallel()
	database := emptyPostgres(t)
	server, stranger := inTurn(twoServers(t, database)), strangers()
	for _, name := range []string{"boss", "boss@example.com", "nobody"} {
		for range 10 {
			server().loginFrom(stranger(), name, "not the password").wantProblem(http.StatusUnauthorized, services.CodeNoActiveAccount)
		}
		for range 2 {
			server().loginFrom(stranger(), name, password).wantWait(30 * time.Second)
		}
	}
	// One that matches clears the count for all.
	execSQL(t, database, "DELETE FROM shared_failures")
	for range 9 {
		server().loginFrom(stranger(), "boss", "not the password").want(http.StatusUnauthorized)
	}
	server().loginFrom(stranger(), "boss", password).want(http.StatusOK)
	for range 10 {
		server().loginFrom(stranger(), "boss", "not the password").want(http.StatusUnauthorized)
	}
	server().loginFrom(stranger(), "boss", "not the password").wantWait(30 * time.Second)

	// Many at once get no further than one by one.
	counts := map[int]int{}
	apps := []*app{server(), server()}
	for _, r := range sendAtOnce(64, func(i int) *response { return apps[i%2].loginFrom(stranger(), "crowd", "not the password") }) {
		counts[r.Status]++
	}
	if counts[http.StatusUnauthorized] != 10 || counts[http.StatusTooManyRequests] != 54 {
		t.Errorf("the answers are %v", counts)
	}
}

// Whether there is an account must not show in what the database is asked.
func TestPostgres_FailedLoginsAskTheDatabaseAlikeForAllNames(t *testing.T) {
	t.Parallel()
	database := emptyPostgres(t)
	server, stranger := inTurn(twoServers(t, database)), strangers()
	execSQL(t, database, "CREATE TABLE asks (n bigint)",
		"CREATE FUNCTION ask() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO asks VALUES (1); RETURN NULL; END $$",
		"CREATE TRIGGER ask AFTER INSERT OR UPDATE ON shared_limits FOR EACH STATEMENT EXECUTE FUNCTION ask()",
		"CREATE TRIGGER ask AFTER INSERT OR UPDATE ON shared_failures FOR EACH STATEMENT EXECUTE FUNCTION ask()")
	asks := func(name string) int {
		t.Helper()
		execSQL(t, database, "DELETE FROM asks")
		for range 10 {
			server().loginFrom(stranger(), name, "not the password").want(http.StatusUnauthorized)
		}
		for range 2 {
			server().loginFrom(stranger(), name, "not the password").want(http.StatusTooManyRequests)
		}
		return rowsOf(t, database, "asks")
	}
	if known, unknown := asks("boss"), asks("nobody"); known != unknown || known != 2*24 { // an INSERT that may update fires both triggers
		t.Errorf("asked %d times for a name that there is, %d for one that there is not", known, unknown)
	}
}

func TestPostgres_MailLimitsHoldOverProcesses(t *testing.T) {
	t.Parallel()
	database := emptyPostgres(t)
	server := inTurn(twoServers(t, database))
	for range 4 {
		server().do("POST", "/auth/password/reset", map[string]any{"email": "boss@example.com"}).want(http.StatusAccepted)
	}
	if n := rowsOf(t, database, "outbox"); n != 1 {
		t.Errorf("%d messages are written within a minute, want 1", n)
	}
}

func TestPostgres_ThrottlesGoOnWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	c := ownCluster(t)
	servers := twoServers(t, c.URL("postgres"))
	a := servers[0].app()
	register := func(address string) *response {
		return a.do("POST", "/auth/register", map[string]any{}, from(address))
	}
	register("192.0.2.1").want(http.StatusBadRequest)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		register("192.0.2.2").want(http.StatusBadRequest)
	}
	register("192.0.2.2").wantWait(6 * time.Minute)
	servers[0].stderr.await(t, servers[0].exited, `limits hold for each process by itself`, 0)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// The server counts again: what is refused by one is refused by the other.
	b := servers[1].app()
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		address := fmt.Sprintf("198.51.100.%d", int(time.Since(began)/(200*time.Millisecond)))
		for range 10 {
			a.do("POST", "/auth/register", map[string]any{}, from(address)).want(http.StatusBadRequest)
		}
		if b.do("POST", "/auth/register", map[string]any{}, from(address)).Status == http.StatusTooManyRequests {
			return
		}
		if time.Since(began) > patience {
			t.Fatal("the limits do not hold over processes again")
		}
	}
}

// rowsOf counts the rows of a table.
func rowsOf(t *testing.T, database, table string) (n int) {
	t.Helper()
	if err := openDatabase(t, database).QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
