package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

var (
	secretType   = reflect.TypeFor[Secret]()
	urlType      = reflect.TypeFor[*url.URL]()
	regexpType   = reflect.TypeFor[*regexp.Regexp]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
	levelType    = reflect.TypeFor[slog.Level]()
	durationType = reflect.TypeFor[time.Duration]()
)

// isLeaf reports whether a struct type is one value in the file.
func isLeaf(t reflect.Type) bool { return t == secretType || t == prefixType }

// decodeScalar sets a value that is one word or text in the file.
func (l *loader) decodeScalar(n ast.Node, to reflect.Value, f field, path string) {
	t := to.Type()
	if t.Kind() == reflect.Int && t != levelType {
		l.decodeInt(n, to, f, path)
		return
	}
	text, ok := l.text(n, to, f, path)
	if !ok {
		return
	}
	if text == "" && f.def != `""` {
		l.fault(path, "is empty", "write "+l.sample(f, t))
		return
	}
	if len(f.choices) > 0 && !slices.Contains(f.choices, text) {
		l.fault(path, fmt.Sprintf("is %q", show(text)), "write "+l.sample(f, t))
		return
	}
	problem, advice := "", "write "+l.sample(f, t)
	switch t {
	case urlType:
		problem = setURL(to, text)
	case regexpType:
		problem = setRegexp(to, text)
	case prefixType:
		problem, advice = setPrefix(to, text, advice)
	case levelType:
		level := slog.LevelInfo
		_ = level.UnmarshalText([]byte(text)) // one of the choices
		to.SetInt(int64(level))
	case durationType:
		problem, advice = setDuration(to, text, f)
	default:
		if f.kind == "path" {
			text, problem = l.filePath(text)
		}
		to.SetString(text)
	}
	if problem != "" {
		l.fault(path, problem, advice)
	}
}

// text returns the text of a scalar. A number, true or .inf is not text: what YAML reads may not be what was
// written (007), so it has to be quoted.
func (l *loader) text(n ast.Node, to reflect.Value, f field, path string) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.TagNode: // !!str
		if s, ok := t.Value.(ast.ScalarNode); ok {
			return s.GetToken().Value, true
		}
	case *ast.IntegerNode, *ast.FloatNode:
		word := n.GetToken().Value
		if to.Type() == durationType {
			l.fault(path, fmt.Sprintf("is %s without a unit", show(word)), fmt.Sprintf("write %ss if seconds are meant%s", show(word), between(f)))
			return "", false
		}
		l.fault(path, "is a number, not text", fmt.Sprintf("put it in quotes: '%s'", show(word)))
		return "", false
	case *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		l.fault(path, fmt.Sprintf("is %s, not text", show(n.GetToken().Value)), "write "+l.sample(f, to.Type()))
		return "", false
	}
	l.fault(path, "is not one value", "write "+l.sample(f, to.Type()))
	return "", false
}

// decodeInt sets a whole number.
func (l *loader) decodeInt(n ast.Node, to reflect.Value, f field, path string) {
	advice := fmt.Sprintf("write a whole number from %s to %s, such as %s: %s", f.low, f.top, f.key, f.def)
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		l.fault(path, "is not a whole number", advice)
		return
	}
	value, err := strconv.ParseInt(fmt.Sprint(i.Value), 10, 64)
	low, _ := strconv.ParseInt(f.low, 10, 64)
	top, _ := strconv.ParseInt(f.top, 10, 64)
	if err != nil || value < low || value > top {
		l.fault(path, fmt.Sprintf("is %s", show(i.GetToken().Value)), advice)
		return
	}
	to.SetInt(value)
}

func setDuration(to reflect.Value, text string, f field) (problem, advice string) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Sprintf("is %q, not a duration", show(text)), "write a number and its unit, such as " + f.key + ": " + f.def + between(f)
	}
	low, _ := time.ParseDuration(f.low)
	top, _ := time.ParseDuration(f.top)
	if d < low || d > top {
		return "is " + show(text), fmt.Sprintf("write a duration from %s to %s", f.low, f.top)
	}
	to.SetInt(int64(d))
	return "", ""
}

// between says the range of a field, for the end of an advice.
func between(f field) string { return fmt.Sprintf(" (from %s to %s)", f.low, f.top) }

func setURL(to reflect.Value, text string) (problem string) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "is not a URL"
	case u.User != nil:
		return "holds a user name"
	case u.Scheme == "" || u.Host == "":
		return fmt.Sprintf("is %q, not a whole URL", show(text))
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf("begins with %s://, not with http:// or https://", show(u.Scheme))
	case u.Hostname() == "" || strings.ContainsAny(u.Hostname(), " ,%*"):
		return "has no host that could be reached"
	case u.Port() == "" && strings.HasSuffix(u.Host, ":"), u.Port() != "" && !isPort(u.Port(), 1):
		return "has a port that is not from 1 to 65535"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return "has a ? or # part"
	}
	u.Host = strings.ToLower(u.Host)
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	to.Set(reflect.ValueOf(u))
	return ""
}

func setRegexp(to reflect.Value, text string) (problem string) {
	re, err := regexp.Compile(text)
	if err != nil {
		return "is not a regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	to.Set(reflect.ValueOf(re))
	return ""
}

// setPrefix reads a network, or an address that stands for itself.
func setPrefix(to reflect.Value, text, advice string) (problem, better string) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		to.Set(reflect.ValueOf(netip.PrefixFrom(addr, addr.BitLen())))
		return "", ""
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return fmt.Sprintf("is %q, not a network", show(text)), advice
	case p.Masked() != p:
		return fmt.Sprintf("is %s, an address inside a network", p), fmt.Sprintf("write %s for the network or %s for the address", p.Masked(), p.Addr())
	}
	to.Set(reflect.ValueOf(p))
	return "", ""
}

// filePath makes a path absolute, against the folder of the configuration file.
func (l *loader) filePath(text string) (path, problem string) {
	switch {
	case text == MemoryPath:
		return text, ""
	case strings.HasPrefix(text, "~"):
		return "", "begins with ~, which only a shell understands"
	case strings.Contains(text, "://") || strings.HasPrefix(text, "file:"):
		return "", "is an address, not a file"
	case filepath.IsAbs(text):
		return filepath.Clean(text), ""
	}
	return filepath.Join(l.baseDir, text), ""
}

// isPort reports whether a text is a port number, not below low.
func isPort(s string, low uint64) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n >= low && !strings.HasPrefix(s, "+")
}
