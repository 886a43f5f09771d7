package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"dueto/config"
	"dueto/models"
	"dueto/routes"
	"dueto/services"
)

const (
	maxConnections = 1024
	maxHeaderBytes = 16 << 10
	drainTimeout   = 20 * time.Second
)

type serveCmd struct {
	config.Config `embed:""`
}

// gcPercent lets the heap grow to four times what is live before it is
// collected. Live are a few megabytes; at Go's own 100 a busy server collects
// dozens of times a second.
const gcPercent = 300

// minProcs is how many threads may run Go at once even on one processor: while
// one hashes a password for a quarter of a second, the kernel lets another
// answer in between. Go by itself would change over every 10 ms at most.
const minProcs = 2

// Run serves until the context ends, then finishes what has begun.
func (cmd *serveCmd) Run(e *env) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// Where there are enough it is not called: Go then keeps to a container's limit.
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < minProcs {
		runtime.GOMAXPROCS(minProcs)
	}
	cfg := cmd.Config
	if err := e.checked(&cfg); err != nil {
		return err
	}
	log, flush := newLogger(e.stderr, &cfg)
	defer flush()
	for _, f := range e.sources.Findings(&cfg) {
		log.Warn(f.Problem, "finding", f.ID, "advice", f.Advice)
	}
	cfg.Derive()
	store, err := e.open(&cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.Primary(e.ctx); err != nil {
		return fmt.Errorf("%s: %w", models.Redacted(cfg.Database), err)
	}

	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if cfg.PublicURL == "" { // port 0: known only now
		cfg.PublicURL = config.LocalURL(listener.Addr().String())
	}
	deps := routes.Deps{Config: cfg, Store: store, Logger: log, Draining: new(atomic.Bool)}
	if deps.Services, err = routes.NewServices(deps); err != nil {
		return errors.Join(err, listener.Close())
	}
	handler, err := routes.New(deps)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if !deps.Services.Outbox.Sends() {
		log.Warn("no mail is set up: whoever registers is handed the confirmation link in the answer; other messages wait in the outbox")
	}
	defer deps.Services.Close()
	backups := services.NewBackups(services.BackupsConfig{
		Backups: models.Backups{URL: cfg.Database, Dir: cfg.BackupDir}, Every: cfg.BackupEvery, Keep: cfg.BackupKeep, Now: time.Now, Log: log,
	})
	stopWorkers := e.work(deps.Services.Outbox.Run, backups.Run)
	defer stopWorkers()
	if cfg.Throttle == "on" {
		listener = newClientListener(listener, maxPerClient, cfg.TrustedProxies)
	}
	return e.serve(listener, handler, log, deps.Draining)
}

// work runs workers until the context ends, or stop is called, which waits for
// what they are at: a message that is being sent.
func (e *env) work(workers ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(e.ctx)
	var running sync.WaitGroup
	for _, run := range workers {
		running.Go(func() { run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// serve answers on a listener until the context ends, then finishes what has
// begun.
func (e *env) serve(listener net.Listener, handler http.Handler, log *slog.Logger, draining *atomic.Bool) error {
	server := &http.Server{
		Handler:        handler,
		ReadTimeout:    10 * time.Second, // headers and body: a second deadline costs each request
		WriteTimeout:   30 * time.Second,
		IdleTimeout:    60 * time.Second,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
	fmt.Fprintf(e.stderr, "listening on %s\n", config.LocalURL(listener.Addr().String()))

	select {
	case err := <-served:
		return err
	case <-e.ctx.Done():
	}
	draining.Store(true)
	log.Info("stopping: finishing what has begun")
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("stop: %w", errors.Join(err, server.Close()))
	}
	return nil
}
