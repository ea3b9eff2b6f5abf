package interop

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A tracker is a running waggle.
type tracker struct {
	*process
	urls []string // of its announces, as it printed them
	http http.Client
}

// startTracker starts waggle as launchTracker does. When the test ends, the
// tracker has to drain and exit with status 0.
func startTracker(t *testing.T, h host, flags ...string) *tracker {
	t.Helper()
	tr := launchTracker(t, h, flags...)
	t.Cleanup(func() {
		if err := tr.stop(); err != nil {
			t.Errorf("waggle after SIGTERM: %v; want exit status 0", err)
		}
		if slices.Contains(tr.stderr.lines(), "WARNING: DATA RACE") {
			t.Error("waggle reported a data race")
		}
	})
	return tr
}

// launchTracker starts waggle on all addresses of a host, over UDP and HTTP, and
// waits until it says that it is ready.
func launchTracker(t *testing.T, h host, flags ...string) *tracker {
	t.Helper()
	return launchBinary(t, h, waggle(t), flags...)
}

// launchBinary does the same with a binary of the caller's.
func launchBinary(t *testing.T, h host, binary string, flags ...string) *tracker {
	t.Helper()
	command := []string{binary, "serve", "--listen-udp", h.listen(0), "--listen-http", h.listen(0), "--listen-console", "off"}
	tr := &tracker{process: start(t, h, "waggle", append(command, flags...)...)}
	tr.http = http.Client{Timeout: patience, Transport: &http.Transport{DialContext: h.dial, DisableKeepAlives: true}}
	eventually(t, patience, "waggle is ready", func() error {
		if err := tr.alive(); err != nil {
			return err
		}
		return tr.readURLs()
	})
	return tr
}

// readURLs reads what waggle prints when it starts: announce URLs, each on a line
// of its own, indented by two spaces, and then a line that starts with "ready".
func (tr *tracker) readURLs() error {
	tr.urls = nil
	for _, line := range tr.stdout.lines() {
		if found, ok := strings.CutPrefix(line, "  "); ok && strings.HasSuffix(found, "/announce") {
			tr.urls = append(tr.urls, found)
		}
		if strings.HasPrefix(line, "ready") {
			return nil
		}
	}
	return fmt.Errorf("no line that starts with \"ready\" on its standard output")
}

// url returns the announce URL for a protocol (udp, http) on an address.
func (tr *tracker) url(t *testing.T, scheme string, addr netip.Addr) string {
	t.Helper()
	for _, announce := range tr.urls {
		parsed, err := url.Parse(announce)
		if err != nil {
			t.Fatalf("waggle printed a bad URL: %v", err)
		}
		if parsed.Scheme == scheme && parsed.Hostname() == addr.String() {
			return announce
		}
	}
	t.Fatalf("waggle printed no %s URL for %v, only %q", scheme, addr, tr.urls)
	return ""
}

// counts is what a scrape says of one torrent.
type counts struct {
	complete   int // peers that have all
	incomplete int // peers that do not
	downloaded int // announces of completion, ever
}

// scrape asks the tracker over HTTP for the counts of one torrent.
func (tr *tracker) scrape(infoHash string) (counts, error) {
	hash, err := hex.DecodeString(infoHash)
	if err != nil {
		return counts{}, fatal{err}
	}
	body, err := tr.get("/scrape?info_hash=" + url.QueryEscape(string(hash)))
	if err != nil {
		return counts{}, err
	}
	if !strings.Contains(body, "5:files") {
		return counts{}, fmt.Errorf("scrape was answered with %q", body)
	}
	return counts{
		complete:   bencodedInt(body, "complete"),
		incomplete: bencodedInt(body, "incomplete"),
		downloaded: bencodedInt(body, "downloaded"),
	}, nil
}

// get returns the body of the answer to a GET of path, which has to be 200.
func (tr *tracker) get(path string) (string, error) {
	for _, announce := range tr.urls {
		base, ok := strings.CutSuffix(announce, "/announce")
		if !ok || !strings.HasPrefix(announce, "http:") {
			continue
		}
		resp, err := tr.http.Get(base + path)
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s: %q", base+path, resp.Status, body)
		}
		return string(body), err
	}
	return "", fatal{fmt.Errorf("waggle printed no HTTP URL, only %q", tr.urls)}
}

// bencodedInt finds the integer of a key in bencode; 0 if there is none. It is
// written apart from waggle's own decoder, so that one mistake does not hide
// another.
func bencodedInt(body, key string) int {
	found := regexp.MustCompile(fmt.Sprintf(`%d:%si(\d+)e`, len(key), key)).FindStringSubmatch(body)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

// waitForCounts waits until a scrape answers want.
func (tr *tracker) waitForCounts(t *testing.T, infoHash string, want counts) {
	t.Helper()
	eventually(t, patience, fmt.Sprintf("scrape answers %+v", want), func() error {
		got, err := tr.scrape(infoHash)
		if err == nil && got != want {
			err = fmt.Errorf("scrape answers %+v", got)
		}
		return err
	})
}
