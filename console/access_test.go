package console_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"waggle/console"
	"waggle/console/client"
)

// asks are requests that read, and one that changes something.
func asks(hash string) map[string]request {
	return map[string]request{
		"reading":  get("/api/v1/transfers"),
		"figures":  get("/figures"),
		"profiles": get("/debug/pprof/cmdline"),
		"changing": {method: http.MethodPost, path: "/api/v1/transfers/" + hash + "/activate"},
	}
}

func TestWithATokenThisMachineReadsAndWhoHasTheTokenDoesEverything(t *testing.T) {
	for name, test := range map[string]struct {
		header       map[string]string
		host         string
		read, change int
	}{
		"from here":              {read: 200, change: 401},
		"with the token":         {header: map[string]string{"Authorization": "Bearer " + token}, read: 200, change: 200},
		"in another spelling":    {header: map[string]string{"Authorization": "bearer  " + token}, read: 200, change: 200},
		"with another token":     {header: map[string]string{"Authorization": "Bearer " + token + "x"}, read: 401, change: 401},
		"with half of the token": {header: map[string]string{"Authorization": "Bearer " + token[:8]}, read: 401, change: 401},
		"with an empty token":    {header: map[string]string{"Authorization": "Bearer "}, read: 401, change: 401},
		"with a password":        {header: map[string]string{"Authorization": "Basic " + token}, read: 401, change: 401},
		"by a name":              {host: "tracker.example", read: 401, change: 401},
		"by a name, with it":     {host: "tracker.example", header: map[string]string{"Authorization": "Bearer " + token}, read: 200, change: 200},
		"by a proxy":             {header: map[string]string{"X-Forwarded-For": "192.0.2.1"}, read: 401, change: 401},
		"by a newer proxy":       {header: map[string]string{"Forwarded": "for=192.0.2.1"}, read: 401, change: 401},
	} {
		w := newWorld(t, func(o *console.Options) { o.Token = token }) // where nobody was wrong yet
		for what, q := range asks(w.add(t, "a").InfoHash.String()) {
			q.header, q.host = test.header, test.host
			want := test.read
			if what == "changing" || what == "profiles" { // for who has the token
				want = test.change
			}
			got := w.do(t, q)
			if got.status != want {
				t.Errorf("%s, %s: status %d, %s; want %d", name, what, got.status, got.body, want)
			}
			if want == http.StatusUnauthorized && (got.problem(t).Detail == "" || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer")) {
				t.Errorf("%s, %s: %s with %v", name, what, got.body, got.header)
			}
		}
	}
}

func TestWithoutATokenThisMachineDoesEverythingAndNoOtherAnything(t *testing.T) {
	w := newWorld(t, nil)
	h := w.add(t, "a").InfoHash.String()
	for name, test := range map[string]struct {
		header map[string]string
		host   string
		want   int
	}{
		"from here":           {want: 200},
		"by localhost":        {host: "localhost:6970", want: 200},
		"by a name":           {host: "evil.example:6970", want: 403},
		"by a proxy":          {header: map[string]string{"X-Forwarded-For": "192.0.2.1"}, want: 403},
		"with a token anyway": {header: map[string]string{"Authorization": "Bearer " + token}, want: 200},
	} {
		for what, q := range asks(h) {
			q.header, q.host = test.header, test.host
			if got := w.do(t, q); got.status != test.want {
				t.Errorf("%s, %s: status %d, %s; want %d", name, what, got.status, got.body, test.want)
			}
		}
	}
}

func TestWebPageOfAnotherSiteChangesNothing(t *testing.T) {
	for _, with := range []string{"", token} {
		w := newWorld(t, func(o *console.Options) { o.Token = with })
		for name, header := range map[string]map[string]string{
			"new browser": {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
			"same site":   {"Sec-Fetch-Site": "same-site"},
			"old browser": {"Origin": "http://evil.example"},
			"sandbox":     {"Origin": "null"},
		} {
			q := upload("a.torrent", metainfo("a"))
			for key, value := range header {
				q.header[key] = value
			}
			if with != "" {
				q.header["Authorization"] = "Bearer " + with
			}
			if got := w.do(t, q); got.status != http.StatusForbidden || !strings.Contains(got.problem(t).Detail, "another site") {
				t.Errorf("%s: status %d, %s", name, got.status, got.body)
			}
		}
		if w.catalog.Len() != 0 {
			t.Error("a torrent was stored")
		}
	}
}

func TestOwnWebPageMayChangeThings(t *testing.T) {
	w := newWorld(t, nil)
	q := upload("a.torrent", metainfo("a"))
	q.header["Sec-Fetch-Site"], q.header["Origin"] = "same-origin", w.url
	if got := w.do(t, q); got.status != http.StatusCreated {
		t.Errorf("status %d, %s", got.status, got.body)
	}
}

func TestWithATokenTheConsoleListensAnywhere(t *testing.T) {
	c, err := console.Listen(t.Context(), "0.0.0.0:0", console.Options{Token: token, Figures: func() any { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestClientOfTheConsoleDoesAllOfIt(t *testing.T) {
	w := newWorld(t, func(o *console.Options) { o.Token = token })
	c, ctx := w.client(t, token), t.Context()
	uploaded, err := c.Upload(ctx, "a.torrent", metainfo("a"))
	if err != nil {
		t.Fatal(err)
	}
	h := uploaded.InfoHash
	w.announce(t, h, "10.0.0.1:1", 0)
	if got, err := c.Transfer(ctx, h); err != nil || got.Seeders != 1 || got.Progress != 1 {
		t.Errorf("transfer %+v, %v", got, err)
	}
	if got, err := c.Torrent(ctx, h); err != nil || string(got) != string(metainfo("a")) {
		t.Errorf("torrent %q, %v", got, err)
	}
	if got, err := c.Peers(ctx, h); err != nil || len(got) != 1 {
		t.Errorf("peers %+v, %v", got, err)
	}
	if got, err := c.AllPeers(ctx); err != nil || len(got) != 1 {
		t.Errorf("all peers %+v, %v", got, err)
	}
	if got, err := c.Deactivate(ctx, h); err != nil || got.Active {
		t.Errorf("deactivated %+v, %v", got, err)
	}
	if got, err := c.Activate(ctx, h); err != nil || !got.Active {
		t.Errorf("activated %+v, %v", got, err)
	}
	if got, err := c.Named(ctx, "a.torrent"); err != nil || len(got) != 1 {
		t.Errorf("named %+v, %v", got, err)
	}
	if err := c.Delete(ctx, h); err != nil {
		t.Error(err)
	}
	if got, err := c.Transfers(ctx); err != nil || got == nil || len(got) != 0 {
		t.Errorf("transfers %+v, %v", got, err)
	}
	if _, err := w.client(t, "").Upload(ctx, "a.torrent", metainfo("a")); err == nil || !strings.Contains(err.Error(), "needs the token") {
		t.Errorf("without the token: %v", err)
	}
}

func TestClientReadsAllPages(t *testing.T) {
	w := newWorld(t, nil)
	h := w.add(t, "a").InfoHash
	for n := range 2*client.MaxPage + 1 {
		w.announce(t, h, "10.0.0.1:"+strconv.Itoa(1+n), 0)
	}
	if got, err := w.client(t, "").Peers(t.Context(), h); err != nil || len(got) != 2*client.MaxPage+1 {
		t.Errorf("%d peers, %v", len(got), err)
	}
}
