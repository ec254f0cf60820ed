package config

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxVisits bounds the values that are read, so that aliases cannot multiply a small file.
	maxVisits = 100_000
	// maxAliases bounds aliases that lead to aliases and merges within merges.
	maxAliases = 16
)

// yamlError is what goccy's errors have in common; its own interface is internal.
type yamlError interface {
	error
	GetMessage() string
	GetToken() *token.Token
}

// entry is one key of a mapping.
type entry struct {
	key   string
	line  int
	value ast.Node
}

// lineOf returns the line of a node, 0 when it is not known.
func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && m.Values[0].Key != nil {
		return lineOf(m.Values[0].Key)
	}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}
	return 0
}

// collectAnchors finds the anchors; a name that is given twice is refused, since an alias would be ambiguous.
func (l *loader) collectAnchors(root ast.Node) {
	for _, n := range ast.Filter(ast.AnchorType, root) {
		a, ok := n.(*ast.AnchorNode)
		if !ok || a.Name == nil {
			continue
		}
		name := a.Name.GetToken().Value
		if _, dup := l.anchors[name]; dup {
			l.add(lineOf(a), "", fmt.Sprintf("the anchor &%s is there twice", show(name)), "give each anchor its own name")
			continue
		}
		l.anchors[name] = a.Value
	}
}

// resolve follows aliases and takes anchors and the tags of the plain YAML types away. It returns false after
// recording a fault.
func (l *loader) resolve(n ast.Node, path string) (ast.Node, bool) {
	for range maxAliases {
		switch t := n.(type) {
		case *ast.AnchorNode:
			n = t.Value
		case *ast.AliasNode:
			name := t.Value.GetToken().Value
			to, ok := l.anchors[name]
			if !ok {
				l.add(lineOf(t), path, fmt.Sprintf("the alias *%s has no anchor", show(name)),
					fmt.Sprintf("write &%s at the value that it stands for, or put a text that begins with * in quotes", show(name)))
				return nil, false
			}
			n = to
		case *ast.TagNode:
			switch t.Start.Value {
			case "!!str":
				return t, true
			case "!!map", "!!seq", "!!int", "!!null":
				n = t.Value
			default:
				l.add(lineOf(t), path, fmt.Sprintf("has the tag %s, which is not read here", show(t.Start.Value)), "leave the tag out")
				return nil, false
			}
		default:
			return n, true
		}
	}
	l.add(lineOf(n), path, "is an alias that leads back to itself", "write the value")
	return nil, false
}

// entries returns the keys of a mapping with its merge keys (<<) spread out: the mapping's own keys win over merged
// ones, an earlier merged mapping over a later. Duplicates and keys that are not text are recorded as faults. It
// returns false when the node is no mapping. Advice is what to write then.
func (l *loader) entries(n ast.Node, path, advice string, depth int) ([]entry, bool) {
	values, ok := mapValues(n)
	if !ok || depth > maxAliases {
		l.add(lineOf(n), path, "is not a mapping of keys", advice)
		return nil, false
	}
	var own, merged []entry
	seen := map[string]int{}
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			merged = append(merged, l.merged(v.Value, path, depth)...)
			continue
		}
		key, line := strings.TrimSpace(v.Key.GetToken().Value), lineOf(v.Key)
		if _, text := v.Key.(*ast.StringNode); !text {
			l.add(line, path, fmt.Sprintf("has the key %s, which is not a name", show(key)), advice)
			continue
		}
		if first, dup := seen[key]; dup {
			l.add(line, join(path, key), fmt.Sprintf("is there twice, first in line %d", first), "leave one of the two out")
			continue
		}
		seen[key] = line
		own = append(own, entry{key, line, v.Value})
	}
	for _, e := range merged {
		if _, have := seen[e.key]; !have {
			seen[e.key] = e.line
			own = append(own, e)
		}
	}
	return own, true
}

// merged returns the keys that a merge key brings in.
func (l *loader) merged(n ast.Node, path string, depth int) []entry {
	const advice = "write << with the alias of a mapping (*name), or a list of them"
	n, ok := l.resolve(n, path)
	if !ok {
		return nil
	}
	sources := []ast.Node{n}
	if seq, list := n.(*ast.SequenceNode); list {
		sources = seq.Values
	}
	var all []entry
	for _, s := range sources {
		if l.visits++; l.visits > maxVisits {
			return nil
		}
		if s, ok = l.resolve(s, path); ok {
			es, _ := l.entries(s, path, advice, depth+1)
			all = append(all, es...)
		}
	}
	return all
}

// mapValues returns the pairs of a mapping; goccy leaves some one-pair mappings as the pair alone.
func mapValues(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// show prepares a piece of the file for a fault: shortened, printable, and hidden where it looks like an address or
// a set of keywords with a password in it.
func show(s string) string {
	if i := strings.Index(s, "://"); i >= 0 && strings.Contains(s[i:], "@") || strings.Contains(strings.ToLower(s), "password=") {
		return "(not shown, it may hold a password)"
	}
	const most = 200
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}
