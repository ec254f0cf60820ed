package config

import (
	"reflect"
	"slices"
	"strings"
)

func hasKey(fields []field, key string) bool {
	return slices.ContainsFunc(fields, func(f field) bool { return f.key == key })
}

func keyList(fields []field) string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return strings.Join(keys, ", ")
}

// hint says what an unknown key was probably meant to be: a key of the same section that is spelled nearly so, the
// same key in another section, or else all keys of this section.
func (l *loader) hint(key, path string, fields []field) string {
	if near := nearest(key, fields); near != "" {
		return "did you mean " + near + "?"
	}
	if at := findKey(key, reflect.TypeFor[Config](), ""); at != "" {
		return "did you mean " + at + "?"
	}
	return "the keys here are " + keyList(fields)
}

// nearest returns the key that is spelled most alike, "" when none is.
func nearest(key string, fields []field) string {
	key = strings.ReplaceAll(strings.ToLower(key), "-", "_")
	best, most := "", max(len(key)/3, 1)
	if len(key) > 40 {
		return ""
	}
	for _, f := range fields {
		if d := distance(key, f.key); d <= most {
			best, most = f.key, d-1
		}
	}
	return best
}

// findKey returns the path of the first key of that very name anywhere, with [] for "in each entry".
func findKey(key string, t reflect.Type, path string) string {
	for _, f := range fieldsOf(t) {
		at, ft := join(path, f.key), t.Field(f.index).Type
		if f.key == key {
			return at
		}
		if ft.Kind() == reflect.Slice {
			at, ft = at+"[]", ft.Elem()
		}
		if isSection(ft) {
			if found := findKey(key, ft, at); found != "" {
				return found
			}
		}
	}
	return ""
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours between two words.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		rows = [3][]int{last, row, before}
	}
	return rows[1][len(b)]
}
