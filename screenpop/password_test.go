package screenpop_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"ringlink/screenpop"
)

// cheap keeps the tests quick; the parameters themselves are tested once.
var cheap = screenpop.PasswordOptions{Memory: 64, Time: 1}

func TestPasswordRoundTrip(t *testing.T) {
	p := screenpop.NewPasswords(cheap)
	hash, err := p.HashPassword(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("HashPassword = %q, %v", hash, err)
	}
	again, err := p.HashPassword(t.Context(), "correct horse")
	if err != nil || again == hash {
		t.Error("two hashes of one password are the same: no salt")
	}
	for password, want := range map[string]bool{"correct horse": true, "correct horse ": false, "": false, strings.Repeat("x", 2000): false} {
		if ok, rehash, err := p.VerifyPassword(t.Context(), hash, password); ok != want || rehash || err != nil {
			t.Errorf("VerifyPassword(%.20q) = %v, %v, %v", password, ok, rehash, err)
		}
	}
	if ok, _, err := p.VerifyPassword(t.Context(), "", "correct horse"); ok || err != nil {
		t.Errorf("nobody's password: %v, %v", ok, err)
	}
	stronger := screenpop.NewPasswords(screenpop.PasswordOptions{Memory: 64, Time: 2})
	if ok, rehash, err := stronger.VerifyPassword(t.Context(), hash, "correct horse"); !ok || !rehash || err != nil {
		t.Errorf("with other parameters: %v, %v, %v", ok, rehash, err)
	}
	if ok, rehash, _ := stronger.VerifyPassword(t.Context(), hash, "wrong"); ok || rehash {
		t.Error("a wrong password asks for a new hash")
	}
}

func TestPasswordDefaults(t *testing.T) {
	hash, err := screenpop.NewPasswords(screenpop.PasswordOptions{}).HashPassword(t.Context(), "x")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("HashPassword = %q, %v", hash, err)
	}
}

// TestPasswordKnownHash verifies a hash of the reference implementation:
// echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 32 -e.
func TestPasswordKnownHash(t *testing.T) {
	const known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, rehash, err := screenpop.NewPasswords(cheap).VerifyPassword(t.Context(), known, "password")
	if !ok || !rehash || err != nil {
		t.Errorf("VerifyPassword = %v, %v, %v", ok, rehash, err)
	}
}

func TestPasswordBadHashes(t *testing.T) {
	p := screenpop.NewPasswords(cheap)
	const salt, key = "c29tZXNhbHRzb21lc2FsdA", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for name, hash := range map[string]string{
		"plain text":     "secret",
		"bcrypt":         "$2a$10$abcdefghijklmnopqrstuv",
		"argon2i":        "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key,
		"old version":    "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key,
		"huge memory":    "$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + key,
		"huge time":      "$argon2id$v=19$m=64,t=100000,p=1$" + salt + "$" + key,
		"no lanes":       "$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key,
		"no time":        "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key,
		"more after":     "$argon2id$v=19$m=64,t=1,p=1,x=1$" + salt + "$" + key,
		"empty key":      "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$",
		"short key":      "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$AAAA",
		"not base64":     "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$!!!!",
		"one part fewer": "$argon2id$v=19$m=64,t=1,p=1$" + salt,
	} {
		if ok, _, err := p.VerifyPassword(t.Context(), hash, "secret"); ok || !errors.Is(err, screenpop.ErrPasswordHash) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	for _, password := range []string{"", strings.Repeat("x", 1025)} {
		if _, err := p.HashPassword(t.Context(), password); err == nil {
			t.Errorf("a password of %d bytes was hashed", len(password))
		}
	}
}

func TestPasswordContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := screenpop.NewPasswords(cheap).VerifyPassword(ctx, "", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("VerifyPassword = %v", err)
	}
}
