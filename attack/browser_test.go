package attack

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// parameters of a path, and what could stand in their places.
var parameterOf = regexp.MustCompile(`\{[a-z]+\}`)

func TestPageOfAnotherSiteChangesNothingByWhateverRoute(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:")
	routes := 0
	for _, operation := range operationsOf(t, tr) {
		method, path, _ := strings.Cut(operation, " ")
		if method == http.MethodGet {
			continue
		}
		routes++
		for _, header := range []http.Header{
			{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://evil.example"}},
			{"Sec-Fetch-Site": {"same-site"}},
			{"Origin": {"http://evil.example"}},
			{"Origin": {"null"}},
		} {
			wantOtherSiteRefused(t, method, tr.console+"/api/v1"+fill(path), header)
		}
	}
	if routes < 15 {
		t.Errorf("only %d routes that change something are described", routes)
	}
}

func TestPageOfAnotherSiteEmbedsNothing(t *testing.T) {
	t.Parallel()
	tr := startTracker(t, "", nil, "--store", "memory:")
	paths := pagesOf(t)
	for _, operation := range operationsOf(t, tr) {
		if path, reads := strings.CutPrefix(operation, "GET "); reads {
			paths = append(paths, "/api/v1"+path)
		}
	}
	for _, path := range paths {
		for _, header := range []http.Header{
			{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}},
			{"Sec-Fetch-Site": {"same-site"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Origin": {"http://127.0.0.1:8080"}},
			{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}},
		} {
			wantOtherSiteRefused(t, http.MethodGet, tr.console+fill(path), header)
		}
	}
	follows := http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	wantOtherSiteRefused(t, http.MethodGet, tr.console+"/debug/pprof/profile?seconds=3600", follows)
	request, err := http.NewRequest(http.MethodGet, tr.console+"/torrents", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = follows
	if status, _ := do(t, request); status != http.StatusOK {
		t.Errorf("a link to a page: %d", status)
	}
}

// wantOtherSiteRefused checks that a request with such a header is refused.
func wantOtherSiteRefused(t *testing.T, method, address string, header http.Header) {
	t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", "application/json")
	if status, answer := do(t, request); status != http.StatusForbidden || !strings.Contains(string(answer), "another site") {
		t.Errorf("%s %s with %v: %d %s", method, address, header, status, answer)
	}
}

func TestNamesOfLinksHoldNoMarkup(t *testing.T) {
	tr := startTracker(t, "", nil, "--store", "memory:", "--link-name", "hub", "--link-listen", "127.0.0.1:0", "--link-addresses", "127.0.0.1:6971")
	for _, name := range []string{"<script>alert(1)</script>", `"onload="alert(1)`, "a b", "é", "../a", "a\u202eb"} {
		body, err := json.Marshal(map[string]any{"name": name, "rights": map[string]bool{"receive": true, "send": true}})
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequest(http.MethodPost, tr.console+"/api/v1/links/invitations", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if status, answer := do(t, request); status < 400 || status >= 500 {
			t.Errorf("%q: %d %s", name, status, answer)
		}
	}
}
