package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed static
var static embed.FS

// media are the types of assets by extension. A file with another one is no asset.
var media = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8",
}

// asset is a file that pages use. It never changes under its URL, which has its hash.
type asset struct {
	url, media  string
	plain, gzip []byte
}

// ownAssets are those of this package, read once.
var ownAssets = sync.OnceValues(func() (*assets, error) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return nil, err
	}
	return loadAssets(files)
})

// assets are all files that pages use.
type assets struct {
	byName map[string]*asset // such as vendor/uplot.min.css
	byURL  map[string]*asset
}

// loadAssets reads the assets of a directory.
func loadAssets(files fs.FS) (*assets, error) {
	all := &assets{byName: map[string]*asset{}, byURL: map[string]*asset{}}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		kind, known := media[path.Ext(name)]
		if err != nil || entry.IsDir() || !known {
			return err
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		a, err := newAsset(name, kind, b)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all.byName[name], all.byURL[a.url] = a, a
		return nil
	})
	return all, err
}

func newAsset(name, kind string, b []byte) (*asset, error) {
	sum := sha256.Sum256(b)
	ext := path.Ext(name)
	a := &asset{media: kind, plain: b}
	a.url = "/static/" + strings.TrimSuffix(name, ext) + "." + base64.RawURLEncoding.EncodeToString(sum[:9]) + ext
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err = w.Close()
	a.gzip = packed.Bytes()
	return a, err
}

// url returns where an asset is. Templates call it: an error is a mistake in one.
func (s *assets) url(name string) (string, error) {
	a, ok := s.byName[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	return a.url, nil
}

func (s *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, ok := s.byURL[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	a.write(w, r)
}

// icon is what browsers ask for where no page names one.
func (s *assets) icon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	s.byName["favicon.svg"].write(w, r)
}

func (a *asset) write(w http.ResponseWriter, r *http.Request) {
	b := a.plain
	w.Header().Set("Vary", "Accept-Encoding")
	w.Header().Set("Content-Type", a.media)
	if AcceptsGzip(r.Header.Get("Accept-Encoding")) && len(a.gzip) < len(a.plain) {
		b = a.gzip
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(b) // whoever asked is gone
	}
}

// AcceptsGzip reports whether a client that sends this header Accept-Encoding can read
// gzip.
func AcceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.TrimRight(strings.TrimSpace(quality), "0.") != "q="
		}
	}
	return false
}
