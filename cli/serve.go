package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"dueto/config"
	"dueto/routes"
)

const (
	maxConnections = 1024
	maxHeaderBytes = 16 << 10
	drainTimeout   = 20 * time.Second
)

type serveCmd struct {
	config.Config `embed:""`
}

// gcPercent lets the heap grow to five times what is live before it is
// collected. Live are a few megabytes; at Go's own 100 a busy server collects
// dozens of times a second.
const gcPercent = 400

// Run serves until the context ends, then finishes what has begun.
func (cmd *serveCmd) Run(e *env) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	cfg := cmd.Config
	if err := e.checked(&cfg); err != nil {
		return err
	}
	cfg.Derive()
	log, flush := newLogger(e.stderr, &cfg)
	defer flush()
	for _, w := range append(cfg.Warnings(), e.sources.Warnings()...) {
		log.Warn(w)
	}
	store, secret, err := e.open(&cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	local := config.LocalURL(listener.Addr().String())
	if cfg.PublicURL == "" { // port 0: known only now
		cfg.PublicURL = local
	}
	draining := new(atomic.Bool)
	handler, err := routes.New(routes.Deps{Config: cfg, Secret: secret, Store: store, Logger: log, Draining: draining})
	if err != nil {
		_ = listener.Close()
		return err
	}
	log.Warn("no mail is set up: whoever registers is handed the confirmation link in the answer")
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	if cfg.Throttle == "on" {
		listener = newClientListener(listener, maxPerClient, cfg.TrustedProxies)
	}
	go func() { served <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
	fmt.Fprintf(e.stderr, "listening on %s\n", local)

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
