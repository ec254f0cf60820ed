package store

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
)

// openSQLite makes two pools on the file: many readers and one writer. In
// memory the database is its connection, and there is just one.
func (db *DB) openSQLite(o Options) error {
	if o.Path == "" {
		return fmt.Errorf("the SQLite database needs a path, or %q", Memory)
	}
	if o.DSN != "" {
		return errors.New("a DSN is for postgres; sqlite takes a path")
	}
	if o.Path != Memory {
		if err := touch(o.Path); err != nil {
			return err
		}
	}
	writer, err := sqlite.NewConnector(db.sqliteDSN(o.Path, false))
	if err != nil {
		return fmt.Errorf("reading the SQLite path: %w", err)
	}
	db.write = sqlx.NewDb(sql.OpenDB(writer), SQLite)
	db.write.SetMaxOpenConns(1)
	db.write.SetMaxIdleConns(1)
	if o.Path == Memory {
		db.read = db.write
		return nil
	}
	reader, err := sqlite.NewConnector(db.sqliteDSN(o.Path, true))
	if err != nil {
		return fmt.Errorf("reading the SQLite path: %w", err)
	}
	db.read = sqlx.NewDb(sql.OpenDB(reader), SQLite)
	db.read.SetMaxOpenConns(o.MaxOpen)
	db.read.SetMaxIdleConns(o.MaxOpen)
	return nil
}

// sqliteDSN builds the URI. synchronous=NORMAL in WAL survives the death of
// the process; a power cut may take back the last commits but harms nothing.
func (db *DB) sqliteDSN(path string, reader bool) string {
	q := url.Values{
		"_txlock":       {"immediate"},
		"_busy_timeout": {strconv.FormatInt(max(db.timeout.Milliseconds(), 1), 10)},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"NORMAL"},
		"_foreign_keys": {"1"},
		"_dqs":          {"0"},
	}
	if reader {
		q.Set("_query_only", "1")
	}
	if path == Memory {
		q.Del("_journal_mode")
		return "file::memory:?" + q.Encode()
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// touch makes the file, readable by nobody else: it holds password hashes.
func touch(path string) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the folder %s of the SQLite database is not there: make it first", filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("making the SQLite database: %w", err)
	}
	return f.Close()
}
