package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// sslModes are the values of sslmode that lib/pq knows.
var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

func (l *loader) validateStore(s *Store) {
	if !l.good("store.driver") {
		return
	}
	if s.Driver == SQLite {
		if s.DSN.IsSet() || !l.good("store.dsn") {
			l.fault("store.dsn", "is for postgres, but store.driver is sqlite", "write driver: postgres, or leave dsn out")
		}
		if s.Path == "" && l.good("store.path") {
			l.fault("store.path", "is missing", "write path: /var/lib/ringlink/ringlink.db under store")
		}
		return
	}
	if s.Path != "" {
		l.fault("store.path", "is for sqlite, but store.driver is postgres", "write driver: sqlite, or leave path out")
	}
	if !l.good("store.dsn") {
		return
	}
	if !s.DSN.IsSet() {
		l.fault("store.dsn", "is missing", "write dsn: {file: /etc/ringlink/postgres.dsn} or dsn: {env: NAME} under store")
		return
	}
	const advice = "write the secret as postgres://user:password@host/name?sslmode=verify-full or as host=… dbname=… sslmode=verify-full"
	mode, ok := sslMode(s.DSN.Reveal())
	switch {
	case !ok:
		l.fault("store.dsn", "is neither a postgres URL nor keywords", advice)
	case mode == "":
		l.fault("store.dsn", "does not say sslmode", advice)
	case !slices.Contains(sslModes, mode):
		l.fault("store.dsn", "has an sslmode that there is not", fmt.Sprintf("write sslmode as one of %s", strings.Join(sslModes, ", ")))
	}
}

// sslMode finds sslmode in a Postgres URL or keyword text, "" when it is not there. Errors are not returned, since
// they would quote the password.
func sslMode(dsn string) (mode string, ok bool) {
	if strings.Contains(dsn, "://") && !strings.ContainsAny(dsn[:strings.Index(dsn, "://")], " =") {
		u, err := url.Parse(dsn)
		if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return "", false
		}
		q, err := url.ParseQuery(u.RawQuery)
		return q.Get("sslmode"), err == nil
	}
	return keywordSSLMode(dsn)
}

// keywordSSLMode reads libpq's key=value pairs: blanks may stand around "=", values may be in single quotes, and a
// backslash takes the next character as it is.
func keywordSSLMode(dsn string) (mode string, ok bool) {
	const blanks = " \t\r\n"
	rest := strings.TrimLeft(dsn, blanks)
	for rest != "" {
		key, after, found := strings.Cut(rest, "=")
		key = strings.TrimRight(key, blanks)
		if !found || key == "" || strings.ContainsAny(key, blanks+"'\\") {
			return "", false
		}
		value, after, closed := keywordValue(strings.TrimLeft(after, blanks))
		if !closed {
			return "", false
		}
		if key == "sslmode" {
			mode = value
		}
		rest = strings.TrimLeft(after, blanks)
	}
	return mode, dsn != ""
}

// keywordValue takes one value from the beginning of a text; closed is false when its quote has no end.
func keywordValue(s string) (value, rest string, closed bool) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && c == '\'':
			return b.String(), s[i+1:], true
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			return b.String(), s[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}
