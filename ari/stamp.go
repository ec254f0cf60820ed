package ari

import "time"

// parseStamp reads the timestamps that Asterisk writes
// ("2026-11-22T12:51:54.400+0000", from ast_json_timeval) and their RFC 3339
// relatives ("…Z", "+00:00", any fraction or none). Anything else gives the
// zero time: a clock that cannot be read is no reason to lose an event, as
// order is that of arrival. The result is UTC.
func parseStamp(b []byte) time.Time {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return time.Time{}
	}
	ok := true
	num := func(from, n int) int {
		v := 0
		for _, c := range b[from : from+n] {
			if c < '0' || c > '9' {
				ok = false
				return 0
			}
			v = v*10 + int(c-'0')
		}
		return v
	}
	year, month, day := num(0, 4), num(5, 2), num(8, 2)
	hour, minute, second := num(11, 2), num(14, 2), num(17, 2)
	if !ok || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}
	}
	rest := b[19:]
	nanos, unit := 0, 100_000_000
	if len(rest) > 0 && rest[0] == '.' {
		i := 1
		for ; i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
			nanos += int(rest[i]-'0') * unit
			unit /= 10
		}
		rest = rest[i:]
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	offset, ok := parseZone(rest)
	if !ok || t.Day() != day {
		return time.Time{}
	}
	return t.Add(-offset)
}

// parseZone reads "Z", "+0000", "+00:00" or nothing (taken as UTC).
func parseZone(b []byte) (time.Duration, bool) {
	if len(b) == 0 || len(b) == 1 && b[0] == 'Z' {
		return 0, true
	}
	if len(b) == 6 && b[3] == ':' {
		b = append(append(make([]byte, 0, 5), b[:3]...), b[4:]...)
	}
	if len(b) != 5 || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	minutes := time.Duration(int(b[1]-'0')*600 + int(b[2]-'0')*60 + int(b[3]-'0')*10 + int(b[4]-'0'))
	if b[0] == '-' {
		minutes = -minutes
	}
	return minutes * time.Minute, true
}
