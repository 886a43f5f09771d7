package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"dueto/internal/pgtest"
	"dueto/models"
)

// databases makes the databases of the tests of what processes share; used is
// whether any did.
var (
	used      atomic.Bool
	databases = sync.OnceValues(func() (*pgtest.Databases, error) {
		used.Store(true)
		return pgtest.NewDatabases()
	})
)

func TestMain(m *testing.M) {
	code := m.Run()
	if used.Load() {
		if d, err := databases(); err == nil {
			if err := d.Close(); err != nil {
				fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// openShared opens a store that processes can share.
func openShared(t testing.TB, url string, clock *hand) *models.Store {
	t.Helper()
	store, err := models.Open(t.Context(), url, models.Options{Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

func newSharedDatabase(t testing.TB) (url string) {
	t.Helper()
	d, err := databases()
	if err != nil {
		t.Fatal(err)
	}
	url, giveBack, err := d.Copy(func(url string) error {
		store, err := models.Open(context.Background(), url, models.Options{})
		if err != nil {
			return err
		}
		_, err = store.Migrate(context.Background())
		return errors.Join(err, store.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := giveBack(false); err != nil {
			t.Error(err)
		}
	})
	return url
}

func sharedOver(t testing.TB, store *models.Store, clock *hand) *Shared {
	t.Helper()
	return loggingTo(t, store, clock, slog.DiscardHandler)
}

func loggingTo(t testing.TB, store *models.Store, clock *hand, log slog.Handler) *Shared {
	t.Helper()
	return NewShared(store, fixedKeyring(t, secretsOf("shared")), slog.New(log), clock.now)
}

// inProcesses runs a test of a limit for a process that is alone, for one of
// several, and for two that share.
func inProcesses(t *testing.T, name string, run func(t *testing.T, clock *hand, processes []*Shared)) {
	t.Helper()
	for kind, number := range map[string]int{"alone": 0, "one of several": 1, "two": 2} {
		t.Run(strings.TrimPrefix(name+", "+kind, ", "), func(t *testing.T) {
			t.Parallel()
			clock := &hand{}
			if number == 0 {
				run(t, clock, []*Shared{nil})
				return
			}
			store := openShared(t, newSharedDatabase(t), clock)
			processes := make([]*Shared, number)
			for i := range processes {
				processes[i] = sharedOver(t, store, clock)
			}
			run(t, clock, processes)
			for i, p := range processes {
				if p.retry.Load() != 0 {
					t.Errorf("the database did not count for process %d", i)
				}
			}
		})
	}
}

// limiters gives one limit to each process.
func limiters(processes []*Shared, clock *hand, rate Rate) (l []*Limiter) {
	for _, shared := range processes {
		l = append(l, NewLimiter(rate, clock.now).sharedWith(shared, "test", rate))
	}
	return l
}

func TestShared_IsNothingWhereAProcessIsAlone(t *testing.T) {
	t.Parallel()
	store, err := models.Open(t.Context(), "sqlite:"+t.TempDir()+"/dueto.db", models.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if s := NewShared(store, fixedKeyring(t, secretsOf("x")), slog.New(slog.DiscardHandler), time.Now); s != nil {
		t.Error("limits on SQLite ask the database")
	}
}

// outside is another program's connection to a database.
type outside struct {
	t    testing.TB
	conn *pgx.Conn
}

func lookInto(t testing.TB, url string) outside {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return outside{t, conn}
}

func (o outside) exec(statements ...string) {
	o.t.Helper()
	for _, s := range statements {
		if _, err := o.conn.Exec(o.t.Context(), s); err != nil {
			o.t.Fatalf("%s: %v", s, err)
		}
	}
}

func (o outside) number(query string) (n int) {
	o.t.Helper()
	if err := o.conn.QueryRow(o.t.Context(), query).Scan(&n); err != nil {
		o.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// countsAsks has the database note who asks about a limit.
func (o outside) countsAsks() {
	o.t.Helper()
	o.exec("CREATE TABLE asks (n bigint)", "CREATE FUNCTION ask() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO asks VALUES (1); RETURN NULL; END $$",
		"CREATE TRIGGER ask AFTER INSERT OR UPDATE ON shared_limits FOR EACH ROW EXECUTE FUNCTION ask()",
		"CREATE TRIGGER ask AFTER INSERT OR UPDATE ON shared_failures FOR EACH ROW EXECUTE FUNCTION ask()")
}

func (o outside) asks() int { return o.number("SELECT count(*) FROM asks") }

// visitor is a client that spreads its requests over processes.
type visitor struct {
	of    []*Throttle
	asked int
}

// send sends requests and gives how many were let through.
func (c *visitor) send(t *testing.T, number int) (through int) {
	t.Helper()
	for range number {
		c.asked++
		if c.of[c.asked%len(c.of)].Allow(t.Context(), RateOverall, "192.0.2.1") == nil {
			through++
		}
	}
	return through
}

func TestThrottle_OverallHoldsRoughlyOverProcessesAndAsksSeldom(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			t.Parallel()
			clock, url := &hand{}, newSharedDatabase(t)
			store := openShared(t, url, clock)
			db := lookInto(t, url)
			db.countsAsks()
			client := &visitor{}
			for range processes {
				client.of = append(client.of, NewThrottle(clock.now, sharedOver(t, store, clock)))
			}
			more := (processes - 1) * 25 // a twentieth for each further process

			if n := client.send(t, 25*processes); n != 25*processes || db.asks() != 0 {
				t.Errorf("%d of the first are let through, the database was asked %d times", n, db.asks())
			}
			rest := client.send(t, 2000)
			if most := 500 + more - 25*processes; rest > most || rest < most-24*processes {
				t.Errorf("then %d, want %d or a little less", rest, most)
			}
			if asks := db.asks(); asks < rest/25 || asks > rest/25+2*processes {
				t.Errorf("the database was asked %d times about %d requests", asks, rest)
			}
			// A flood gets no more than the rate, and costs no more for it.
			total, before := 0, db.asks()
			const seconds = 20
			for range seconds * 10 {
				clock.advance(100 * time.Millisecond)
				total += client.send(t, 100)
			}
			if perSecond := total / seconds; perSecond < 94 || perSecond > 100+5*(processes-1)+1 {
				t.Errorf("a flood gets %d a second", perSecond)
			}
			if perSecond := (db.asks() - before) / seconds; perSecond > 10*processes {
				t.Errorf("a flood asks the database %d times a second", perSecond)
			}
			// A steady client within the rate is never refused, one of few requests
			// costs nothing.
			clock.advance(time.Hour)
			for range 1000 {
				clock.advance(time.Second / 90)
				if client.send(t, 1) == 0 {
					t.Fatal("a client within the rate is refused")
				}
			}
			clock.advance(time.Hour)
			before = db.asks()
			for range 200 {
				clock.advance(time.Second / 5)
				if client.send(t, 1) == 0 {
					t.Fatal("a client of few requests is refused")
				}
			}
			if asks := db.asks() - before; asks != 0 {
				t.Errorf("a client of few requests had the database asked %d times", asks)
			}
			// What was asked for and not used is not to be had later on top.
			client.send(t, 26*processes)
			clock.advance(time.Hour)
			if n := client.send(t, 2000); n > 500+more || n < 500+more-24*processes {
				t.Errorf("after a rest %d are let through, want %d or a little less", n, 500+more)
			}
		})
	}
}

func TestThrottle_OverallLetsManyAtOnceOfOneClientThrough(t *testing.T) {
	t.Parallel()
	clock, url := &hand{}, newSharedDatabase(t)
	throttle := NewThrottle(clock.now, sharedOver(t, openShared(t, url, clock), clock))
	var refused atomic.Int32
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			if throttle.Allow(t.Context(), RateOverall, "192.0.2.1") != nil {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if refused.Load() != 0 {
		t.Errorf("%d of a burst are refused", refused.Load())
	}
	if throttle.Allow(t.Context(), RateOverall, "192.0.2.1") == nil {
		t.Error("the burst has no end")
	}
}

// Whatever two processes are asked, and when, together they let no more through
// in any time than their limit says.
func TestThrottle_OverallOfTwoProcessesNeverExceedsItsBound(t *testing.T) {
	t.Parallel()
	clock, url := &hand{}, newSharedDatabase(t)
	store := openShared(t, url, clock)
	random := rand.New(rand.NewPCG(1, 2))
	processes := []*Throttle{NewThrottle(clock.now, sharedOver(t, store, clock)), NewThrottle(clock.now, sharedOver(t, store, clock))}
	bound := NewLimiter(Rate{Requests: 106, Per: time.Second, Burst: 526}, clock.now)
	through := 0
	for i := range 20_000 {
		if random.IntN(50) == 0 {
			clock.advance(time.Duration(random.IntN(2_000_000_000)) / time.Duration(1+random.IntN(20)))
		}
		if processes[random.IntN(2)].Allow(t.Context(), RateOverall, "192.0.2.1") != nil {
			continue
		}
		through++
		if _, ok := bound.Allow(t.Context(), ""); !ok {
			t.Fatalf("request %d, the %dth that is let through, is too much", i, through)
		}
	}
	if through < 5000 || through > 19_000 {
		t.Errorf("%d were let through: the test shows little", through)
	}
}

func TestShared_GoesByItsOwnCountsWhileTheDatabaseDoesNotCount(t *testing.T) {
	t.Parallel()
	clock, url := &hand{}, newSharedDatabase(t)
	store := openShared(t, url, clock)
	db := lookInto(t, url)
	var log bytes.Buffer
	shared := loggingTo(t, store, clock, slog.NewTextHandler(&log, nil))
	throttle, failures := NewThrottle(clock.now, shared), guards{[]*Failures{NewFailures(clock.now, shared)}, new(atomic.Int32)}
	allowed := func(address string) (n int) {
		for range 50 {
			if throttle.Allow(t.Context(), RateLogin, address) == nil {
				n++
			}
		}
		return n
	}
	lines := func() int { return strings.Count(log.String(), "\n") }

	gone := func() { db.exec("ALTER TABLE shared_limits RENAME TO a", "ALTER TABLE shared_failures RENAME TO b") }
	back := func() { db.exec("ALTER TABLE a RENAME TO shared_limits", "ALTER TABLE b RENAME TO shared_failures") }
	gone()
	if n := allowed("192.0.2.1"); n != 30 {
		t.Errorf("%d are let through, want 30", n)
	}
	exhaust(t, failures, "key")
	wantWait(t, failures, "key", firstDelay)
	if lines() != 1 || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the log says:\n%s", log.String())
	}
	for range 13 { // it is asked again each time
		clock.advance(sharedRetry)
		allowed("192.0.2.2")
	}
	if lines() != 2 {
		t.Errorf("after a minute the log says:\n%s", log.String())
	}
	back()
	allowed("192.0.2.3")
	if db.number("SELECT count(*) FROM shared_limits") != 0 {
		t.Error("it is asked again at once")
	}
	clock.advance(sharedRetry)
	if allowed("192.0.2.3"); db.number("SELECT count(*) FROM shared_limits") != 1 {
		t.Error("it is not asked again")
	}

	// One that does not answer at all is waited for, for a moment.
	db.exec("BEGIN", "LOCK TABLE shared_limits IN ACCESS EXCLUSIVE MODE")
	if n := allowed("192.0.2.4"); n != 30 {
		t.Errorf("%d are let through while the database hangs, want 30", n)
	}
	db.exec("ROLLBACK")
}

func TestShared_AClientThatWentAwaySaysNothingOfTheDatabase(t *testing.T) {
	t.Parallel()
	clock, url := &hand{}, newSharedDatabase(t)
	shared := sharedOver(t, openShared(t, url, clock), clock)
	l := limiters([]*Shared{shared}, clock, Rate{Requests: 1, Per: time.Hour, Burst: 1})[0]
	gone, end := context.WithCancel(t.Context())
	end()
	for i := range 5 {
		l.Allow(gone, fmt.Sprint(i))
	}
	if shared.retry.Load() != 0 {
		t.Error("the database passes for one that does not answer")
	}
	if n := lookInto(t, url).number("SELECT count(*) FROM shared_limits"); n != 0 {
		t.Errorf("%d were asked about for nobody", n)
	}
}

func TestShared_RemovesWhatCountsNoMore(t *testing.T) {
	t.Parallel()
	clock, url := &hand{}, newSharedDatabase(t)
	shared := sharedOver(t, openShared(t, url, clock), clock)
	db := lookInto(t, url)
	l := limiters([]*Shared{shared}, clock, Rate{Requests: 1, Per: time.Minute, Burst: 10})[0]
	f := guards{[]*Failures{NewFailures(clock.now, shared)}, new(atomic.Int32)}
	l.Allow(t.Context(), "first") // at rest in a minute
	for range 3 {
		l.Allow(t.Context(), "busy") // in three
	}
	wantWait(t, f, "few", 0)
	exhaust(t, f, "many")
	clock.advance(firstDelay)
	wantWait(t, f, "many", 0)
	_, _ = f.of[0].Guard(t.Context(), "none", func() (bool, error) { return false, errors.New("busy") })

	rows := func(want string) {
		t.Helper()
		clock.advance(time.Microsecond)
		l.Allow(t.Context(), "now") // somebody asks
		got := fmt.Sprint(db.number("SELECT count(*) FROM shared_limits"), db.number("SELECT count(*) FROM shared_failures"))
		if got != want {
			t.Errorf("limits and failures are kept of %s keys, want %s", got, want)
		}
	}
	rows("3 3") // now, first and busy; few, many and none
	clock.advance(time.Minute)
	rows("2 2") // now, busy
	clock.advance(freeMemory)
	rows("1 1") // now; many
	clock.advance(delayedMemory)
	rows("1 0")
}

func TestShared_RemovesMuchInPortions(t *testing.T) {
	t.Parallel()
	clock, url := &hand{}, newSharedDatabase(t)
	shared := sharedOver(t, openShared(t, url, clock), clock)
	db := lookInto(t, url)
	db.exec("INSERT INTO shared_limits SELECT int4send(i), 0, 0, 1 FROM generate_series(1, 25000) AS i")
	l := limiters([]*Shared{shared}, clock, Rate{Requests: 1, Per: time.Minute, Burst: 10})[0]
	for _, want := range []int{15_001, 5001, 1, 1} {
		l.Allow(t.Context(), "now")
		if n := db.number("SELECT count(*) FROM shared_limits"); n != want {
			t.Errorf("%d rows are left, want %d", n, want)
		}
	}
}

func TestShared_KeepsNoKeyInClear(t *testing.T) {
	t.Parallel()
	clock, url := &hand{}, newSharedDatabase(t)
	store := openShared(t, url, clock)
	db := lookInto(t, url)
	const address, name = "192.0.2.77", "name:okapi@example.com"
	for _, secret := range []string{"first", "other"} {
		shared := NewShared(store, fixedKeyring(t, secretsOf(secret)), slog.New(slog.DiscardHandler), clock.now)
		if err := NewThrottle(clock.now, shared).Allow(t.Context(), RateLogin, address); err != nil {
			t.Fatal(err)
		}
		wantWait(t, guards{[]*Failures{NewFailures(clock.now, shared)}, new(atomic.Int32)}, name, 0)
		if _, ok := NewMailLimits(clock.now, shared).count(t.Context(), MailActivation, "okapi@example.com"); !ok {
			t.Fatal("refused")
		}
	}
	// Each secret has keys of its own, so nobody without one finds a key by trying.
	if limits, failures := db.number("SELECT count(*) FROM shared_limits"), db.number("SELECT count(*) FROM shared_failures"); limits != 6 || failures != 2 {
		t.Errorf("%d limits and %d failures are kept, want 6 and 2", limits, failures)
	}
	for _, word := range []string{address, "okapi", "name", "login"} {
		for _, table := range []string{"shared_limits", "shared_failures"} {
			if n := db.number(fmt.Sprintf("SELECT count(*) FROM %s AS t WHERE position('%s'::bytea IN key) > 0 OR t::text LIKE '%%%s%%'", table, word, word)); n != 0 {
				t.Errorf("%s is in %s", word, table)
			}
		}
	}
	if n := db.number("SELECT count(*) FROM shared_limits WHERE length(key) <> 16"); n != 0 {
		t.Errorf("%d keys are not 16 bytes long", n)
	}
}

func TestShared_AClockThatWasSetBackRefusesNobodyForLong(t *testing.T) {
	t.Parallel()
	clock, url := &hand{}, newSharedDatabase(t)
	store := openShared(t, url, clock)
	rate := Rate{Requests: 1, Per: time.Second, Burst: 2}
	for _, back := range []time.Duration{0, time.Hour} {
		clock.advance(-back)
		for i, want := range []bool{true, true, false} { // each in a process that was started just now
			l := limiters([]*Shared{sharedOver(t, store, clock)}, clock, rate)[0]
			if _, ok := l.Allow(t.Context(), "key"); ok != want {
				t.Errorf("set back by %s: request %d is let through: %v", back, i+1, ok)
			}
		}
	}
	f := func() guards { return guardsOf([]*Shared{sharedOver(t, store, clock)}, clock) }
	exhaust(t, f(), "key")
	clock.advance(-time.Hour)
	wantWait(t, f(), "key", firstDelay)
}

// The connections that transactions hold must not be those that limits wait for.
func TestLimiter_MayBeAskedInTransactions(t *testing.T) {
	t.Parallel()
	for _, conns := range []string{"", "?pool_max_conns=1", "?pool_max_conns=5"} {
		clock, url := &hand{}, newSharedDatabase(t)
		store := openShared(t, url+conns, clock)
		shared := sharedOver(t, store, clock)
		l := limiters([]*Shared{shared}, clock, Rate{Requests: 1, Per: time.Hour, Burst: 20})[0]
		var allowed atomic.Int32
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				err := store.Write(t.Context(), func(models.DB) error {
					if _, ok := l.Allow(t.Context(), "key"); ok {
						allowed.Add(1)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if allowed.Load() != 20 || shared.retry.Load() != 0 {
			t.Errorf("%q: %d were allowed, want 20; the database counted: %v", conns, allowed.Load(), shared.retry.Load() == 0)
		}
	}
}
