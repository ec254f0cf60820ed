package store_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"ringlink/screenpop"
	"ringlink/store"
	"ringlink/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens and migrates a store that is closed with the test.
func open(tb testing.TB, o store.Options) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("closing the store: %v", err)
		}
	})
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db
}

// fileOptions are those of an SQLite file whose name needs escaping.
func fileOptions(tb testing.TB) store.Options {
	return store.Options{Driver: store.SQLite, Path: filepath.Join(tb.TempDir(), "ring link?#%41.db")}
}

// suiteTimeout leaves the conformance suite room on a busy machine: it is
// about results, and the deadline has its own tests.
const suiteTimeout = 30 * time.Second

func TestSQLiteFile(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.DB {
		o := fileOptions(t)
		o.QueryTimeout = suiteTimeout
		return open(t, o)
	})
}

func TestSQLiteMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.DB {
		return open(t, store.Options{Driver: store.SQLite, Path: store.Memory, QueryTimeout: suiteTimeout})
	})
}

func TestPostgres(t *testing.T) {
	storetest.Opted(t, storetest.TierPostgres)
	storetest.Run(t, func(t *testing.T) *store.DB {
		return open(t, store.Options{Driver: store.Postgres, DSN: storetest.Postgres(t), QueryTimeout: suiteTimeout})
	})
}

func TestOpenFaults(t *testing.T) {
	const secret = "s3cret"
	for name, test := range map[string]struct {
		o    store.Options
		want []string
	}{
		"nothing":       {store.Options{}, []string{"driver"}},
		"all at once":   {store.Options{Driver: store.Postgres, MaxOpen: 500, QueryTimeout: -1}, []string{"DSN", "500", "negative"}},
		"no path":       {store.Options{Driver: store.SQLite}, []string{"path"}},
		"no folder":     {store.Options{Driver: store.SQLite, Path: "/nowhere/at/all.db"}, []string{"folder /nowhere/at"}},
		"both":          {store.Options{Driver: store.SQLite, Path: store.Memory, DSN: "x"}, []string{"DSN is for postgres"}},
		"no sslmode":    {store.Options{Driver: store.Postgres, DSN: "postgres://u:" + secret + "@127.0.0.1/x"}, []string{"sslmode"}},
		"no sslmode, k": {store.Options{Driver: store.Postgres, DSN: "host=/x password=" + secret}, []string{"sslmode"}},
		"bad URL":       {store.Options{Driver: store.Postgres, DSN: "postgres://u:" + secret + "@[x/y?sslmode=disable"}, []string{"DSN"}},
		"bad keyword":   {store.Options{Driver: store.Postgres, DSN: "sslmode=disable password=" + secret + " port=x"}, []string{"DSN"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), test.o)
			if err == nil {
				t.Fatal("the options were taken")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not tell of %q", err, want)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q holds the password", err)
			}
		})
	}
}

func TestSQLiteFileMode(t *testing.T) {
	o := fileOptions(t)
	open(t, o)
	info, err := os.Stat(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the database has mode %v: it holds password hashes", info.Mode().Perm())
	}
}

// TestNewerSchema has a database that a later binary migrated.
func TestNewerSchema(t *testing.T) {
	sqlite := fileOptions(t)
	t.Run("sqlite", func(t *testing.T) {
		testNewerSchema(t, sqlite, "sqlite", "file:"+(strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23").Replace(sqlite.Path)))
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := storetest.Postgres(t)
		testNewerSchema(t, store.Options{Driver: store.Postgres, DSN: dsn}, "postgres", dsn)
	})
}

func testNewerSchema(t *testing.T, o store.Options, driver, dsn string) {
	db := open(t, o)
	raw, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	// goose's columns are the same in both.
	if _, err := raw.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, " + map[string]string{"sqlite": "1", "postgres": "true"}[driver] + ")"); err != nil {
		t.Fatal(err)
	}
	err = db.Migrate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "9999") || !strings.Contains(err.Error(), "newer ringlink") {
		t.Errorf("Migrate = %v", err)
	}
}

// TestMigrateAtOnce has eight processes, as it were, migrate one database.
func TestMigrateAtOnce(t *testing.T) {
	sqlite := fileOptions(t)
	t.Run("sqlite", func(t *testing.T) { testMigrateAtOnce(t, sqlite) })
	t.Run("postgres", func(t *testing.T) {
		testMigrateAtOnce(t, store.Options{Driver: store.Postgres, DSN: storetest.Postgres(t)})
	})
}

func testMigrateAtOnce(t *testing.T, o store.Options) {
	o.QueryTimeout = suiteTimeout
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			db, err := store.Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Migrate(t.Context()); err != nil {
				t.Errorf("Migrate: %v", err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	db := open(t, o)
	if _, err := db.ListPops(t.Context(), screenpop.PopQuery{}); err != nil {
		t.Error(err)
	}
}

// TestSQLiteTwoProcesses has two processes, as it were, write to one file.
func TestSQLiteTwoProcesses(t *testing.T) {
	o := fileOptions(t)
	o.QueryTimeout = suiteTimeout
	one, two := open(t, o), open(t, o)
	var wg sync.WaitGroup
	for i, db := range []*store.DB{one, two} {
		wg.Go(func() {
			for n := range 200 {
				id := string(rune('a'+i)) + strings.Repeat("x", n)
				if _, _, err := db.OfferPop(t.Context(), storetest.Pop(id, "pbx1/1.0", "ann")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestPersists(t *testing.T) {
	o := fileOptions(t)
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.OfferPop(t.Context(), storetest.Pop("p1", "pbx1/1.0", "ann")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, o).PopByID(t.Context(), "p1"); err != nil {
		t.Error(err)
	}
}

// TestMemoryAfterCancel cancels a query of a database that is its connection.
func TestMemoryAfterCancel(t *testing.T) {
	db := open(t, store.Options{Driver: store.SQLite, Path: store.Memory})
	if _, _, err := db.OfferPop(t.Context(), storetest.Pop("p1", "pbx1/1.0", "ann")); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*5*time.Microsecond)
		_, _ = db.ListPops(ctx, screenpop.PopQuery{})                                                 // may end either way
		_, _ = db.Import(ctx, strings.NewReader("kind,id,name\nperson,p,x\n"), store.ImportOptions{}) // may end either way
		cancel()
	}
	if _, err := db.PopByID(t.Context(), "p1"); err != nil {
		t.Errorf("after queries were cancelled: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := fileOptions(t)
	o.Registerer = reg
	db := open(t, o)
	if _, err := db.PopByID(t.Context(), "none"); err == nil {
		t.Fatal("a pop that is not there was found")
	}
	n, err := testutil.GatherAndCount(reg, "ringlink_store_duration_seconds")
	if err != nil || n != 3 { // ping, migrate, read_pop
		t.Errorf("%d series, %v", n, err)
	}
}
