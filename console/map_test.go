package console_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/console"
	"waggle/console/client"
)

// drawn is a map as a drawing of it would have it.
type drawn struct {
	client.Map
	at map[string]int // hosts by address
}

func (w *world) drawn(t *testing.T, h bittorrent.InfoHash) *drawn {
	t.Helper()
	got := w.do(t, get("/api/v1/transfers/"+h.String()+"/map"))
	if got.status != http.StatusOK {
		t.Fatalf("status %d, %s", got.status, got.body)
	}
	d := &drawn{Map: decode[client.Map](t, got), at: map[string]int{}}
	n := len(d.Hosts.Address)
	if len(d.Hosts.Rack) != n || len(d.Hosts.Progress) != n || len(d.Hosts.Flags) != n || len(d.Hosts.Client) != n {
		t.Fatalf("columns are not equally long: %+v", d.Hosts)
	}
	for i, address := range d.Hosts.Address {
		d.at[address] = i
		if d.Hosts.Rack[i] >= len(d.Racks) || d.Hosts.Client[i] >= len(d.Clients) {
			t.Errorf("host %s is in rack %d and has client %d", address, d.Hosts.Rack[i], d.Hosts.Client[i])
		}
	}
	for _, lease := range d.Leases {
		if lease[0] >= n || lease[1] >= n || lease[2] < 0 || lease[2] > 1 {
			t.Errorf("lease %v of %d hosts", lease, n)
		}
	}
	return d
}

func (d *drawn) paths() string {
	var paths []string
	for _, r := range d.Racks {
		paths = append(paths, fmt.Sprintf("%q", r.Path))
	}
	return strings.Join(paths, " ")
}

func TestMapHasRacksHostsAndLeases(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	w.populate(t, h)
	w.tell(t, h, "192.0.2.1:1", 250, 0)
	d := w.drawn(t, h)
	if got := d.paths(); got != `"" "ams1/r1" "ams1/r2" "fra1/r1"` || !slices.Equal(d.Levels, []string{"site", "rack"}) || d.Size != 1000 || d.InfoHash != h || d.LeftOut != 0 {
		t.Errorf("racks %s, %+v", got, d.Map)
	}
	seeder, importer, other, stranger := d.at["10.1.1.1:6881"], d.at["10.1.2.1:6881"], d.at["10.1.2.2:6881"], d.at["192.0.2.1:1"]
	if d.Hosts.Progress[seeder] != 1000 || d.Hosts.Progress[importer] != 400 || d.Hosts.Progress[other] != 0 || d.Hosts.Progress[stranger] != 750 {
		t.Errorf("progress %v", d.Hosts.Progress)
	}
	if f := d.Hosts.Flags[seeder]; f&client.MapSeeder == 0 || f&client.MapCrossing == 0 || f>>client.MapReach < 1 {
		t.Errorf("flags of the seeder %b", f)
	}
	if f := d.Hosts.Flags[importer]; f&(client.MapSeeder|client.MapStranded|client.MapUnknown) != 0 || f&client.MapCrossing == 0 || f>>client.MapReach < 1 {
		t.Errorf("flags of the importer %b", f)
	}
	if name := d.Clients[d.Hosts.Client[importer]]; name != "Transmission 3.0.0" {
		t.Errorf("the client is %q", name)
	}
	if !slices.Contains(d.Leases, [3]int{importer, seeder, 1}) {
		t.Errorf("leases %v", d.Leases)
	}
	rack := d.Racks[2]
	if !slices.Equal(rack.Importers, []int{importer}) || len(rack.Standbys) != 1 || rack.Leechers != 3 || rack.Seeders != 0 || rack.Starving || rack.ImportedAtMost != 400 || !near(rack.Progress, 0.4/3) || rack.Leases == 0 {
		t.Errorf("%+v", rack)
	}
	if f := d.Hosts.Flags[rack.Standbys[0]]; f&client.MapStandby == 0 {
		t.Errorf("flags of the standby %b", f)
	}
	if r := d.Racks[1]; !slices.Equal(r.Exporters, []int{seeder}) || r.Seeders != 1 || !near(r.Progress, 1) {
		t.Errorf("%+v", r)
	}
	if r := d.Racks[0]; r.Leechers != 1 || len(r.Importers) != 0 || !near(r.Progress, 0.75) {
		t.Errorf("those whom nobody can locate: %+v", r)
	}
}

func TestMapShowsWhoIsCutOffFromSeeders(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	w.tell(t, h, "10.1.2.1:6881", 1000, 0)
	w.tell(t, h, "10.1.2.2:6881", bittorrent.LeftUnknown, 0)
	d := w.drawn(t, h)
	if !d.Racks[0].Starving || d.Hosts.Flags[0]&client.MapStranded == 0 || d.Hosts.Flags[1]&client.MapUnknown == 0 {
		t.Errorf("%+v, %b", d.Racks, d.Hosts.Flags)
	}
}

func TestMapOfWhatNobodyLocatesIsOneRack(t *testing.T) {
	w := newWorld(t, func(o *console.Options) { o.Roster = nil })
	h := bittorrent.InfoHash{9} // not listed
	for n := range 5000 {
		w.announce(t, h, fmt.Sprintf("10.0.%d.%d:1", n>>8, n&255), int64(n%2))
	}
	d := w.drawn(t, h)
	if d.paths() != `""` || len(d.Levels) != 0 || d.Size != 0 || d.InfoHash != h {
		t.Errorf("%+v", d.Racks)
	}
	if n := len(d.Hosts.Address); n != 4000 || d.LeftOut != 1000 || d.Racks[0].Leechers != 2500 || d.Racks[0].Seeders != 2500 || d.Racks[0].Progress != nil {
		t.Errorf("%d hosts, %d left out, %+v", n, d.LeftOut, d.Racks[0])
	}
}

func TestMapOfAHybridTorrentHasEachHostOnce(t *testing.T) {
	w := newLocatedWorld(t, nil)
	root, pieces := strings.Repeat("r", 32), strings.Repeat("p", 20)
	body := "d4:infod9:file treed1:ad0:d6:lengthi100e11:pieces root32:" + root + "eee6:lengthi100e12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:" + pieces + "ee"
	transfer, err := w.catalog.Add(t.Context(), "a.torrent", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	hashes := transfer.InfoHashes()
	for _, h := range hashes {
		w.tell(t, h, "10.1.1.1:1", 0, 0)
		w.tell(t, h, "10.1.2.1:1", 50, 0)
	}
	w.tell(t, hashes[1], "10.1.2.2:1", 50, 0)
	w.tell(t, hashes[1], "192.0.2.1:1", 50, 0)
	d := w.drawn(t, hashes[1])
	if d.InfoHash != hashes[0] || len(d.Hosts.Address) != 4 || d.LeftOut != 0 || d.paths() != `"" "ams1/r1" "ams1/r2"` || d.Racks[2].Leechers != 2 || d.Racks[1].Seeders != 1 {
		t.Errorf("%+v", d.Map)
	}
}

func TestMapIsGzippedForWhoAcceptsThatAndNotSentTwice(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	w.populate(t, h)
	ask := func(header map[string]string) *response {
		q := get("/api/v1/transfers/" + h.String() + "/map")
		q.header = header
		return w.do(t, q)
	}
	plain := ask(map[string]string{"Accept-Encoding": "identity"})
	for accept, zipped := range map[string]bool{"gzip": true, "br;q=1, GZIP ;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "br": false, "*;q=0": false} {
		sent, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1/transfers/"+h.String()+"/map", nil)
		if err != nil {
			t.Fatal(err)
		}
		sent.Header.Set("Accept-Encoding", accept)
		got := send(t, sent)
		body := got.body
		if is := got.header.Get("Content-Encoding") == "gzip"; is != zipped {
			t.Errorf("%s: gzipped %v", accept, is)
		} else if is {
			r, err := gzip.NewReader(bytes.NewReader(got.body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(r); err != nil {
				t.Error(err)
			}
		}
		if !bytes.Equal(body, plain.body) || got.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %s", accept, body)
		}
	}
	tag := plain.header.Get("ETag")
	if got := ask(map[string]string{"If-None-Match": `"x", ` + tag}); tag == "" || got.status != http.StatusNotModified || len(got.body) != 0 {
		t.Errorf("the same map again: %d %s", got.status, got.body)
	}
	w.tell(t, h, "10.1.2.2:6881", 900, 100)
	if got := ask(map[string]string{"If-None-Match": tag}); got.status != http.StatusOK || got.header.Get("ETag") == tag {
		t.Errorf("another map: %d", got.status)
	}
}

func TestMapOfAnUnknownTorrentIsNotFound(t *testing.T) {
	w := newLocatedWorld(t, nil)
	if got := w.do(t, get("/api/v1/transfers/"+strings.Repeat("ab", 20)+"/map")); got.status != http.StatusNotFound || got.problem(t).Detail == "" {
		t.Errorf("status %d, %s", got.status, got.body)
	}
	if _, err := w.client(t, "").Map(t.Context(), bittorrent.InfoHash{1}); err == nil {
		t.Error("the client has one")
	}
}

func TestClientReadsTheMap(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	w.populate(t, h)
	m, err := w.client(t, "").Map(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(m); err != nil || len(m.Hosts.Address) != 5 || !bytes.Contains(got, []byte(`"10.2.1.1:6881"`)) {
		t.Errorf("%s, %v", got, err)
	}
}
