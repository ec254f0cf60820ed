package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Dump returns the configuration in force as YAML: all defaults written out, paths absolute, and for a secret the
// place where it was read, never its value. Keys that are not set and have no default are left out, so that Load
// reads the text again to the same configuration.
func (c *Config) Dump() ([]byte, error) {
	text, err := yaml.MarshalWithOptions(dumpStruct(reflect.ValueOf(c).Elem()), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return text, nil
}

func dumpStruct(v reflect.Value) yaml.MapSlice {
	out := yaml.MapSlice{}
	for _, f := range fieldsOf(v.Type()) {
		fv := v.Field(f.index)
		if fv.IsZero() && f.def == "" && !isSection(fv.Type()) {
			continue
		}
		value := dumpValue(fv)
		if section, ok := value.(yaml.MapSlice); ok && len(section) == 0 {
			continue
		}
		out = append(out, yaml.MapItem{Key: f.key, Value: value})
	}
	return out
}

func dumpValue(v reflect.Value) any {
	switch t := v.Interface().(type) {
	case Secret:
		return t.dump()
	case *url.URL:
		if t == nil {
			return ""
		}
		return t.Redacted()
	case *regexp.Regexp:
		if t == nil {
			return ""
		}
		return t.String()
	case netip.Prefix:
		return t.String()
	case slog.Level:
		return strings.ToLower(t.String())
	case time.Duration:
		return duration(t)
	}
	switch v.Kind() {
	case reflect.Struct:
		return dumpStruct(v)
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = dumpValue(v.Index(i))
		}
		return list
	case reflect.String:
		return v.String()
	}
	return v.Interface()
}

// dump returns where the secret was read; a Secret that was made in code shows only that it is there.
func (s Secret) dump() any {
	if s.p == nil || s.p.source == (secretSource{}) {
		return s.String()
	}
	return s.p.source
}

// duration writes 8h for 8h0m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
