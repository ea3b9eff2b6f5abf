package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/account"
	"waggle/catalog"
	"waggle/console/client"
)

func TestUploadThatFindsNoPlaceIsAskedToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := catalog.Open(t.Context(), catalog.Options{Store: catalog.NewMemory(1 << 20)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		o := Options{Catalog: c, MaxUpload: 4 << 20}
		if err := o.openAccounts(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		a := newAPI(&o)
		upload := func(length int64) *httptest.ResponseRecorder {
			ctx := account.With(t.Context(), account.Identity{Name: "anna", Role: account.Operator})
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, root+"/torrents?file=a.torrent", strings.NewReader("x"))
			r.Header.Set("Content-Type", client.MediaType)
			r.ContentLength = length
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			return w
		}
		refused := func(length int64) {
			t.Helper()
			began := time.Now()
			w := upload(length)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != client.ProblemType || time.Since(began) != uploadWait {
				t.Errorf("after %v: %d %s", time.Since(began), w.Code, w.Body)
			}
		}
		a.largeUploads <- struct{}{} // another one is parsed
		refused(largeUpload + 1)
		refused(-1) // nobody knows how large
		if w := upload(1); w.Code != http.StatusBadRequest {
			t.Errorf("a small one waits for a large one: %d %s", w.Code, w.Body)
		}
		for range uploadsAtOnce {
			a.uploads <- struct{}{}
		}
		refused(1)
	})
}
