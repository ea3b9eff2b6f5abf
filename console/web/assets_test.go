package web_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxPage is how much a page and all that it uses may have, in bytes, unpacked.
const maxPage = 300 << 10

func TestAPageWithAllThatItUsesIsSmall(t *testing.T) {
	w := newWorld(t)
	w.full()
	for _, path := range everyPage {
		got := w.get(t, path)
		body := text(t, got)
		size := len(body)
		for _, url := range uses(t, body) {
			size += len(text(t, w.get(t, url)))
		}
		t.Logf("%-60.60s %4d KiB", path, size>>10)
		if size > maxPage {
			t.Errorf("%s has %d bytes", path, size)
		}
	}
}

// uses returns the URLs of what a page loads.
func uses(t *testing.T, body string) (urls []string) {
	t.Helper()
	n := page(t, &http.Response{Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: io.NopCloser(strings.NewReader(body))})
	for _, e := range slices.Concat(all(n, "link"), all(n, "script"), all(n, "img")) {
		for _, name := range []string{"href", "src"} {
			if url, ok := attribute(e, name); ok {
				urls = append(urls, url)
			}
		}
	}
	return urls
}

func TestScriptsWaitForThePage(t *testing.T) {
	w := newWorld(t)
	n := page(t, w.get(t, "/"))
	for _, e := range all(n, "script") {
		src, _ := attribute(e, "src")
		_, deferred := attribute(e, "defer")
		// The theme is applied before anything is painted.
		if isTheme := strings.HasPrefix(src, "/static/theme."); deferred == isTheme {
			t.Errorf("%s: defer is %v", src, deferred)
		}
	}
}

func TestAssetsAreKeptForeverUnderTheirHash(t *testing.T) {
	w := newWorld(t)
	for _, url := range uses(t, text(t, w.get(t, "/"))) {
		got := w.get(t, url)
		if got.StatusCode != http.StatusOK || got.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, %v", url, got.StatusCode, got.Header)
		}
		dot := strings.LastIndex(url, ".")
		if got := w.get(t, url[:dot]+"x"+url[dot:]); got.StatusCode != http.StatusNotFound {
			t.Errorf("another hash of %s answers %d", url, got.StatusCode)
		}
	}
	if got := w.get(t, "/favicon.ico"); got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the icon: status %d, %s", got.StatusCode, got.Header.Get("Content-Type"))
	}
}

func TestAssetsArePackedForWhoCanReadThat(t *testing.T) {
	w := newWorld(t)
	url := uses(t, text(t, w.get(t, "/")))[1] // the style
	plain := text(t, w.get(t, url))
	for accept, packed := range map[string]bool{"gzip": true, "deflate, gzip;q=0.5, br": true, "br": false, "gzip;q=0": false, "gzip;q=0.0": false, "": false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		r.Header.Set("Accept-Encoding", accept)
		got := w.do(t, r)
		body := []byte(text(t, got))
		if is := got.Header.Get("Content-Encoding") == "gzip"; is != packed || got.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accept, got.Header)
		} else if is {
			unpacked, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(unpacked); err != nil {
				t.Error(err)
			}
		}
		if string(body) != plain {
			t.Errorf("%q: %d bytes came, not %d", accept, len(body), len(plain))
		}
	}
}

// vendored are files of packages of npm, by their names here.
var vendored = map[string]string{
	"uplot.iife.min.js": "node_modules/uplot/dist/uPlot.iife.min.js",
	"uplot.min.css":     "node_modules/uplot/dist/uPlot.min.css",
	"uplot.license.txt": "node_modules/uplot/LICENSE",
}

func TestVendoredFilesAreThoseOfThePackage(t *testing.T) {
	const remedy = "run npm ci --ignore-scripts in console/web (make setup does)"
	entries, err := os.ReadDir("static/vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		original, known := vendored[e.Name()]
		if !known {
			t.Errorf("static/vendor/%s comes from nowhere", e.Name())
			continue
		}
		want, err := os.ReadFile(original)
		if err != nil {
			t.Fatalf("%v: %s", err, remedy)
		}
		got, err := os.ReadFile(filepath.Join("static/vendor", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("static/vendor/%s differs from %s: copy it", e.Name(), original)
		}
	}
	if len(entries) != len(vendored) {
		t.Errorf("static/vendor has %d files, not %d", len(entries), len(vendored))
	}
	b, err := os.ReadFile("node_modules/uplot/package.json")
	if err != nil {
		t.Fatalf("%v: %s", err, remedy)
	}
	var about struct{ Version, License string }
	if err := json.Unmarshal(b, &about); err != nil || about.License != "MIT" {
		t.Errorf("%+v, %v", about, err)
	}
	w := newWorld(t)
	if said := words(page(t, w.get(t, "/about"))); !strings.Contains(said, "uPlot "+about.Version) {
		t.Errorf("the page does not name version %s of uPlot", about.Version)
	}
}
