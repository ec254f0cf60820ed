package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// maxSecretSize bounds the file of a secret, in bytes.
const maxSecretSize = 64 << 10

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// decodeSecret reads a secret from where the file says that it is. Nothing that could be the secret itself, put in
// the wrong place, goes into a fault.
func (l *loader) decodeSecret(n ast.Node, to reflect.Value, f field, path string) {
	advice := "write " + l.sample(f, secretType)
	if _, mapping := mapValues(n); !mapping {
		l.fault(path, "is a secret, and secrets do not stand in this file", advice)
		return
	}
	before := len(l.faults)
	es, ok := l.entries(n, path, advice, 0)
	if !ok || len(l.faults) > before {
		l.faults = l.faults[:before] // its texts may quote the secret
		l.fault(path, "is not the place of a secret", advice)
		return
	}
	if len(es) != 1 || es[0].key != "file" && es[0].key != "env" {
		l.fault(path, "does not name exactly one place of the secret", advice)
		return
	}
	e := es[0]
	at := join(path, e.key)
	l.lines[at] = e.line
	where, ok := e.value.(*ast.StringNode)
	if !ok || where.Value == "" {
		l.fault(at, "is not a name", advice)
		return
	}
	var value string
	var source secretSource
	if e.key == "env" {
		source.Env = where.Value
		value, ok = l.secretFromEnv(where.Value, at, f)
	} else {
		source.File, value, ok = l.secretFromFile(where.Value, at, f)
	}
	if ok {
		to.Set(reflect.ValueOf(Secret{&secretValue{&value, source}}))
	}
}

func (l *loader) secretFromEnv(name, path string, f field) (string, bool) {
	if !envName.MatchString(name) {
		l.fault(path, "is not the name of an environment variable", "write "+f.key+": {env: NAME}, the name and not the value")
		return "", false
	}
	value, ok := l.env(name)
	switch {
	case !ok:
		l.fault(path, "the environment variable "+show(name)+" is not set", "set it where Ringlink is started, or write "+f.key+": {file: "+f.example+"}")
		return "", false
	case strings.TrimSpace(value) == "":
		l.fault(path, "the environment variable "+show(name)+" is empty", "set it to the secret")
		return "", false
	}
	return value, true
}

func (l *loader) secretFromFile(name, path string, f field) (file, value string, ok bool) {
	file, problem := l.filePath(name)
	if problem != "" {
		l.fault(path, problem, "write "+f.key+": {file: "+f.example+"}")
		return "", "", false
	}
	if !l.checkPrivate(file, path) {
		return "", "", false
	}
	data, err := readSome(file, maxSecretSize)
	if err != nil {
		l.fault(path, "cannot be read: "+cause(err), "make the file readable for the user that runs Ringlink")
		return "", "", false
	}
	value = string(data)
	if cut, ok := strings.CutSuffix(value, "\n"); ok {
		value = strings.TrimSuffix(cut, "\r")
	}
	if strings.TrimSpace(value) == "" {
		l.fault(path, show(file)+" is empty", "write the secret into it")
		return "", "", false
	}
	return file, value, true
}

// checkPrivate reports whether a file is there, is a regular file, and is closed to everyone else.
func (l *loader) checkPrivate(file, path string) bool {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.fault(path, "there is no file "+show(file), "write it, then type: chmod 600 "+show(file))
	case err != nil:
		l.fault(path, show(file)+" cannot be read: "+cause(err), "make the file readable for the user that runs Ringlink")
	case !info.Mode().IsRegular():
		l.fault(path, show(file)+" is not a regular file", "name the file that holds the secret")
	case info.Mode().Perm()&0o006 != 0:
		l.fault(path, fmt.Sprintf("%s is open to everyone (mode %04o)", show(file), info.Mode().Perm()), "type: chmod 600 "+show(file))
	default:
		return true
	}
	return false
}

// readSome reads a file of at most so many bytes.
func readSome(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	return data, err
}

// cause is an error without the file name that os puts before it.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
