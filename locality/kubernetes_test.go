package locality

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// nodePages are two pages as an API server of Kubernetes 1.30 answers them, without the parts that
// nobody reads here.
var nodePages = []string{
	`{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"1234567","continue":"eyJ2IjoibWV0YS5rOHMuaW8vdjEi=","remainingItemCount":2},"items":[
 {"metadata":{"name":"node-a1","uid":"8f6e2c0e","labels":{"beta.kubernetes.io/arch":"amd64","kubernetes.io/hostname":"node-a1","topology.kubernetes.io/region":"eu-west-1","topology.kubernetes.io/zone":"eu-west-1a","example.com/rack":"r12"},"annotations":{"node.alpha.kubernetes.io/ttl":"0"}},
  "spec":{"podCIDR":"10.244.1.0/24","podCIDRs":["10.244.1.0/24","fd00:10:244:1::/64"],"providerID":"x://a1"},
  "status":{"capacity":{"cpu":"8"},"addresses":[{"type":"InternalIP","address":"192.0.2.11"},{"type":"ExternalIP","address":"198.51.100.11"},{"type":"Hostname","address":"node-a1"},{"type":"InternalIP","address":"fd00::11"}],"nodeInfo":{"kubeletVersion":"v1.30.2"}}},
 {"metadata":{"name":"node-b1","labels":{"topology.kubernetes.io/zone":"eu-west-1b","example.com/rack":"r13"}},
  "spec":{"podCIDR":"10.244.2.0/24"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.12"}]}}]}`,
	`{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"1234567"},"items":[
 {"metadata":{"name":"node-c1","labels":{"topology.kubernetes.io/zone":"eu-west-1c"}},"spec":{"podCIDR":"10.244.3.0/24"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.13"}]}},
 {"metadata":{"name":"control","labels":null},"spec":{},"status":{"addresses":null}}]}`,
}

// apiServer answers with pages of nodes to whoever shows a token, by TLS.
type apiServer struct {
	*httptest.Server
	pages atomic.Pointer[[]string]
	fails atomic.Bool
	ca    string // file of its certificate
	token string // file
}

func newAPIServer(t *testing.T, pages ...string) *apiServer {
	t.Helper()
	s := new(apiServer)
	s.pages.Store(&pages)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not know its certificate
	s.StartTLS()
	t.Cleanup(s.Close)
	directory := t.TempDir()
	s.ca, s.token = filepath.Join(directory, "ca.crt"), filepath.Join(directory, "token")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for file, content := range map[string][]byte{s.ca: certificate, s.token: []byte("secret")} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *apiServer) answer(w http.ResponseWriter, r *http.Request) {
	pages := *s.pages.Load()
	switch {
	case r.Header.Get("Authorization") != "Bearer secret":
		w.WriteHeader(http.StatusUnauthorized)
	case s.fails.Load():
		w.WriteHeader(http.StatusInternalServerError)
	case r.URL.Path != "/api/v1/nodes" || r.URL.Query().Get("limit") != "500":
		http.NotFound(w, r)
	case r.URL.Query().Get("continue") == "":
		_, _ = fmt.Fprint(w, pages[0])
	case r.URL.Query().Get("continue") == "eyJ2IjoibWV0YS5rOHMuaW8vdjEi=" && len(pages) > 1:
		_, _ = fmt.Fprint(w, pages[1])
	default:
		w.WriteHeader(http.StatusGone) // as where a list has become too old
	}
}

func openKubernetes(t *testing.T, tree *Tree, o KubernetesOptions) *Kubernetes {
	t.Helper()
	k, err := OpenKubernetes(t.Context(), tree, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

const zoneAndRack = "{topology.kubernetes.io/zone}/{example.com/rack}"

func TestAddressesOfNodesAndPodsAreWhereTheLabelsSay(t *testing.T) {
	s := newAPIServer(t, nodePages...)
	k := openKubernetes(t, treeOf(t, "zone", "rack"), KubernetesOptions{URL: s.URL, TokenFile: s.token, CAFile: s.ca, Path: zoneAndRack})
	for address, want := range map[string]string{
		"192.0.2.11": "eu-west-1a/r12", "198.51.100.11": "eu-west-1a/r12", "fd00::11": "eu-west-1a/r12", "10.244.1.77": "eu-west-1a/r12",
		"fd00:10:244:1::77": "eu-west-1a/r12", "10.244.2.1": "eu-west-1b/r13", "192.0.2.12": "eu-west-1b/r13",
		"192.0.2.13": "", "10.244.3.1": "", "192.0.2.14": "",
	} {
		wantPath(t, k, address, want, "")
	}
	if at, err := k.Dated(); err != nil || time.Since(at) > time.Minute {
		t.Errorf("%v, %v", at, err)
	}
	if why := k.Why(netip.MustParseAddr("10.244.1.77")); why != "node node-a1: 10.244.1.0/24" {
		t.Error(why)
	}
	zones := openKubernetes(t, treeOf(t, "zone"), KubernetesOptions{URL: s.URL, TokenFile: s.token, CAFile: s.ca})
	wantPath(t, zones, "192.0.2.13", "eu-west-1c", "")
}

func TestNodesAreListedAgainAndKeptWhereThatFails(t *testing.T) {
	s := newAPIServer(t, nodePages...)
	k := openKubernetes(t, treeOf(t, "zone", "rack"), KubernetesOptions{URL: s.URL, TokenFile: s.token, CAFile: s.ca, Path: zoneAndRack})
	moved := []string{strings.ReplaceAll(nodePages[0], `"r12"`, `"r99"`), nodePages[1]}
	s.pages.Store(&moved)
	s.fails.Store(true)
	k.refresh(t.Context())
	wantPath(t, k, "192.0.2.11", "eu-west-1a/r12", "")
	if _, err := k.Dated(); err == nil || !strings.Contains(err.Error(), "answers 500") {
		t.Error(err)
	}
	s.fails.Store(false)
	k.refresh(t.Context())
	wantPath(t, k, "192.0.2.11", "eu-west-1a/r99", "")
	if _, err := k.Dated(); err != nil {
		t.Error(err)
	}
	shorter := nodePages[:1] // its second page is gone
	s.pages.Store(&shorter)
	k.refresh(t.Context())
	wantPath(t, k, "192.0.2.11", "eu-west-1a/r99", "")
	if _, err := k.Dated(); err == nil || !strings.Contains(err.Error(), "answers 410 Gone") {
		t.Error(err)
	}
}

func TestWrongNodesAreLeftOutAndSaidToBeWrong(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{strings.ReplaceAll(nodePages[1], `"labels":null`, `"labels":{"topology.kubernetes.io/zone":"a/b"}`), `kubernetes: node "control": "a/b" is no path of 1 names: give zone`},
		{nodePages[1], ""},
		{strings.ReplaceAll(nodePages[1], `"name":"control","labels":null},"spec":{}`, `"name":"twin","labels":{"topology.kubernetes.io/zone":"z"}},"spec":{"podCIDR":"10.244.3.0/24"}`), `kubernetes: nodes "node-c1" and "twin" both have 10.244.3.0/24; the first counts`},
	} {
		s := newAPIServer(t, c.page)
		k := openKubernetes(t, treeOf(t, "zone"), KubernetesOptions{URL: s.URL, TokenFile: s.token, CAFile: s.ca})
		wantPath(t, k, "10.244.3.1", "eu-west-1c", "")
		if _, err := k.Dated(); (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestAnswerThatIsNoListOfNodesIsSaidToBe(t *testing.T) {
	for page, want := range map[string]string{
		"<html>": "the answer is no list of nodes", `{"kind":"PodList"}`: `the answer is of kind "PodList", and not a NodeList`, `[]`: "no list of nodes",
	} {
		s := newAPIServer(t, page)
		k := openKubernetes(t, treeOf(t, "zone"), KubernetesOptions{URL: s.URL + "/", TokenFile: s.token, CAFile: s.ca})
		if at, err := k.Dated(); err == nil || !strings.Contains(err.Error(), want) || !at.IsZero() {
			t.Errorf("%v, %v; want %s", at, err, want)
		}
		wantPath(t, k, "192.0.2.11", "", "")
	}
	s := newAPIServer(t, nodePages...)
	for want, o := range map[string]KubernetesOptions{
		"see whether its token may read this": {URL: s.URL, CAFile: s.ca}, "certificate": {URL: s.URL, TokenFile: s.token},
		"no such file": {URL: s.URL, CAFile: s.ca, TokenFile: s.token + ".gone"}, "is this the URL of an API server?": {URL: s.URL + "/x", CAFile: s.ca, TokenFile: s.token},
	} {
		k := openKubernetes(t, treeOf(t, "zone"), o)
		if _, err := k.Dated(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestAPIServerOfTheClusterAroundTheProcessIsTheDefault(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := OpenKubernetes(t.Context(), treeOf(t, "zone"), KubernetesOptions{}); err == nil || err.Error() != "kubernetes: there is no cluster around this process; set url" {
		t.Error(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "443")
	var o KubernetesOptions
	if err := o.complete(); err != nil || o.URL != "https://[fd00::1]:443" || o.TokenFile != serviceAccount+"token" || o.CAFile != serviceAccount+"ca.crt" {
		t.Errorf("%+v, %v", o, err)
	}
	s := newAPIServer(t, nodePages...)
	host, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "https://"), ":")
	t.Setenv("KUBERNETES_SERVICE_HOST", host)
	t.Setenv("KUBERNETES_SERVICE_PORT", port)
	k := openKubernetes(t, treeOf(t, "zone"), KubernetesOptions{TokenFile: s.token, CAFile: s.ca})
	wantPath(t, k, "192.0.2.13", "eu-west-1c", "")
	for _, o := range []KubernetesOptions{{URL: "api"}, {URL: "https://x", Interval: -1}, {URL: "https://x", Path: "{"}, {URL: "https://x", CAFile: s.token}, {URL: "https://x", CAFile: "gone"}, {URL: "https://x", Path: "a/b"}} {
		if _, err := OpenKubernetes(t.Context(), treeOf(t, "zone"), o); err == nil || !strings.HasPrefix(err.Error(), "kubernetes: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// stalled is a web whose server never answers.
type stalled struct{ asked atomic.Int32 }

func (s *stalled) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked.Add(1)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAPIServerThatIsSilentHoldsNobodyUpForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := new(stalled)
		begun := time.Now()
		path, err := ParseTemplate(DefaultKubernetesPath)
		if err != nil {
			t.Fatal(err)
		}
		o := KubernetesOptions{URL: "https://x", Interval: time.Minute, Now: time.Now}
		k := watchNodes(t.Context(), treeOf(t, "zone"), o, path, &web{client: &http.Client{Transport: transport}})
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
		if g := k.Group(here); g != nil {
			t.Error("it is somewhere")
		}
		time.Sleep(3 * time.Minute)
		if n := transport.asked.Load(); n < 3 {
			t.Errorf("listed %d times", n)
		}
		_ = k.Close()
	})
}

// FuzzNodes reads any bytes as a page of nodes.
func FuzzNodes(f *testing.F) {
	for _, page := range nodePages {
		f.Add([]byte(page))
	}
	f.Add([]byte(`{"kind":"NodeList","items":[{"metadata":{"name":"\u001b","labels":{"topology.kubernetes.io/zone":"z"}},"spec":{"podCIDRs":["::/0","::ffff:1.2.3.4/100"]},"status":{"addresses":[{"type":"InternalIP","address":"fe80::1%eth0"}]}}]}`))
	f.Fuzz(func(t *testing.T, page []byte) {
		list, err := parseNodes(page)
		if err != nil {
			return
		}
		tree, err := NewTree(10, "zone")
		if err != nil {
			t.Fatal(err)
		}
		path, err := ParseTemplate(DefaultKubernetesPath)
		if err != nil {
			t.Fatal(err)
		}
		k := &Kubernetes{tree: tree, path: path}
		state := &kubernetesState{prefixes: new(prefixes)}
		for i := range list.Items {
			k.add(state, &list.Items[i])
		}
		if state.err != nil && (len(state.err.Error()) > 1000 || strings.ContainsAny(state.err.Error(), "\n\x1b")) {
			t.Errorf("error %q", state.err)
		}
		k.state.Store(state)
		k.Why(here)
	})
}
