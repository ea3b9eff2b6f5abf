package console_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"waggle/console/client"
)

func mustAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestLocalityTellsOfLevelsAndSources(t *testing.T) {
	w := newLocatedWorld(t, nil)
	c := w.client(t, "")
	if _, err := c.Locate(t.Context(), netip.MustParseAddr("192.0.2.9")); err != nil {
		t.Fatal(err)
	}
	if _, known := w.locator.Cached(netip.MustParseAddr("10.1.2.1"), w.now); !known {
		t.Fatal("the subnets are not read")
	}
	l, err := c.Locality(t.Context())
	if err != nil || !l.On || l.Profile != "strict" || l.Edges != 2 || l.Standby != 1 || l.ActiveInterval != 15 || l.PassiveInterval != 300 {
		t.Errorf("%+v, %v", l, err)
	}
	if want := (client.Level{Name: "rack", Height: 1, Importers: 1, Exporters: 1}); len(l.Levels) != 2 || l.Levels[1] != want || l.Levels[0].Name != "site" || l.Levels[0].Height != 2 {
		t.Errorf("levels %+v", l.Levels)
	}
	if len(l.Sources) != 2 {
		t.Fatalf("sources %+v", l.Sources)
	}
	table, rest := l.Sources[0], l.Sources[1]
	if !strings.HasPrefix(table.Source, "subnets ") || table.Known < 1 || table.LastError != "" || !table.LastErrorAt.IsZero() {
		t.Errorf("the table is %+v", table)
	}
	if rest.Source != "rest http://smdb.example" || rest.Failed < 1 || rest.Asked != rest.Failed || !strings.Contains(rest.LastError, "start it") || rest.LastErrorAt.IsZero() {
		t.Errorf("the service is %+v", rest)
	}
}

func TestLocalityThatIsOffSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	l := decode[client.Locality](t, w.do(t, get("/api/v1/locality")))
	if l.On || l.Levels == nil || l.Sources == nil {
		t.Errorf("%+v", l)
	}
	if got := w.do(t, get("/api/v1/locality/10.1.2.1")); got.status != http.StatusNotFound || !strings.Contains(got.problem(t).Detail, "locality.sources") {
		t.Errorf("status %d, %s", got.status, got.body)
	}
}

func TestAddressIsLocatedAndEachSourceHeard(t *testing.T) {
	w := newLocatedWorld(t, nil)
	f := decode[client.Finding](t, w.do(t, get("/api/v1/locality/10.1.2.1")))
	if f.Address != "10.1.2.1" || f.Location != "ams1/r2" || !strings.HasPrefix(f.Source, "subnets ") || f.Remembered || len(f.Answers) != 2 {
		t.Errorf("%+v", f)
	}
	if a := f.Answers[0]; a.Location != "ams1/r2" || !strings.Contains(a.Why, "10.1.2.0/24") || a.Error != "" {
		t.Errorf("the table says %+v", a)
	}
	if a := f.Answers[1]; a.Location != "" || !strings.Contains(a.Error, "start it") {
		t.Errorf("the service says %+v", a)
	}
	if f := decode[client.Finding](t, w.do(t, get("/api/v1/locality/192.0.2.1"))); f.Location != "" || f.Source != "" {
		t.Errorf("an address that nobody knows: %+v", f)
	}
	if f, err := w.client(t, "").Locate(t.Context(), netip.MustParseAddr("2001:db8::1")); err != nil || f.Location != "ams1/r2" {
		t.Errorf("of IPv6 %+v, %v", f, err)
	}
	for _, address := range []string{"x", "10.1.2.1:80", "10.1.2.0%2F24", strings.Repeat("1", 65)} {
		if got := w.do(t, get("/api/v1/locality/"+address)); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.problem(t).Error(), "path.address") {
			t.Errorf("%s: status %d, %s", address, got.status, got.body)
		}
	}
}
