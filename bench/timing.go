package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"dueto/services"
)

// How samples are taken: one at a time, on one connection, with a pause in which
// the server finishes what it does after an answer.
const (
	timingAccounts   = 50 // of each kind, taken in turn
	timingLoginPause = 3 * time.Millisecond
	timingMailPause  = 10 * time.Millisecond
)

// The accounts that samples are about; others do not exist.
const (
	memberAccount  = "member"
	pendingAccount = "waiter"
	formerAccount  = "leaver" // deactivated
	resetAccount   = "forgot" // its password was taken away
	nobody         = "nobody"
)

const (
	timingPassword = "a fine long phrase 71" //nolint:gosec // of this run only
	wrongPassword  = "a fine long phrase 17" //nolint:gosec // likewise
)

// timed is one kind of request whose time might tell something.
type timed struct {
	title string
	body  func(i int) string
	took  []time.Duration
	next  []time.Duration // the request after it
}

// question is what somebody could want to know from times: whether the kinds
// differ from the first one.
type question struct {
	title  string
	path   string
	status int
	blocks int // samples of each kind, for a round
	pause  time.Duration
	cost   int // of a hash on the server that is asked
	kinds  []*timed
}

func timingQuestions() []question {
	name := func(kind string, i int) string { return fmt.Sprintf("%s%04d", kind, i%timingAccounts) }
	absent := func(i int) string { return fmt.Sprintf("%s%04d", nobody, i%10_000) }
	login := func(title, kind, password string) *timed {
		return &timed{title: title, body: func(i int) string {
			username := absent(i)
			if kind != nobody {
				username = name(kind, i)
			}
			return fmt.Sprintf(`{"username":%q,"password":%q}`, username, password)
		}}
	}
	logins := func() []*timed {
		return []*timed{
			login("wrong password", memberAccount, wrongPassword),
			login("no such account", nobody, timingPassword),
			login("not confirmed, right password", pendingAccount, timingPassword),
			login("deactivated, right password", formerAccount, timingPassword),
			login("reset by staff", resetAccount, timingPassword),
		}
	}
	address := func(title, kind string) *timed {
		return &timed{title: title, body: func(i int) string {
			local := absent(i)
			if kind != nobody {
				local = name(kind, i)
			}
			return fmt.Sprintf(`{"email":"%s@example.org"}`, local)
		}}
	}
	addresses := func() []*timed {
		return []*timed{address("no such account", nobody), address("active", memberAccount), address("not confirmed", pendingAccount)}
	}
	serial := 0
	register := func(title, kind string) *timed {
		return &timed{title: title, body: func(i int) string {
			serial++
			local := fmt.Sprintf("joiner%06d", serial)
			if kind != nobody {
				local = name(kind, i)
			}
			return fmt.Sprintf(`{"username":"joiner%06d","email":"%s@example.org","password":%q}`, serial, local, timingPassword)
		}}
	}
	return []question{
		{"Login, password-cost 4", "/auth/login", http.StatusUnauthorized, 100, timingLoginPause, 4, logins()},
		{"Login, password-cost 12 (the default)", "/auth/login", http.StatusUnauthorized, 5, timingLoginPause, 12, logins()},
		{"Password reset", "/auth/password/reset", http.StatusAccepted, 60, timingMailPause, 4, addresses()},
		{"Activation link again", "/auth/activate/resend", http.StatusAccepted, 60, timingMailPause, 4, addresses()},
		{"Registration, password-cost 4", "/auth/register", http.StatusCreated, 60, timingMailPause, 4, []*timed{
			register("free address", nobody), register("taken, active", memberAccount), register("taken, not confirmed", pendingAccount),
		}},
	}
}

// timing measures whether the time of an answer tells what the answer does not.
func (s *stand) timing(ctx context.Context, o options) (string, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	mail, err := startMailSink(ctx)
	if err != nil {
		return "", err
	}
	servers := map[int]*server{}
	for _, cost := range []int{4, 12} {
		if servers[cost], err = s.startTiming(ctx, cost, mail); err != nil {
			return "", err
		}
		defer servers[cost].stop()
	}
	questions := timingQuestions()
	for round := range o.rounds {
		for _, q := range questions {
			if err := q.ask(ctx, servers[q.cost]); err != nil {
				return "", fmt.Errorf("timing of %s: %w", q.path, err)
			}
		}
		progress("timing: round %d of %d is done", round+1, o.rounds)
	}
	return timingSection(questions), nil
}

// startTiming starts a server with mail and with accounts in each state.
func (s *stand) startTiming(ctx context.Context, cost int, mail string) (*server, error) {
	name := fmt.Sprintf("timing-%d", cost)
	return s.startDueto(ctx, s.cpus.server, name, func(file string) error { return seedStates(ctx, file, cost) },
		"DUETO_THROTTLE=off", fmt.Sprintf("DUETO_PASSWORD_COST=%d", cost), "DUETO_SMTP_URL="+mail, "DUETO_MAIL_FROM=dueto@example.org")
}

// seedStates adds accounts in each state.
func seedStates(ctx context.Context, file string, cost int) (err error) {
	hash, err := services.NewPasswords(cost, 1).Hash(ctx, timingPassword)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", "file:"+file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	joined := time.Now().Add(-24 * time.Hour).UnixMicro()
	for _, state := range []struct {
		kind, hash          string
		activated, disabled any
	}{
		{memberAccount, hash, joined, nil}, {pendingAccount, hash, nil, nil}, {formerAccount, hash, joined, joined}, {resetAccount, "", joined, nil},
	} {
		for i := range timingAccounts {
			name := fmt.Sprintf("%s%04d", state.kind, i)
			email := name + "@example.org"
			_, err := db.ExecContext(ctx, `INSERT INTO users (username, username_key, email, email_key, password_hash, date_joined,
				activated_at, disabled_at, password_changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				name, name, email, email, state.hash, joined, state.activated, state.disabled, joined)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// ask takes samples of each kind, in blocks of one each, whose order is drawn
// anew for each block.
func (q question) ask(ctx context.Context, target *server) error {
	c, err := dial(ctx, target.addr())
	if err != nil {
		return err
	}
	defer c.close()
	probe := request(target, http.MethodPost, "/auth/password/reset", `{"email":"nobody.at.all@example.org"}`)
	first := len(q.kinds[0].took)
	for i := first; i < first+q.blocks && ctx.Err() == nil; i++ {
		for _, k := range rand.Perm(len(q.kinds)) { //nolint:gosec // no secret
			kind := q.kinds[k]
			ready := request(target, http.MethodPost, q.path, kind.body(i))
			begin := time.Now()
			status, answer, err := c.send(ready)
			between := time.Now()
			if err != nil || status != q.status {
				return fmt.Errorf("%q was answered %d: %s: %w", kind.title, status, answer, err)
			}
			if status, answer, err = c.send(probe); err != nil || status != http.StatusAccepted {
				return fmt.Errorf("the probe was answered %d: %s: %w", status, answer, err)
			}
			kind.took = append(kind.took, between.Sub(begin))
			kind.next = append(kind.next, time.Since(between))
			time.Sleep(q.pause)
		}
	}
	return errors.Join(ctx.Err(), target.emptyLog())
}

func timingSection(questions []question) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## What the time of an answer tells\n\n"+
		"Whether an account exists, and in which state, is not in these answers. Is it in how long they take? One client asks on one connection, one request at a time with a pause after it, "+
		"a server on one processor that nobody else uses, unthrottled and with a mail server, about %d accounts of each kind in turn; the order of the kinds is drawn anew for each block of one each.\n\n"+
		"- AUC: how probable it is that such a request takes longer than one of the first kind (Mann and Whitney's U); 0.5 where they cannot be told apart. In brackets, the 95 %% interval.\n"+
		"- requests to tell: how many of each kind make somebody right 95 times in a hundred; where the interval holds 0.5, the least that it can take.\n"+
		"- the request after it: an unknown address's password reset, sent as soon as the answer is there. It waits for what the server still does, and a mail that goes out is work.\n\n"+
		"A cheap hash makes small differences show. At the default cost one takes a quarter of a second, give or take some milliseconds, and they are lost in that.\n\n", timingAccounts)
	for _, q := range questions {
		fmt.Fprintf(&b, "%s:\n\n", q.title)
		row(&b, "request", "samples", "median (quartiles) in ms", "AUC", "requests to tell", "AUC of the request after it")
		row(&b, slices.Repeat([]string{"---"}, 6)...)
		for i, k := range q.kinds {
			cells := []string{k.title, fmt.Sprint(len(k.took)), quartiles(k.took)}
			if i == 0 {
				row(&b, append(cells, "", "", "")...)
				continue
			}
			own := rank(k.took, q.kinds[0].took)
			row(&b, append(cells, own.String(), own.telling(), rank(k.next, q.kinds[0].next).String())...)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func quartiles(list []time.Duration) string {
	sorted := slices.Sorted(slices.Values(list))
	at := func(part int) float64 { return sorted[(len(sorted)-1)*part/4].Seconds() * 1e3 }
	return fmt.Sprintf("%.3f (%.3f to %.3f)", at(2), at(1), at(3))
}

func (r ranking) String() string {
	return fmt.Sprintf("%.3f (%.3f to %.3f)", r.auc, r.low, r.high)
}

func (r ranking) telling() string {
	samples, atLeast := r.toTell()
	if atLeast {
		return fmt.Sprintf("over %d", samples)
	}
	return fmt.Sprint(samples)
}
