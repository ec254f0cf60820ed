package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFileSize bounds a configuration file, in bytes.
const maxFileSize = 256 << 10

// maxNesting bounds the brackets that are open at once: goccy's time grows with the square of it.
const maxNesting = 1000

// Load reads the configuration file at path. Relative paths in it are relative to its folder; env finds
// environment variables, os.LookupEnv when it is nil. Every fault of the file is in the error, a *Fault each
// (see [Faults]).
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("finding the configuration's folder: %w", err)
	}
	return Parse(path, data, dir, env)
}

// Parse reads a configuration from data. The name stands in the faults; relative paths are relative to baseDir.
// The files of the secrets and of the certificate are read too. It does not keep data.
func Parse(name string, data []byte, baseDir string, env func(string) (string, bool)) (*Config, error) {
	if env == nil {
		env = os.LookupEnv
	}
	l := &loader{file: name, baseDir: baseDir, env: env, hostname: os.Hostname}
	return l.load(data)
}

// loader reads one configuration and collects its faults. It is used once, by one goroutine.
type loader struct {
	file     string
	baseDir  string
	env      func(string) (string, bool)
	hostname func() (string, error)

	faults  []*Fault
	anchors map[string]ast.Node
	lines   map[string]int  // the line of each key path that the file has
	bad     map[string]bool // the key paths that have a fault, and their parents
	unread  map[string]bool // the key paths whose value is not there or could not be read, so that nothing below is either
	visits  int             // of values, see maxVisits
}

func (l *loader) load(data []byte) (*Config, error) {
	l.anchors, l.lines = map[string]ast.Node{}, map[string]int{}
	l.bad, l.unread = map[string]bool{}, map[string]bool{}
	cfg := new(Config)
	if body, ok := l.parse(data); ok {
		ok = l.decodeStruct(body, reflect.ValueOf(cfg).Elem(), "", 0)
		if ok && l.visits <= maxVisits {
			l.complete(cfg)
			l.validate(cfg)
		}
	}
	if err := joinFaults(l.faults); err != nil {
		return nil, err
	}
	return cfg, nil
}

// parse returns the root of the YAML text, nil for an empty one.
func (l *loader) parse(data []byte) (body ast.Node, ok bool) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) // goccy 1.19.2 counts the end of a comment twice
	if len(data) > maxFileSize {
		l.add(0, "", fmt.Sprintf("is larger than %d bytes", maxFileSize), "name the right file")
		return nil, false
	}
	depth := 0
	for i, line := range bytes.Split(data, []byte("\n")) {
		depth += bytes.Count(line, []byte("[")) + bytes.Count(line, []byte("{")) - bytes.Count(line, []byte("]")) - bytes.Count(line, []byte("}"))
		if depth > maxNesting {
			l.add(i+1, "", "has too many open brackets", "close each [ and {")
			return nil, false
		}
		if !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
			l.add(i+1, "", "is not UTF-8 text", "save the file as UTF-8")
			return nil, false
		}
	}
	file, err := parseYAML(data)
	if err != nil {
		l.addSyntax(err, data)
		return nil, false
	}
	found := false
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); directive || doc.Body == nil {
			continue
		}
		if found {
			l.add(lineOf(doc.Body), "", "is a second document", "write one document, without a second ---")
			return nil, false
		}
		body, found = doc.Body, true
		l.collectAnchors(body)
	}
	return body, true
}

// parseYAML turns a panic of the parser into an error: the text comes from outside.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("is YAML that cannot be read")
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// addSyntax reports where the text stops being YAML. The parser's own report quotes the lines around, which may
// hold a secret that should not be there, so only its message is taken.
func (l *loader) addSyntax(err error, data []byte) {
	const advice = "look at the indentation, the colons and the quotes here and in the line before"
	line, problem := 0, err.Error()
	var syntax yamlError
	if errors.As(err, &syntax) {
		problem = syntax.GetMessage()
		if tk := syntax.GetToken(); tk != nil && tk.Position != nil {
			line = tk.Position.Line
		}
	}
	if lines := bytes.Split(data, []byte("\n")); line > 0 && line <= len(lines) {
		text := lines[line-1]
		if indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]; bytes.IndexByte(indent, '\t') >= 0 {
			l.add(line, "", "is indented with a tab", "write blanks")
			return
		}
	}
	problem, _, _ = strings.Cut(problem, "\n")
	l.add(line, "", "is not YAML: "+show(problem), advice)
}

// add records a fault that has no key, or whose line is not that of its key.
func (l *loader) add(line int, path, problem, advice string) {
	for p := path; p != ""; p = parent(p) {
		l.bad[p] = true
	}
	l.faults = append(l.faults, &Fault{File: l.file, Line: line, Path: path, Problem: problem, Advice: advice})
}

// fault records a fault of the key path, at the line of that key or of the nearest key above it.
func (l *loader) fault(path, problem, advice string) {
	l.add(l.lineAt(path), path, problem, advice)
}

// lineAt returns the line of the key path or of the nearest key above it, 0 when none is in the file.
func (l *loader) lineAt(path string) int {
	for p := path; p != ""; p = parent(p) {
		if line, ok := l.lines[p]; ok {
			return line
		}
	}
	return 0
}

// good reports whether all the key paths were read and have no fault yet.
func (l *loader) good(paths ...string) bool {
	for _, p := range paths {
		if l.bad[p] {
			return false
		}
		for ; p != ""; p = parent(p) {
			if l.unread[p] {
				return false
			}
		}
	}
	return true
}

// parent cuts the last key or index from a key path.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// join appends a key to a key path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
