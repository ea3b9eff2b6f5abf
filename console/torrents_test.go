package console_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"waggle/catalog"
	"waggle/console"
	"waggle/console/client"
)

func TestUploadIsListedFetchedAndDeleted(t *testing.T) {
	w := newWorld(t, nil)
	body := metainfo("image.iso")
	uploaded := w.do(t, upload("image.torrent", body))
	transfer := decode[client.Transfer](t, uploaded)
	h := transfer.InfoHash.String()
	if uploaded.status != http.StatusCreated || uploaded.header.Get("Location") != "/api/v1/transfers/"+h {
		t.Errorf("status %d, Location %s", uploaded.status, uploaded.header.Get("Location"))
	}
	want := client.Torrent{InfoHash: transfer.InfoHash, Name: "image.iso", File: "image.torrent", Size: 1000, Version: "1", Source: "upload", Active: true}
	if transfer.Torrent != want || transfer.Registered.IsZero() || !transfer.Deactivated.IsZero() {
		t.Errorf("uploaded %+v, want %+v", transfer, want)
	}
	if page := decode[client.TorrentPage](t, w.do(t, get("/api/v1/torrents"))); len(page.Torrents) != 1 || page.Torrents[0] != want || page.Next != "" {
		t.Errorf("the list is %+v", page)
	}
	fetched := w.do(t, get("/api/v1/torrents/"+strings.ToUpper(h)))
	if !bytes.Equal(fetched.body, body) || fetched.header.Get("Content-Type") != client.MediaType ||
		fetched.header.Get("Content-Disposition") != "attachment; filename=image.torrent" || fetched.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("fetched %q with %v", fetched.body, fetched.header)
	}
	if deleted := w.do(t, request{method: http.MethodDelete, path: "/api/v1/torrents/" + h}); deleted.status != http.StatusNoContent || len(deleted.body) != 0 {
		t.Errorf("deleting: %d %s", deleted.status, deleted.body)
	}
	if gone := w.do(t, get("/api/v1/torrents/"+h)); gone.status != http.StatusNotFound || !strings.Contains(gone.problem(t).Detail, h) {
		t.Errorf("after it was deleted: %d %s", gone.status, gone.body)
	}
}

func TestUploadThatCannotBeTakenStoresNothingAndSaysWhy(t *testing.T) {
	w := newWorld(t, nil)
	large := upload("a.torrent", append(metainfo("a"), bytes.Repeat([]byte{'x'}, 1<<20)...))
	large.header["Expect"] = "100-continue" // as clients do, to hear why before they are cut off
	withType := func(media string) request {
		q := upload("a.torrent", metainfo("a"))
		q.header = map[string]string{"Content-Type": media}
		return q
	}
	for name, test := range map[string]struct {
		q      request
		status int
		say    string
	}{
		"broken":                      {upload("a.torrent", []byte("d4:infode")), 400, "broken .torrent file"},
		"empty":                       {upload("a.torrent", nil), 400, "body is required"},
		"too large":                   {large, 413, "1048576 bytes (torrents.max_upload)"},
		"form":                        {withType("application/x-www-form-urlencoded"), 415, "Content-Type: application/x-bittorrent"},
		"without type":                {withType(""), 415, "Content-Type: application/x-bittorrent"},
		"name that climbs out":        {upload("..%2Fa.torrent", metainfo("a")), 422, "not a name"},
		"name that is hidden":         {upload(".a.torrent", metainfo("a")), 422, "not a name"},
		"name with a NUL":             {upload("a%00.torrent", metainfo("a")), 422, "not a name"},
		"name of another kind":        {upload("a.exe", metainfo("a")), 422, "not a name"},
		"profile that is not known":   {upload("a.torrent&profile=lax", metainfo("a")), 422, "strict, balanced, parity"},
		"no name":                     {upload("", metainfo("a")), 422, "query.file"},
		"parameter that is not known": {upload("a.torrent&force=1", metainfo("a")), 422, "query.force"},
	} {
		got := w.do(t, test.q)
		if p := got.problem(t); got.status != test.status || !strings.Contains(p.Error(), test.say) {
			t.Errorf("%s: status %d, %s; want %d and %q", name, got.status, got.body, test.status, test.say)
		}
	}
	if n := w.catalog.Len(); n != 0 {
		t.Errorf("%d torrents are stored", n)
	}
}

func TestUploadWithoutLengthIsCutOffAtTheLimit(t *testing.T) {
	w := newWorld(t, nil)
	body := io.MultiReader(bytes.NewReader(metainfo("a")), io.LimitReader(zeros{}, 1<<20)) // so it is sent in chunks
	sent, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/api/v1/torrents?file=a.torrent", body)
	if err != nil {
		t.Fatal(err)
	}
	sent.Header.Set("Content-Type", client.MediaType)
	if got := send(t, sent); got.status != http.StatusRequestEntityTooLarge || got.problem(t).Detail == "" {
		t.Errorf("status %d, %s", got.status, got.body)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestClientHearsWhyALargeUploadIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.client(t, "").Upload(t.Context(), "a.torrent", make([]byte, 20<<20))
	if err == nil || !strings.Contains(err.Error(), "torrents.max_upload") {
		t.Errorf("got %v", err)
	}
}

func TestUploadOfAsMuchAsIsAllowedIsTaken(t *testing.T) {
	body := metainfo("a")
	w := newWorld(t, func(o *console.Options) { o.MaxUpload = int64(len(body)) })
	if got := w.do(t, upload("a.torrent", body)); got.status != http.StatusCreated {
		t.Errorf("status %d, %s", got.status, got.body)
	}
	if got := w.do(t, upload("ab.torrent", metainfo("ab"))); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("one byte more: status %d, %s", got.status, got.body)
	}
}

func TestUploadOfAKnownTorrentNamesIt(t *testing.T) {
	w := newWorld(t, nil)
	known := w.add(t, "image.iso")
	got := w.do(t, upload("other.torrent", metainfo("image.iso")))
	if p := got.problem(t); got.status != http.StatusConflict || p.InfoHash != known.InfoHash.String() || !strings.Contains(p.Detail, "image.iso.torrent") {
		t.Errorf("status %d, %s", got.status, got.body)
	}
}

func TestCatalogueThatIsFullSaysSo(t *testing.T) {
	store, err := catalog.Open(t.Context(), catalog.Options{Store: catalog.NewMemory(1 << 20), MaxTorrents: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	w := newWorld(t, func(o *console.Options) { o.Catalog = store })
	w.do(t, upload("a.torrent", metainfo("a")))
	if got := w.do(t, upload("b.torrent", metainfo("b"))); got.status != http.StatusInsufficientStorage || got.problem(t).Detail == "" {
		t.Errorf("status %d, %s", got.status, got.body)
	}
}

func TestHashThatIsNoneIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"torrents/%s", "transfers/%s", "transfers/%s/peers", "transfers/%s/places", "transfers/%s/peers/10.0.0.1:1/explanation"} {
		for hash, status := range map[string]int{"0123": 422, strings.Repeat("g", 40): 422, strings.Repeat("0", 41): 422, strings.Repeat("0", 40): 404} {
			got := w.do(t, get("/api/v1/"+fmt.Sprintf(path, hash)))
			if p := got.problem(t); got.status != status || status == 422 && !strings.Contains(p.Error(), "path.hash") {
				t.Errorf("%s %s: status %d, %s", path, hash, got.status, got.body)
			}
		}
	}
}

func TestTorrentsHavePages(t *testing.T) {
	w := newWorld(t, nil)
	for n := range 7 {
		w.add(t, fmt.Sprintf("file %d", n))
	}
	var names []string
	cursor := ""
	for pages := 1; ; pages++ {
		page := decode[client.TorrentPage](t, w.do(t, get("/api/v1/torrents?limit=3&cursor="+cursor)))
		for _, torrent := range page.Torrents {
			names = append(names, torrent.Name)
		}
		if cursor = page.Next; cursor == "" || pages > 3 {
			break
		}
	}
	if got := strings.Join(names, ","); got != "file 0,file 1,file 2,file 3,file 4,file 5,file 6" {
		t.Errorf("the pages have %s", got)
	}
}

func TestPageThatCannotBeIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	h := w.add(t, "a").InfoHash.String()
	for _, list := range []string{"torrents", "transfers", "history", "requests", "peers", "transfers/" + h + "/peers", "transfers/" + h + "/places"} {
		for query, say := range map[string]string{
			"limit=0": "query.limit", "limit=1001": "query.limit", "limit=x": "query.limit", "cursor=%21": "cursor", "cursor=AAAA": "cursor", "frob=1": "query.frob",
			"cursor=" + strings.Repeat("A", 3000): "query.cursor",
		} {
			got := w.do(t, get("/api/v1/"+list+"?"+query))
			if p := got.problem(t); got.status != http.StatusUnprocessableEntity || !strings.Contains(p.Error(), say) {
				t.Errorf("%s?%.30s: status %d, %.300s", list, query, got.status, got.body)
			}
		}
	}
}
