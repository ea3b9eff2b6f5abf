package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"waggle/account"
)

// BenchmarkPage renders pages whose lists are full. The API's answers are there already:
// what is measured is JSON there and back, and the templates.
func BenchmarkPage(b *testing.B) {
	for _, path := range []string{"/", "/torrents", "/transfers/" + hash.String(), "/peers"} {
		b.Run(path, func(b *testing.B) {
			w := newWorld(b)
			w.full()
			r := httptest.NewRequestWithContext(account.With(b.Context(), w.who), http.MethodGet, path, http.NoBody)
			b.ReportAllocs()
			for b.Loop() {
				recorder := httptest.NewRecorder()
				w.site.ServeHTTP(recorder, r)
				if recorder.Code != http.StatusOK {
					b.Fatalf("status %d", recorder.Code)
				}
			}
		})
	}
}
