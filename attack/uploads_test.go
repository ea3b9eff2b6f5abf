package attack

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// upload sends a .torrent to the console, in an encoding or none.
func upload(t *testing.T, tr *tracker, name, encoding string, body []byte) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, tr.console+"/api/v1/torrents?file="+name, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-bittorrent")
	if tr.token != "" {
		request.Header.Set("Authorization", "Bearer "+tr.token)
	}
	if encoding != "" {
		request.Header.Set("Content-Encoding", encoding)
	}
	code, text := do(t, request)
	return code, string(text)
}

func TestUploadsOfABombAndOfVeryManyFilesTakeBoundedMemory(t *testing.T) {
	uploadBelow(t, 256e6, 2_000_000)
}

// uploadBelow sends what would be large if somebody inflated it, and torrents of so many
// bytes that are all files, folders and lists, and looks how much memory that takes.
func uploadBelow(t *testing.T, limit int64, size int) {
	t.Helper()
	tr := startTracker(t, "", nil, "--store", "memory:", "--limits-memory", strconv.FormatInt(limit, 10))

	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.WriteString(z, "d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces1000000000:")
	zeros := make([]byte, 1<<20)
	for range 20 * size >> 20 {
		_, _ = z.Write(zeros)
	}
	_ = z.Close()
	for _, encoding := range []string{"gzip", ""} {
		if status, answer := upload(t, tr, "bomb.torrent", encoding, bomb.Bytes()); status < 400 || status >= 500 {
			t.Errorf("a bomb, Content-Encoding %q: %d %s", encoding, status, answer)
		}
	}

	for name, folder := range map[string]string{"files": "", "depths": strings.Repeat("1:b", 500)} {
		many := manyFiles(size, folder)
		if status, answer := upload(t, tr, name+".torrent", "", many); status >= 500 {
			t.Errorf("%s: %d %s", name, status, answer)
		} else {
			t.Logf("%d files in %d bytes: %d %.200s", bytes.Count(many, []byte("6:length")), len(many), status, answer)
		}
	}
	nested := strings.Repeat("l", size)
	if status, answer := upload(t, tr, "nested.torrent", "", []byte("d4:info"+nested)); status < 400 || status >= 500 {
		t.Errorf("lists in lists: %d %s", status, answer)
	}
	if _, most := resident(t, tr.cmd.Process.Pid); most >= limit {
		t.Errorf("%d MB resident, with a limit of %d", most/1e6, limit/1e6)
	}
	wantServed(t, tr)
}

func TestNamesOfUploadsLeadOutOfNoFolder(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:")
	torrent := []byte("d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee")
	for _, name := range []string{
		"..%2Fa.torrent", "%2Fetc%2Fa.torrent", "..%5Ca.torrent", "c:%5Ca.torrent", "a%00.torrent", "a%0A.torrent",
		"nul.torrent", "COM1.tar.torrent", "con%20.torrent", "a%3Ab.torrent", "..", ".torrent", "a%E2%80%AEtnerrot.torrent", "%FF.torrent", strings.Repeat("a", 300) + ".torrent",
	} {
		if status, answer := upload(t, tr, name, "", torrent); status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	for _, name := range []string{"2:..", "4:../b", "4:/etc", `4:..\\b`} {
		within := bytes.Replace(torrent, []byte("1:a"), []byte(name), 1)
		if status, answer := upload(t, tr, "a.torrent", "", within); status < 400 || status >= 500 {
			t.Errorf("the name %s within: %d %s", name, status, answer)
		}
	}
}

// manyFiles makes a good .torrent of so many bytes, of empty files in a folder beside one
// of a byte.
func manyFiles(size int, folder string) []byte {
	out := []byte("d4:infod5:filesld6:lengthi1e4:pathl1:aee")
	const tail = "e4:name1:m12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
	for n := 0; len(out)+len(folder)+50+len(tail) < size; n++ {
		out = fmt.Appendf(out, "d6:lengthi0e4:pathl%s6:%06xee", folder, n)
	}
	return append(out, tail...)
}

func TestTorrentOfTenMillionFilesIsRefusedInBoundedMemory(t *testing.T) {
	t.Parallel()
	tr := startTracker(t, "", nil, "--store", "memory:", "--limits-memory", "256M")
	for _, length := range []int64{tenMillion.size(), -1} { // as it says, or in chunks
		request, err := http.NewRequest(http.MethodPost, tr.console+"/api/v1/torrents?file=many.torrent", tenMillion.reader())
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = length
		request.Header.Set("Content-Type", "application/x-bittorrent")
		response, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			continue // the tracker hung up on who went on sending
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("of %d bytes: %s", length, response.Status)
		}
	}
	if _, most := resident(t, tr.cmd.Process.Pid); most >= 256e6 {
		t.Errorf("%d MB resident, with a limit of 256", most/1e6)
	}
	wantServed(t, tr)

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, tenMillion.reader()) // whoever fetches it has enough before the end
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "many.torrent")
	if err := errors.Join(os.WriteFile(file, []byte(tenMillion.head), 0o600), os.Truncate(file, tenMillion.size())); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"get", server.URL + "/many.torrent", "-o", t.TempDir()}, {"get", file, "-o", t.TempDir()}, {"torrent", "show", file}} {
		said, most, err := runWatched(exec.CommandContext(t.Context(), waggle(t), args...))
		if err == nil || !strings.Contains(said, "64 MiB") {
			t.Errorf("%v: %v, %s", args, err, said)
		}
		if most < 10e6 || most > 400e6 {
			t.Errorf("%v takes %d MB", args, most/1e6)
		}
	}
}

// tenMillion is a .torrent of ten million files, of which all but the first are empty. Their
// names come again after so many as are in a block: nobody may read as far as that.
var tenMillion = repeated{
	head: "d4:infod5:filesld6:lengthi1e4:pathl1:aee", times: 10_000_000 / filesOfABlock,
	tail: "e4:name1:m12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
}

const filesOfABlock = 10_000

// repeated is a .torrent that is made as it is read.
type repeated struct {
	head, tail string
	times      int
}

var block = sync.OnceValue(func() string {
	var b []byte
	for n := range filesOfABlock {
		b = fmt.Appendf(b, "d6:lengthi0e4:pathl7:%07xee", n)
	}
	return string(b)
})

func (r repeated) size() int64 { return int64(len(r.head) + len(r.tail) + r.times*len(block())) }

func (r repeated) reader() io.Reader {
	parts := []io.Reader{strings.NewReader(r.head)}
	for range r.times {
		parts = append(parts, strings.NewReader(block()))
	}
	return io.MultiReader(append(parts, strings.NewReader(r.tail))...)
}
