package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
)

// said is what a request was.
type said struct{ method, path, query, media, body string }

// hear lets a client speak to a server that answers with JSON, and returns what it said.
func hear(t *testing.T, answer string, speak func(*client.Client)) (all []said) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		all = append(all, said{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type"), string(b)})
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	speak(c)
	return all
}

func TestClientSaysWhatIsToBeOfAnAccount(t *testing.T) {
	ctx := t.Context()
	got := hear(t, `{"name":"x","token":"waggle_x"}`, func(c *client.Client) {
		made, err := c.CreateAccount(ctx, client.NewAccount{Name: "a/b", Role: "viewer", Password: "secret"})
		if err != nil || made.Token != "waggle_x" || made.Name != "x" {
			t.Errorf("%+v, %v", made, err)
		}
		if _, err := c.CreateAccount(ctx, client.NewAccount{Name: "a", Role: "admin", Expires: time.Unix(1_700_000_000, 0).UTC()}); err != nil {
			t.Error(err)
		}
		if _, err := c.EditAccount(ctx, "a/../b ☃?", client.AccountEdit{NewToken: true}); err != nil {
			t.Error(err)
		}
		if err := c.DeleteAccount(ctx, "torrents?x"); err != nil {
			t.Error(err)
		}
		if _, err := c.AuditPart(ctx, client.Part{Cursor: "7", Limit: 5}); err != nil {
			t.Error(err)
		}
		if _, err := c.Upload(ctx, "a.torrent", []byte("d")); err != nil {
			t.Error(err)
		}
		if _, err := c.SetProfile(ctx, bittorrent.InfoHash{}, "strict"); err != nil {
			t.Error(err)
		}
	})
	want := []said{
		{"POST", "/api/v1/accounts", "", "application/json", `{"name":"a/b","role":"viewer","password":"secret"}`},
		{"POST", "/api/v1/accounts", "", "application/json", `{"name":"a","role":"admin","expires":"2023-11-14T22:13:20Z"}`},
		{"PATCH", "/api/v1/accounts/a%2F..%2Fb%20%E2%98%83%3F", "", "application/json", `{"new_token":true}`},
		{"DELETE", "/api/v1/accounts/torrents%3Fx", "", "", ""},
		{"GET", "/api/v1/audit", "cursor=7&limit=5", "", ""},
		{"POST", "/api/v1/torrents", "file=a.torrent", client.MediaType, "d"},
		{"PATCH", "/api/v1/transfers/0000000000000000000000000000000000000000", "", "application/json", `{"profile":"strict"}`},
	}
	if len(got) != len(want) {
		t.Fatalf("%d requests: %+v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("said %+v\nwant %+v", got[i], want[i])
		}
	}
}
