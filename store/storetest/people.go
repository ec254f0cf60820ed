package storetest

import (
	"slices"
	"testing"
	"time"

	"ringlink/bridge"
	"ringlink/screenpop"
	"ringlink/store"
)

func testUsers(t *testing.T, db *store.DB) {
	ctx := t.Context()
	ann, err := db.AddUser(ctx, store.NewUser{Login: " Ann ", Name: "Ann Ünal", Role: screenpop.RoleAgent, PasswordHash: "h1", Group: "first"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the agent added", ann, screenpop.User{ID: ann.ID, Login: "ann", Name: "Ann Ünal", Role: screenpop.RoleAgent, PasswordHash: "h1", Agent: "ann"})
	root, err := db.AddUser(ctx, store.NewUser{Login: "root", Role: screenpop.RoleAdministrator, PasswordHash: "h2"})
	if err != nil || root.Agent != "" || root.Name != "root" {
		t.Fatalf("AddUser(root) = %+v, %v", root, err)
	}
	chief, err := db.AddUser(ctx, store.NewUser{Login: "chief", Role: screenpop.RoleSupervisor, PasswordHash: "h", Agent: "chief-desk"})
	if err != nil || chief.Agent != "chief-desk" {
		t.Fatalf("AddUser(chief) = %+v, %v", chief, err)
	}
	_, err = db.AddUser(ctx, store.NewUser{Login: "ANN", Role: screenpop.RoleAdministrator, PasswordHash: "h"})
	isError(t, "adding a login twice", err, store.ErrExists)
	_, err = db.AddUser(ctx, store.NewUser{Login: "eve", Role: screenpop.RoleAgent, PasswordHash: "h", Agent: "ann"})
	isError(t, "adding an agent twice", err, store.ErrExists)
	testBadUsers(t, db)

	if err := db.SetPassword(ctx, "Ann", "h3"); err != nil {
		t.Fatal(err)
	}
	if err := db.SetDisabled(ctx, "ann", true); err != nil {
		t.Fatal(err)
	}
	ann.PasswordHash, ann.Disabled = "h3", true
	for what, read := range map[string]func() (screenpop.User, error){
		"by login": func() (screenpop.User, error) { return db.UserByLogin(ctx, "ANN") },
		"by id":    func() (screenpop.User, error) { return db.UserByID(ctx, ann.ID) },
	} {
		got, err := read()
		if err != nil {
			t.Fatal(err)
		}
		same(t, what, got, ann)
	}
	_, err = db.UserByLogin(ctx, "nobody")
	isError(t, "reading no login", err, screenpop.ErrNotFound)
	_, err = db.UserByID(ctx, "nobody")
	isError(t, "reading no user", err, screenpop.ErrNotFound)
	isError(t, "a password for nobody", db.SetPassword(ctx, "nobody", "h"), screenpop.ErrNotFound)
	isError(t, "disabling nobody", db.SetDisabled(ctx, "nobody", true), screenpop.ErrNotFound)

	users, err := db.ListUsers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "all users", users, []screenpop.User{ann, chief, root})
	names, err := db.AgentNames(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "all agents", names, map[bridge.AgentID]string{"ann": "Ann Ünal", "chief-desk": "chief"})
}

func testBadUsers(t *testing.T, db *store.DB) {
	t.Helper()
	for _, bad := range []store.NewUser{
		{Login: "", Role: screenpop.RoleAgent, PasswordHash: "h"}, {Login: "a b", Role: screenpop.RoleAgent, PasswordHash: "h"},
		{Login: "dan", Role: "root", PasswordHash: "h"}, {Login: "dan", Role: screenpop.RoleAgent},
	} {
		if _, err := db.AddUser(t.Context(), bad); err == nil {
			t.Errorf("AddUser(%+v) was taken", bad)
		}
	}
}

func testDevices(t *testing.T, db *store.DB) {
	ctx := t.Context()
	for _, n := range []store.NewUser{
		{Login: "ann", Role: screenpop.RoleAgent, PasswordHash: "h"}, {Login: "bob", Role: screenpop.RoleAgent, PasswordHash: "h"},
		{Login: "root", Role: screenpop.RoleAdministrator, PasswordHash: "h"},
	} {
		if _, err := db.AddUser(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	d1, d2 := bridge.Device{PBX: "pbx1", Endpoint: "PJSIP/101"}, bridge.Device{PBX: "pbx2", Endpoint: "PJSIP/101"}
	for _, m := range []struct {
		login string
		d     bridge.Device
	}{{"ann", d2}, {"ann", d1}, {"Bob", d1}} { // bob sits down at ann's desk
		if err := db.MapDevice(ctx, m.login, m.d); err != nil {
			t.Fatal(err)
		}
	}
	isError(t, "a device for nobody", db.MapDevice(ctx, "nobody", d1), screenpop.ErrNotFound)
	isError(t, "a device for no agent", db.MapDevice(ctx, "root", d1), screenpop.ErrNotFound)
	if err := db.MapDevice(ctx, "ann", bridge.Device{Endpoint: "PJSIP/1"}); err == nil {
		t.Error("a device without a PBX was taken")
	}
	devices, err := db.Devices(ctx)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the devices", devices, []bridge.Assignment{{Device: d1, Agent: "bob"}, {Device: d2, Agent: "ann"}})
	if err := db.UnmapDevice(ctx, d1); err != nil {
		t.Fatal(err)
	}
	isError(t, "unmapping twice", db.UnmapDevice(ctx, d1), screenpop.ErrNotFound)
	devices, err = db.Devices(ctx)
	if err != nil || len(devices) != 1 {
		t.Errorf("Devices = %v, %v", devices, err)
	}
}

func testSessions(t *testing.T, db *store.DB) {
	ctx := t.Context()
	soon := time.Now().Add(time.Hour)
	for _, data := range []string{"one\x00\xff", "two"} {
		if err := db.CommitCtx(ctx, "t1", []byte(data), soon); err != nil {
			t.Fatal(err)
		}
		if got, found, err := db.FindCtx(ctx, "t1"); string(got) != data || !found || err != nil {
			t.Errorf("FindCtx = %q, %v, %v", got, found, err)
		}
	}
	if err := db.Commit("t2", []byte("old"), time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"t2", "t3"} {
		if got, found, err := db.Find(token); found || err != nil {
			t.Errorf("Find(%s) = %q, %v, %v", token, got, found, err)
		}
	}
	for range 2 { // the second finds nothing and is no error
		if err := db.Delete("t1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := db.FindCtx(ctx, "t1"); found || err != nil {
		t.Errorf("a deleted session: %v, %v", found, err)
	}
}

func testSweep(t *testing.T, db *store.DB) {
	ctx := t.Context()
	now := time.Now()
	for i, expires := range []time.Time{now.Add(-time.Hour), now, now.Add(time.Hour)} {
		if err := db.CommitCtx(ctx, string(rune('a'+i)), []byte("x"), expires); err != nil {
			t.Fatal(err)
		}
	}
	mustOffer(t, db, Pop("p1", "pbx1/1.0", "ann"))
	for n, age := range map[byte]time.Duration{1: time.Hour, 2: 25 * time.Hour, 3: 25 * time.Hour, 4: 31 * 24 * time.Hour} {
		l := link(n, "p1", "ann")
		l.Minted, l.Expires = now.Add(-age-time.Minute), now.Add(-age)
		mustSave(t, db, l)
		if n >= 3 {
			if _, err := db.RedeemLink(ctx, l.Hash, "ann", l.Minted); err != nil {
				t.Fatal(err)
			}
		}
	}
	swept, err := db.Sweep(ctx, now)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "swept", swept, store.Swept{Sessions: 2, Links: 2})
	if redeemed, err := db.PopRedeemed(ctx, "p1", "ann"); !redeemed || err != nil {
		t.Errorf("PopRedeemed after a sweep = %v, %v", redeemed, err)
	}
	if swept, err = db.Sweep(ctx, now); err != nil || swept != (store.Swept{}) {
		t.Errorf("sweeping again = %+v, %v", swept, err)
	}
}

func testAudit(t *testing.T, db *store.DB) {
	ctx := t.Context()
	want := []screenpop.AuditEntry{
		{At: epoch, Actor: "u-1", Action: "login", Object: "u-1", Detail: "ok", Remote: "192.0.2.1"},
		{At: epoch, Action: "login_failed"},
	}
	for _, e := range want {
		if err := db.Audit(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	got, err := db.AuditTrail(ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(want)
	same(t, "the trail", got, want)
	if got, err = db.AuditTrail(ctx, 1); err != nil || len(got) != 1 {
		t.Errorf("AuditTrail(1) = %v, %v", got, err)
	}
}
