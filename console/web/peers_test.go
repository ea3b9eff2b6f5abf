package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"waggle/account"
	"waggle/console/client"
	"waggle/console/web"
)

// searched returns the page of peers, for a query, of an API that answers v, and what
// the API is asked.
func searched(t *testing.T, query url.Values, v any) (n *html.Node, asked url.Values) {
	t.Helper()
	api := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		if got := account.From(r.Context()); got.Name != "anna" {
			t.Errorf("%s is asked by %q", r.URL, got.Name)
		}
		if p, problem := v.(client.Problem); problem {
			rw.Header().Set("Content-Type", client.ProblemType)
			rw.WriteHeader(p.Status)
		}
		_ = json.NewEncoder(rw).Encode(v) // into memory
	})
	site, err := web.New(web.Options{API: api})
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	ctx := account.With(t.Context(), session())
	site.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, "/peers?"+query.Encode(), nil))
	got := recorder.Result()
	n = page(t, got)
	if got.StatusCode != http.StatusOK {
		t.Errorf("status %d: %s", got.StatusCode, words(n))
	}
	checkDocument(t, n)
	return n, asked
}

// field returns the value of the search field.
func field(n *html.Node) string {
	for _, e := range all(n, "input") {
		if has(e, "name", "address") {
			value, _ := attribute(e, "value")
			return value
		}
	}
	return "none"
}

func TestPeersAreShownWithTheNamesOfTheirTorrents(t *testing.T) {
	n, _ := searched(t, nil, client.PeerPage{Peers: []client.Peer{
		{InfoHash: hash, Name: nasty, Address: "10.1.2.1:6881", Kind: "seeder"}, {InfoHash: strange, Address: "10.1.2.2:6881", Kind: "seeder"},
	}})
	var links []string
	for _, e := range all(n, "a") {
		if href, _ := attribute(e, "href"); strings.HasPrefix(href, "/transfers/") {
			links = append(links, href+" "+words(e))
		}
	}
	want := []string{"/transfers/" + hash.String() + " " + nasty, "/transfers/" + strange.String() + " " + strange.String()[:16] + "…"}
	if !slices.Equal(links, want) {
		t.Errorf("links are %q", links)
	}
}

func TestPeersAreSearchedByAddress(t *testing.T) {
	found := client.PeerPage{Peers: []client.Peer{{InfoHash: hash, Address: "10.1.2.1:6881", Kind: "seeder"}}, Next: "more"}
	n, asked := searched(t, url.Values{"address": {" 10.1.0.0/16 "}, "cursor": {"some"}}, found)
	if asked.Get("address") != "10.1.0.0/16" || asked.Get("cursor") != "some" || asked.Get("limit") != "50" {
		t.Errorf("asked for %v", asked)
	}
	if got := field(n); got != "10.1.0.0/16" {
		t.Errorf("the field has %q", got)
	}
	next := false
	for _, e := range all(n, "a") {
		next = next || has(e, "href", "/peers?"+url.Values{"address": {" 10.1.0.0/16 "}, "cursor": {"more"}}.Encode())
	}
	if !next {
		t.Error("the next page is not of the same search")
	}
	n, asked = searched(t, nil, client.PeerPage{})
	if _, said := asked["address"]; said || field(n) != "" || !strings.Contains(words(n), "No peers announce now") {
		t.Errorf("asked for %v: %s", asked, words(n))
	}
	if n, _ = searched(t, url.Values{"address": {"10.9.9.9"}}, client.PeerPage{}); !strings.Contains(words(n), "No peer has such an address") {
		t.Errorf("got %s", words(n))
	}
}

func TestSearchForWhatIsNoAddressKeepsItAndSaysWhatIsWanted(t *testing.T) {
	refused := client.Problem{Status: http.StatusUnprocessableEntity, Detail: "give an IP address"}
	n, _ := searched(t, url.Values{"address": {nasty}}, refused)
	if field(n) != nasty || !strings.Contains(words(n), "Give an IP address.") || strings.Contains(words(n), "No peer") {
		t.Errorf("the field has %q: %s", field(n), words(n))
	}
}
