package config

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const hidden = "hunter2-hunter2-hunter2"

// TestSecretIsNeverPrinted prints a whole configuration in every way and looks for the value, as text and in hex.
func TestSecretIsNeverPrinted(t *testing.T) {
	text := minimal + "log: {reference_key: {env: KEY}}\n"
	c, err := Parse("x", []byte(text), "/", func(string) (string, bool) { return hidden, true })
	if err != nil {
		t.Fatal(err)
	}
	if c.PBXs[0].ARI.Password.Reveal() != hidden || c.Log.ReferenceKey.Reveal() != hidden {
		t.Fatal("the secrets were not read")
	}
	secret := c.Log.ReferenceKey
	unexported := struct{ inner Secret }{secret}
	prints := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%w"} {
		for _, v := range []any{c, *c, c.PBXs, c.PBXs[0].ARI, secret, &secret, []Secret{secret}, map[string]Secret{"a": secret}, unexported, &unexported} {
			prints[fmt.Sprintf("%s of %T", verb, v)] = fmt.Sprintf(verb, v) //nolint:govet // wrong verbs are the point
		}
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "yaml": yaml.Marshal, "xml": func(any) ([]byte, error) { return xml.Marshal(secret) }} {
		out, err := marshal(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		prints[name] = string(out)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("config", "config", c, "value", *c, "secret", secret, "pointer", &secret, "pbxs", c.PBXs, "inner", unexported)
	}
	prints["slog"] = log.String()
	var encoded bytes.Buffer
	_ = gob.NewEncoder(&encoded).Encode(secret)
	prints["gob"] = encoded.String()
	dump, err := c.Dump()
	if err != nil {
		t.Fatal(err)
	}
	prints["dump"] = string(dump)
	for name, out := range prints {
		low := strings.ToLower(out)
		if strings.Contains(low, "hunter2") || strings.Contains(low, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("%s shows the secret: %s", name, out)
		}
	}
	if !strings.Contains(prints["slog"], redacted) || !strings.Contains(prints["json"], redacted) {
		t.Error("neither the log nor JSON shows that there is a secret")
	}
}

func TestSecretValue(t *testing.T) {
	var none Secret
	if none.IsSet() || none.Reveal() != "" || none.String() != "" || !none.Equal(NewSecret("")) {
		t.Error("the zero Secret is set")
	}
	if !NewSecret("a").Equal(NewSecret("a")) || NewSecret("a").Equal(NewSecret("b")) || NewSecret("a").Equal(none) {
		t.Error("Equal is wrong")
	}
}

// TestSecretFile cuts one line end and nothing else.
func TestSecretFile(t *testing.T) {
	for content, want := range map[string]string{
		"abc\n": "abc", "abc\r\n": "abc", "abc": "abc", " abc \n": " abc ", "abc\n\n": "abc\n", "abc\r": "abc\r", "a\nb\n": "a\nb",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "ari.password"), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		c, err := Parse("x", []byte(strings.Replace(minimal, "{env: PASSWORD}", "{file: ari.password}", 1)), dir, nil)
		if err != nil {
			t.Errorf("%q: %v", content, err)
		} else if got := c.PBXs[0].ARI.Password.Reveal(); got != want {
			t.Errorf("%q is read as %q", content, got)
		}
	}
}
