package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// field is one key of a struct: its tags and its place.
type field struct {
	index    int
	key      string
	required bool
	def      string // YAML of the default, "" for none
	example  string
	choices  []string // the only values
	low, top string   // the range, "" for none
	kind     string   // "path" for a file
	item     bool     // the value is one of a list
}

// fieldsOf returns the keys of a struct type in their order.
func fieldsOf(t reflect.Type) []field {
	fields := make([]field, 0, t.NumField())
	for i := range t.NumField() {
		sf := t.Field(i)
		f := field{
			index:    i,
			key:      sf.Tag.Get("yaml"),
			required: sf.Tag.Get("required") == "true",
			def:      sf.Tag.Get("default"),
			example:  sf.Tag.Get("example"),
			kind:     sf.Tag.Get("kind"),
		}
		if s := sf.Tag.Get("oneof"); s != "" {
			f.choices = strings.Split(s, "|")
		}
		f.low, f.top, _ = strings.Cut(sf.Tag.Get("range"), "..")
		fields = append(fields, f)
	}
	return fields
}

// decodeStruct fills a struct from a mapping; from its defaults alone when n is nil. The line is that of the key
// that holds the mapping. It returns false when n is no mapping.
func (l *loader) decodeStruct(n ast.Node, v reflect.Value, path string, line int) bool {
	given := map[string]entry{}
	fields := fieldsOf(v.Type())
	if n != nil {
		es, ok := l.entries(n, path, "write keys of: "+keyList(fields), 0)
		if !ok {
			l.unread[path] = true
			return false
		}
		for _, e := range es {
			given[e.key] = e
		}
		for _, e := range es {
			if !hasKey(fields, e.key) {
				l.add(e.line, join(path, e.key), "unknown key", l.hint(e.key, path, fields))
			}
		}
	}
	for _, f := range fields {
		at, to := join(path, f.key), v.Field(f.index)
		e, ok := given[f.key]
		switch {
		case ok:
			l.lines[at] = e.line
			l.decodeValue(e.value, to, f, at)
		case isSection(to.Type()):
			l.decodeStruct(nil, to, at, line)
		case f.required:
			l.add(line, at, "is missing", "write "+l.sample(f, to.Type()))
		case f.def != "":
			l.decodeDefault(to, f, at)
		}
	}
	return true
}

// isSection reports whether a type is a mapping of keys of its own, not a value.
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isLeaf(t) }

// decodeDefault sets the value of a default tag.
func (l *loader) decodeDefault(to reflect.Value, f field, path string) {
	file, err := parseYAML([]byte(f.def))
	if err != nil || len(file.Docs) == 0 {
		panic("config: the default of " + path + " is not YAML") // our own tag; each is read in every test
	}
	l.decodeValue(file.Docs[0].Body, to, f, path)
}

// decodeValue sets one value, list or section.
func (l *loader) decodeValue(n ast.Node, to reflect.Value, f field, path string) {
	if l.visits++; l.visits > maxVisits {
		if l.visits == maxVisits+1 {
			l.add(0, "", fmt.Sprintf("has more than %d values", maxVisits), "use fewer aliases")
		}
		return
	}
	n, ok := l.resolve(n, path)
	if !ok {
		l.unread[path] = true
		return
	}
	if _, null := n.(*ast.NullNode); null || n == nil {
		l.unread[path] = true
		advice := "write " + l.sample(f, to.Type())
		if !f.required {
			advice += ", or leave the key out"
		}
		l.fault(path, "has no value", advice)
		return
	}
	switch t := to.Type(); {
	case t == secretType:
		l.decodeSecret(n, to, f, path)
	case isSection(t):
		l.decodeStruct(n, to, path, l.lineAt(path))
	case t.Kind() == reflect.Slice:
		l.decodeList(n, to, f, path)
	default:
		l.decodeScalar(n, to, f, path)
	}
}

// decodeList sets a list; an empty one is kept apart from none.
func (l *loader) decodeList(n ast.Node, to reflect.Value, f field, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		l.unread[path] = true
		l.fault(path, "is not a list", "write "+l.sample(f, to.Type()))
		return
	}
	list := reflect.MakeSlice(to.Type(), len(seq.Values), len(seq.Values))
	f.item = true
	for i, n := range seq.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		if line := lineOf(n); line > 0 && path != "" && l.lines[path] > 0 {
			l.lines[at] = line
		}
		l.decodeValue(n, list.Index(i), f, at)
	}
	to.Set(list)
}

// sample shows what may be written for a key.
func (l *loader) sample(f field, t reflect.Type) string {
	switch {
	case t == secretType:
		return fmt.Sprintf("%s: {file: %s} or %s: {env: NAME}", f.key, f.example, f.key)
	case len(f.choices) > 0:
		return "one of " + strings.Join(f.choices, ", ")
	case isSection(t):
		return "keys of: " + keyList(fieldsOf(t))
	case t.Kind() == reflect.Slice && !isSection(t.Elem()):
		return fmt.Sprintf("a list: %s: [%s]", f.key, quoteYAML(f.example))
	case t.Kind() == reflect.Slice:
		return f.example
	case f.item:
		return fmt.Sprintf("%s: [%s]", f.key, quoteYAML(f.example))
	case f.example != "":
		return fmt.Sprintf("%s: %s", f.key, quoteYAML(f.example))
	}
	return fmt.Sprintf("%s: %s", f.key, f.def)
}

// quoteYAML puts a text in quotes when YAML would read it as something else.
func quoteYAML(s string) string {
	if s == "" || strings.ContainsAny(s[:1], "^*&[]{}'\"#!|>%@`") || strings.ContainsAny(s, "{}[],") {
		return "'" + s + "'"
	}
	return s
}
