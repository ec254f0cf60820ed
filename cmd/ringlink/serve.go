package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ringlink/config"
	"ringlink/store"
)

// serveCommand runs the gateway until it is asked to end.
type serveCommand struct{ configFlag }

// Run blocks until the session's context ends.
func (c *serveCommand) Run(s *session) error {
	cfg, err := config.Load(c.Config, s.env)
	if err != nil {
		return err
	}
	log := newLogger(cfg.Log, s.err)
	for _, w := range cfg.Warnings() {
		log.Warn(w)
	}
	a, err := newApp(cfg, log, appOptions{})
	if err != nil {
		return err
	}
	return a.Run(s.ctx)
}

// openStore opens the configured store for a command and brings its schema up
// to date. Close it.
func openStore(ctx context.Context, s *session, cfg *config.Config) (*store.DB, error) {
	if cfg.Store.Path == config.MemoryPath {
		return nil, errors.New("store.path is :memory:, which no other process can see; name a file")
	}
	log := newLogger(config.Log{Level: 4, Format: config.LogText}, s.err)
	db, err := store.Open(ctx, storeOptions(cfg, log, nil))
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// withStore runs f on the configured store.
func (f configFlag) withStore(s *session, do func(*config.Config, *store.DB) error) (err error) {
	cfg, err := f.load(s)
	if err != nil {
		return err
	}
	db, err := openStore(s.ctx, s, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(cfg, db)
}

// migrateCommand brings the schema up to date.
type migrateCommand struct{ configFlag }

// Run prints one line.
func (c *migrateCommand) Run(s *session) error {
	return c.withStore(s, func(_ *config.Config, db *store.DB) error {
		_, err := fmt.Fprintf(s.out, "the %s store's schema is up to date\n", db.Driver())
		return err
	})
}

// healthcheckCommand asks a running gateway's debug listener.
type healthcheckCommand struct{ configFlag }

// Run prints the answer of /readyz.
func (c *healthcheckCommand) Run(s *session) error {
	cfg, err := c.load(s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+cfg.DebugListen+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the gateway: %w", err)
	}
	defer resp.Body.Close()
	if _, err := copyLimited(s.out, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return exitCode(1)
	}
	return nil
}
