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
	_, body := get(t, tr.console+"/api/v1/openapi.json", "")
	var description struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(body, &description); err != nil {
		t.Fatal(err)
	}
	routes := 0
	for path, methods := range description.Paths {
		for method := range methods {
			method = strings.ToUpper(method)
			if method == http.MethodGet || method == http.MethodHead || method == "PARAMETERS" {
				continue
			}
			routes++
			path := strings.TrimPrefix(path, "/api/v1")
			address := tr.console + "/api/v1" + parameterOf.ReplaceAllString(path, strings.Repeat("ab", 20))
			for _, header := range []http.Header{
				{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://evil.example"}},
				{"Sec-Fetch-Site": {"same-site"}},
				{"Origin": {"http://evil.example"}},
				{"Origin": {"null"}},
			} {
				request, err := http.NewRequest(method, address, strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				request.Header = header
				request.Header.Set("Content-Type", "application/json")
				if status, answer := do(t, request); status != http.StatusForbidden || !strings.Contains(string(answer), "another site") {
					t.Errorf("%s %s with %v: %d %s", method, address, header, status, answer)
				}
			}
		}
	}
	if routes < 15 {
		t.Errorf("only %d routes that change something are described", routes)
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
