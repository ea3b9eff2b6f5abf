//go:build !function

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/torrent"
)

// pushTo uploads a torrent as push does, and returns what was said.
func (l *located) pushTo(t *testing.T, profile string, body []byte) (client.Transfer, string) {
	t.Helper()
	var out, said bytes.Buffer
	p := pushing{profile: profile}
	transfer, err := p.upload(t.Context(), l.client(t), body, newDisplay(&out, &said, false))
	if err != nil {
		t.Fatal(err)
	}
	return transfer, said.String()
}

func TestPushWarnsOfATorrentThatGoesAroundTheTracker(t *testing.T) {
	l := startLocated(t)
	body, _ := metainfo(t, "image.iso")
	if _, said := l.pushTo(t, "", body); !strings.HasPrefix(said, "waggle: image.iso: it is not private (BEP 27)") {
		t.Errorf("of a public one it said %q", said)
	}
	private := bytes.Replace(body, []byte("aaee"), []byte("aa7:privatei1eee"), 1)
	if _, err := torrent.Parse(private); err != nil {
		t.Fatal(err)
	}
	if _, said := l.pushTo(t, "", private); said != "" {
		t.Errorf("of a private one it said %q", said)
	}
}

func TestPushGivesATransferItsProfileAlsoWhereItIsKnown(t *testing.T) {
	l := startLocated(t)
	body, h := metainfo(t, "image.iso")
	for _, profile := range []string{"parity", "balanced"} {
		if got, _ := l.pushTo(t, profile, body); got.Profile != profile || l.catalog.Profile(&h) != profile {
			t.Errorf("it is %+v, want %s", got, profile)
		}
	}
	if got, _ := l.pushTo(t, "", body); got.Profile != "balanced" {
		t.Errorf("without a profile it became %+v", got)
	}
}

// follow returns a following of a torrent, with what it says and its results.
func (l *located) follow(t *testing.T, h bittorrent.InfoHash, asJSON bool) (f *following, said, out *bytes.Buffer) {
	t.Helper()
	said, out = new(bytes.Buffer), new(bytes.Buffer)
	f = &following{tracker: l.client(t), display: newDisplay(out, said, asJSON)}
	f.before.InfoHash = h
	return f, said, out
}

func TestPushShowsRacksThatAreNotComplete(t *testing.T) {
	l := startLocated(t)
	h := l.push(t, "image.iso")
	f, said, _ := l.follow(t, h, false)
	start := time.Unix(100, 0)
	for second := range 11 { // shows at 5 and 10
		f.showRacks(t.Context(), start.Add(time.Duration(second)*time.Second))
	}
	line := "  r2: 25.0 %, 0 of 2 peers complete, at most 500 B over its uplink\n"
	if said.String() != line+line {
		t.Errorf("it said\n%swant twice\n%s", said, line)
	}
	f, said, _ = l.follow(t, h, false)
	f.display.isTerm = true
	for second := range 41 { // shows at 30
		f.showRacks(t.Context(), start.Add(time.Duration(second)*time.Second))
	}
	if said.String() != line {
		t.Errorf("on a terminal it said\n%s", said)
	}
	f, _, out := l.follow(t, h, true)
	f.showRacks(t.Context(), start)
	f.showRacks(t.Context(), start.Add(racksEvery))
	var racks racksProgress
	if err := json.Unmarshal(out.Bytes(), &racks); err != nil || racks.Event != "racks" || racks.Complete != 1 || racks.Incomplete != 1 ||
		len(racks.Racks) != 1 || racks.Racks[0].Path != "r2" || racks.Racks[0].State != "incomplete" || *racks.Racks[0].Progress != 0.25 {
		t.Errorf("as JSON %s, %v", out, err)
	}
}

func TestPushAsksNoMoreForRacksWhereThereAreNone(t *testing.T) {
	l := startLocated(t)
	f, said, _ := l.follow(t, bittorrent.InfoHash{1}, false)
	f.showRacks(t.Context(), time.Unix(100, 0))
	f.showRacks(t.Context(), time.Unix(200, 0))
	if !f.racks.off || said.Len() > 0 {
		t.Errorf("off: %v, it said %q", f.racks.off, said)
	}
}

func TestWorstRacksComeFirstAndNotTooMany(t *testing.T) {
	var places []client.Place
	for n := range 30 {
		places = append(places, client.Place{Path: fmt.Sprint("r", n), Height: 1, Leechers: 1, Progress: new(1 - float64(n)/100)})
	}
	places[3].Starving = true
	places[4].Waiting, places[4].Starving = true, true
	places = append(places, client.Place{Path: "row", Height: 2, Leechers: 9}, client.Place{Path: "done", Height: 1, Seeders: 2}, client.Place{Path: "left", Height: 1})
	racks := racksOf("0123", places)
	if racks.Complete != 1 || racks.Incomplete != 30 || len(racks.Racks) != 30 {
		t.Errorf("%+v", racks)
	}
	lines := strings.Split(racks.lines(), "\n")
	if len(lines) != maxRacks+2 || lines[0] != "  r3: 97.0 %, 0 of 1 peer complete, at most 0 B over its uplink, starving" ||
		!strings.HasSuffix(lines[1], "waiting") || !strings.HasPrefix(lines[2], "  r29: 71.0 %") || lines[maxRacks] != "  and 20 racks more; waggle transfers --places 0123 shows them" {
		t.Errorf("the lines are\n%s", strings.Join(lines, "\n"))
	}
}
