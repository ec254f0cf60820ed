package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// migrateTimeout bounds Migrate, waiting for another process's included.
const migrateTimeout = 5 * time.Minute

// Migrate brings the schema up to what this binary knows; it does nothing where
// that is done already. Several processes may call it at once. A schema from a
// newer binary is ErrNewerSchema. It takes as long as it takes, up to five
// minutes; on a server that is away it ends like every other call.
func (db *DB) Migrate(ctx context.Context) error {
	if err := db.Ping(ctx); err != nil {
		return fmt.Errorf("%s: %w", opMigrate.doing(), err)
	}
	return db.runFor(ctx, opMigrate, migrateTimeout, func(ctx context.Context) error {
		p, err := db.provider()
		if err != nil {
			return err
		}
		if err := known(ctx, p); err != nil {
			return err
		}
		done, err := db.up(ctx, p)
		if err != nil {
			return err
		}
		for _, m := range done {
			db.log.InfoContext(ctx, "migration applied", slog.Int64("version", m.Source.Version), slog.Duration("took", m.Duration))
		}
		return known(ctx, p)
	})
}

// SchemaVersion returns the number of the newest migration in the database and
// of the newest that this binary knows.
func (db *DB) SchemaVersion(ctx context.Context) (current, newest int64, err error) {
	err = db.run(ctx, opMigrate, func(ctx context.Context) error {
		p, err := db.provider()
		if err != nil {
			return err
		}
		current, newest, err = p.GetVersions(ctx)
		return err
	})
	return current, newest, err
}

func (db *DB) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+db.driver)
	if err != nil {
		return nil, err
	}
	dialect := goose.DialectSQLite3
	opts := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true),
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	}
	if db.driver == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(dialect, db.write.DB, files, opts...)
}

// known refuses a schema that this binary does not know.
func known(ctx context.Context, p *goose.Provider) error {
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > newest {
		return fmt.Errorf("%w: its schema is version %d and this one knows %d: start the newer ringlink, or restore the copy of before its migration",
			ErrNewerSchema, current, newest)
	}
	return nil
}

// up runs what is pending. SQLite has no lock that spans migrations: a process
// that comes second fails on the unique index over goose's versions, which
// rolls its migration back, and looks again.
func (db *DB) up(ctx context.Context, p *goose.Provider) ([]*goose.MigrationResult, error) {
	const attempts = 20
	var done []*goose.MigrationResult
	for attempt := 1; ; attempt++ {
		before, newest, err := p.GetVersions(ctx)
		if err != nil {
			return done, err
		}
		if before >= newest {
			return done, nil
		}
		results, err := p.Up(ctx)
		done = append(done, results...)
		if err == nil {
			return done, nil
		}
		after, _, again := p.GetVersions(ctx)
		if again != nil || attempt == attempts || (after == before && classify(err) != resultBusy) {
			return done, errors.Join(err, again)
		}
	}
}
