package screenpop

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed web
var web embed.FS

// staticFiles are the embedded files that browsers may keep for a year, since
// their names carry the hash of their content.
type staticFiles struct {
	byName map[string]staticFile // as they stand in web/
	byPath map[string]staticFile // as they are served
}

type staticFile struct {
	served string
	kind   string
	data   []byte
	packed []byte // data in gzip; nil where that is not shorter
}

var staticKinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// deskParts are the parts of the desk's script. They are one module: put
// together here, since names with a hash can't be written into imports.
const deskParts = "web/desk/*.js"

func loadStaticFiles() (*staticFiles, error) {
	files := &staticFiles{byName: map[string]staticFile{}, byPath: map[string]staticFile{}}
	entries, err := web.ReadDir("web")
	if err != nil {
		return nil, fmt.Errorf("reading embedded files: %w", err)
	}
	for _, e := range entries {
		kind := staticKinds[path.Ext(e.Name())]
		if kind == "" {
			continue
		}
		data, err := web.ReadFile("web/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading embedded files: %w", err)
		}
		if err := files.add(e.Name(), kind, data); err != nil {
			return nil, err
		}
	}
	parts, err := fs.Glob(web, deskParts)
	if err != nil {
		return nil, fmt.Errorf("reading embedded files: %w", err)
	}
	var desk []byte
	for _, name := range parts {
		data, err := web.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading embedded files: %w", err)
		}
		desk = append(desk, data...)
	}
	return files, files.add("desk.js", staticKinds[".js"], desk)
}

func (f *staticFiles) add(name, kind string, data []byte) error {
	ext := path.Ext(name)
	sum := sha256.Sum256(data)
	file := staticFile{kind: kind, data: data}
	file.served = strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	packed, err := pack(data)
	if err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}
	if len(packed) < len(data) {
		file.packed = packed
	}
	f.byName[name] = file
	f.byPath[file.served] = file
	return nil
}

func pack(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// takesGzip tells whether the browser asked for gzip by name (RFC 9110,
// section 12.5.3); all do.
func takesGzip(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for coding := range strings.SplitSeq(line, ",") {
			name, q, _ := strings.Cut(coding, ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				return q == "" || strings.ContainsAny(q, "123456789") // q=0 is a refusal
			}
		}
	}
	return false
}

// address is the path by which a file of web/ is served.
func (f *staticFiles) address(name string) (string, error) {
	file, ok := f.byName[name]
	if !ok {
		return "", fmt.Errorf("no embedded file %q", name)
	}
	return "/static/" + file.served, nil
}

func (s *Server) handleStatic(w http.ResponseWriter, r *http.Request, _ visitor) error {
	f, ok := s.files.byPath[r.PathValue("file")]
	if !ok {
		return &httpError{status: http.StatusNotFound, notice: "no_page"}
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Vary", "Accept-Encoding")
	if f.packed != nil && takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.Itoa(len(f.packed)))
		_, _ = w.Write(f.packed) // the visitor may have gone; nothing is written for HEAD
		return nil
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
	return nil
}

// pages are the parsed templates, each with the layout around it.
type pages struct {
	byName map[string]*template.Template
}

func loadPages(files *staticFiles) (*pages, error) {
	layout, err := template.New("layout.html").Funcs(template.FuncMap{
		"static": files.address,
		"t": func(key string) (string, error) {
			if text, ok := texts[key]; ok {
				return text, nil
			}
			return "", fmt.Errorf("no text %q", key)
		},
	}).ParseFS(web, "web/layout.html")
	if err != nil {
		return nil, fmt.Errorf("parsing layout: %w", err)
	}
	p := &pages{byName: map[string]*template.Template{}}
	for _, name := range []string{"login", "desk", "pop", "link", "signin", "standby", "notice"} {
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(web, "web/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parsing page %s: %w", name, err)
		}
		p.byName[name] = page
	}
	return p, nil
}

// render writes a page. It is made in memory first, so that a page is whole or
// not there.
func (p *pages) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	var b bytes.Buffer
	if err := p.byName[name].ExecuteTemplate(&b, "layout.html", data); err != nil {
		return fmt.Errorf("rendering page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return nil // the visitor has gone
	}
	return nil
}
