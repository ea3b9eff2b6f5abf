package locality

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// namer is a source that names the host as well.
type namer struct {
	fake
	host string
}

func (n *namer) LocateNamed(ctx context.Context, ip netip.Addr) (path, host string, err error) {
	path, err = n.Locate(ctx, ip)
	return path, n.host, err
}

func (l *Locator) wantHost(t *testing.T, ip netip.Addr, want string) {
	t.Helper()
	if got := l.Host(ip); got != want {
		t.Errorf("%v is called %q, want %q", ip, got, want)
	}
}

func TestNameOfAHostIsRememberedAsLongAsItsLocation(t *testing.T) {
	n := &namer{fake: fake{name: "n", path: "r1"}, host: "h1.example."}
	inBubble(t, Options{Sources: []Source{n}}, func(t *testing.T, l *Locator) {
		l.wantHost(t, here, "")
		l.wantLocated(t, here, "r1")
		l.wantHost(t, here, "h1.example")
		l.wantHost(t, netip.MustParseAddr("::ffff:192.0.2.1"), "h1.example")
		l.wantHost(t, there, "")
		if f := l.Explain(t.Context(), here); f.Answers[0].Why != "host h1.example" {
			t.Errorf("%+v", f.Answers)
		}

		n.say("", errDown, 0)
		time.Sleep(DefaultCacheTime)
		l.wantCached(t, here, "r1", true) // asks anew
		time.Sleep(time.Second)
		l.wantHost(t, here, "h1.example")
		n.say("", nil, 0)
		time.Sleep(DefaultCacheTime)
		l.wantCached(t, here, "r1", true)
		time.Sleep(time.Second)
		l.wantHost(t, here, "")
	})
}

func TestWhatIsNoNameOfAHostIsLeftOut(t *testing.T) {
	long := strings.Repeat("a", 253)
	for _, good := range []string{"h", "H1_a.b-c.example", long} {
		if name := hostName(good); name == nil || *name != good {
			t.Errorf("%q is left out", good)
		}
	}
	for _, bad := range []string{"", ".", long + "b", "a b", "a/b", "a\x00", "h\xff", "hôte", "a\r\n"} {
		if name := hostName(bad); name != nil {
			t.Errorf("%q is kept as %q", bad, *name)
		}
	}
	n := &namer{fake: fake{name: "n", path: "r1"}, host: "two words"}
	inBubble(t, Options{Sources: []Source{n}}, func(t *testing.T, l *Locator) {
		l.wantLocated(t, here, "r1")
		l.wantHost(t, here, "")
	})
}

func TestServiceNamesTheHostWhereItIsToldTo(t *testing.T) {
	answer := `{"server": {"cabinet": "r12", "name": "h1", "id": 17, "tags": []}}`
	url := webServer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, answer) })
	for host, want := range map[string]string{
		"": "", "{/server/name}": "h1", "{/server/name}-{/server/id}.example": "h1-17.example", "{/server/none}": "", "{/server/tags}": "",
	} {
		r := newREST(t, RESTOptions{URL: url, Host: host})
		path, name, err := r.LocateNamed(t.Context(), here)
		if path != "r12" || name != want || err != nil {
			t.Errorf("%s: %q, %q, %v, want %q", host, path, name, err, want)
		}
	}
	for _, host := range []string{"{name}", "{/a"} {
		if _, err := NewREST(RESTOptions{URL: url, Host: host}); err == nil || !strings.HasPrefix(err.Error(), "rest: host") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
