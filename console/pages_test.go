package console_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"waggle/account"
	"waggle/console"
)

// visitor is a browser, as far as a console can tell.
type visitor struct {
	http http.Client
	base string
}

// newVisitor returns one of a console with an account: anna, an admin.
func newVisitor(t *testing.T) (*world, *visitor) {
	t.Helper()
	return newVisitorWith(t, func(*console.Options) {})
}

func newVisitorWith(t *testing.T, change func(*console.Options)) (*world, *visitor) {
	t.Helper()
	accounts, err := account.Open(t.Context(), account.Options{Hash: account.Cost{Memory: 8, Passes: 1, Threads: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accounts.Close() }) // after the console
	if _, _, err := accounts.Create(t.Context(), account.New{Name: "anna", Role: account.Admin, Password: "correct horse"}); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *console.Options) {
		o.Accounts = accounts
		change(o)
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{base: w.url, http: http.Client{
		Jar: jar, Transport: &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(v.http.CloseIdleConnections)
	return w, v
}

// send returns an answer, and its body.
func (v *visitor) send(t *testing.T, method, path, media string, body io.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, v.base+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	got, err := v.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got, string(b)
}

func (v *visitor) get(t *testing.T, path string) (int, string) {
	t.Helper()
	got, body := v.send(t, http.MethodGet, path, "", http.NoBody)
	return got.StatusCode, body
}

// post returns the status of a form, and where it leads.
func (v *visitor) post(t *testing.T, path string, form url.Values) (status int, next, body string) {
	t.Helper()
	got, body := v.send(t, http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	return got.StatusCode, got.Header.Get("Location"), body
}

// upload sends a .torrent by the form, with a field csrf before it, or without.
func (v *visitor) upload(t *testing.T, csrf, name string) (status int, next, body string) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	if csrf != "" {
		_ = form.WriteField("csrf", csrf)
	}
	file, err := form.CreateFormFile("file", name+".torrent")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(metainfo(name))
	_ = form.Close() // into memory
	got, body := v.send(t, http.MethodPost, "/torrents", form.FormDataContentType(), &b)
	return got.StatusCode, got.Header.Get("Location"), body
}

func (v *visitor) logIn(t *testing.T) (csrf string) {
	t.Helper()
	status, next, body := v.post(t, "/login", url.Values{"name": {"anna"}, "password": {"correct horse"}, "next": {"/torrents"}})
	if status != http.StatusSeeOther || next != "/torrents" {
		t.Fatalf("log-in: status %d to %s: %s", status, next, body)
	}
	_, body = v.get(t, "/torrents")
	found := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no form has a field csrf: %s", body)
	}
	return found[1]
}

func TestWhoIsNotLoggedInSeesPagesOfThisMachineAndChangesNothing(t *testing.T) {
	w, v := newVisitor(t)
	w.add(t, "image.iso")
	status, body := v.get(t, "/torrents")
	if status != http.StatusOK || !strings.Contains(body, "image.iso") || !strings.Contains(body, `href="/login"`) || strings.Contains(body, "Deactivate") {
		t.Errorf("status %d: %s", status, body)
	}
	if status, next, _ := v.upload(t, "", "other"); status != http.StatusSeeOther && status != http.StatusUnauthorized || next != "" && next != "/login" {
		t.Errorf("an upload answers %d, and leads to %s", status, next)
	}
	if got, _ := v.send(t, http.MethodGet, "/settings", "", http.NoBody); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "/login?next=%2Fsettings" {
		t.Errorf("the settings answer %d, and lead to %s", got.StatusCode, got.Header.Get("Location"))
	}
	if transfers, _, err := w.catalog.List("", 10, nil); err != nil || len(transfers) != 1 {
		t.Errorf("the catalogue has %d transfers, %v", len(transfers), err)
	}
}

func TestFormsOfASessionNeedWhatItsPagesCarry(t *testing.T) {
	w, v := newVisitor(t)
	csrf := v.logIn(t)
	for _, wrong := range []string{"", "wrong"} {
		status, _, body := v.upload(t, wrong, "image.iso")
		if status != http.StatusForbidden || !strings.Contains(body, "<h1>Not allowed</h1>") || !strings.Contains(body, "Load the page again") && !strings.Contains(body, "load the page again") {
			t.Errorf("with %q: status %d: %s", wrong, status, body)
		}
	}
	if status, next, body := v.upload(t, csrf, "image.iso"); status != http.StatusSeeOther || next != "/torrents" {
		t.Fatalf("status %d to %s: %s", status, next, body)
	}
	_, body := v.get(t, onlyTorrent(t, w))
	if !strings.Contains(body, "image.iso") || !strings.Contains(body, "1 torrent registered") {
		t.Errorf("got %s", body)
	}
}

// onlyTorrent returns the path of the page of the only torrent.
func onlyTorrent(t *testing.T, w *world) string {
	t.Helper()
	transfers, _, err := w.catalog.List("", 2, nil)
	if err != nil || len(transfers) != 1 {
		t.Fatalf("%d transfers, %v", len(transfers), err)
	}
	return "/transfers/" + transfers[0].InfoHash.String()
}

func TestWhatIsDoneByPagesIsWrittenDown(t *testing.T) {
	w, v := newVisitor(t)
	csrf := v.logIn(t)
	v.upload(t, csrf, "image.iso")
	at := onlyTorrent(t, w)
	for _, form := range []struct {
		path   string
		fields url.Values
		says   string
	}{
		{at + "/deactivate", url.Values{"csrf": {csrf}}, "not active any more"},
		{at + "/activate", url.Values{"csrf": {csrf}}, "is active"},
		{at + "/delete", url.Values{"csrf": {csrf}}, "is deleted"},
	} {
		status, next, body := v.post(t, form.path, form.fields)
		if status != http.StatusSeeOther {
			t.Fatalf("%s: status %d: %s", form.path, status, body)
		}
		if _, body := v.get(t, next); !strings.Contains(body, form.says) {
			t.Errorf("%s: %s lacks %q", form.path, body, form.says)
		}
	}
	_, body := v.get(t, "/settings/audit")
	for _, operation := range []string{"log-in", "upload-torrent", "deactivate-transfer", "activate-transfer", "delete-torrent"} {
		if !strings.Contains(body, ">"+operation+"</td>") {
			t.Errorf("the audit log lacks %s", operation)
		}
	}
	if !strings.Contains(body, "anna") || !strings.Contains(body, "127.0.0.1") || !strings.Contains(body, "image.iso") {
		t.Errorf("got %s", body)
	}
}

func TestAPageIsLiveUntilItsSessionEnds(t *testing.T) {
	w, v := newVisitor(t)
	csrf := v.logIn(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.base+"/live?page=/torrents", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := v.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	if got := stream.Header.Get("Content-Type"); stream.StatusCode != http.StatusOK || !strings.HasPrefix(got, "text/event-stream") {
		t.Fatalf("status %d, %s", stream.StatusCode, got)
	}
	lines := bufio.NewScanner(stream.Body)
	lines.Buffer(nil, 1<<20)
	until := func(what string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), what) {
				return
			}
		}
		t.Fatalf("the stream ended without %q: %v", what, lines.Err())
	}
	until("There are no torrents yet")
	w.add(t, "image.iso")
	until("image.iso")
	if status, next, _ := v.post(t, "/logout", url.Values{"csrf": {csrf}}); status != http.StatusSeeOther || next != "/login" {
		t.Errorf("log-out: status %d to %s", status, next)
	}
	until("event: end")
	for lines.Scan() {
		if line := lines.Text(); line != "" && !strings.HasPrefix(line, "data: You are not logged in") {
			t.Errorf("after its end comes %q", line)
		}
	}
}

func TestClosingTheConsoleEndsStreams(t *testing.T) {
	w := newWorld(t, nil)
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/live?page=/peers", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	if _, err := fmt.Fscanln(stream.Body); err != nil && stream.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", stream.StatusCode, err)
	}
	if err := w.console.Close(); err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, stream.Body) // ends
}
