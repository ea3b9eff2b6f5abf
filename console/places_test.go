package console_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console"
	"waggle/console/client"
)

func (w *locatedWorld) places(t *testing.T, h bittorrent.InfoHash) map[string]client.Place {
	t.Helper()
	page := decode[client.PlacePage](t, w.do(t, get("/api/v1/transfers/"+h.String()+"/places")))
	all := map[string]client.Place{}
	for _, p := range page.Places {
		all[p.Path] = p
	}
	if !slices.IsSortedFunc(page.Places, func(a, b client.Place) int { return strings.Compare(a.Path, b.Path) }) || page.Next != "" || len(all) != len(page.Places) {
		t.Errorf("the page is %+v", page)
	}
	return all
}

func near(share *float64, want float64) bool { return share != nil && math.Abs(*share-want) < 1e-9 }

func TestPlacesTellWhatATransferHasInEachGroup(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	w.populate(t, h)
	places := w.places(t, h)
	if len(places) != 5 {
		t.Fatalf("places %+v", places)
	}
	none := []string{}
	rack := places["ams1/r2"]
	if !near(rack.Progress, 1-2600./3000) {
		t.Errorf("progress %+v", rack)
	}
	rack.Progress = nil
	if !slices.Equal(rack.Importers, []string{"10.1.2.1:6881"}) || len(rack.Standbys) != 1 || !slices.Equal(rack.Exporters, none) || rack.Exporters == nil {
		t.Errorf("roles %+v", rack)
	}
	rack.Importers, rack.Exporters, rack.Standbys = nil, nil, nil
	got, want := fmt.Sprintf("%+v", rack), fmt.Sprintf("%+v", client.Place{
		InfoHash: h, Path: "ams1/r2", Level: "rack", Height: 1, Leechers: 3, Left: 2600, Leases: 1, ImportedAtMost: 400,
	})
	if got != want {
		t.Errorf("have %s\nwant %s", got, want)
	}
	if p := places["ams1"]; p.Level != "site" || p.Height != 2 || p.Leechers != 3 || p.Seeders != 1 || !slices.Equal(p.Exporters, []string{"10.1.1.1:6881"}) || !near(p.Progress, 1-2600./4000) {
		t.Errorf("site %+v", p)
	}
	if p := places["ams1/r1"]; p.Seeders != 1 || !near(p.Progress, 1) || p.Starving {
		t.Errorf("the rack of the seeder %+v", p)
	}
}

func TestPlaceWithoutAWayToASeederIsStarving(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	w.tell(t, h, "10.1.2.1:6881", 1000, 0)
	if p := w.places(t, h)["ams1/r2"]; !p.Starving || p.Waiting {
		t.Errorf("%+v", p)
	}
}

func TestPeerThatCannotSayWhatItLacksCountsAsOneThatHasNothing(t *testing.T) {
	w := newLocatedWorld(t, nil)
	listed, open := w.add(t, "image.iso").InfoHash, bittorrent.InfoHash{1}
	for _, h := range []bittorrent.InfoHash{listed, open} {
		w.tell(t, h, "10.1.2.1:6881", bittorrent.LeftUnknown, 0)
		w.tell(t, h, "10.1.2.2:6881", 250, 0)
		w.tell(t, h, "10.1.2.3:6881", 0, 0)
	}
	if p := w.places(t, listed)["ams1/r2"]; p.Left != 1250 || !near(p.Progress, 1-1250./3000) {
		t.Errorf("%+v", p)
	}
	if p := w.places(t, open)["ams1/r2"]; p.Left != 250 || p.Progress != nil || p.Leechers != 2 {
		t.Errorf("without a size %+v", p)
	}
}

func TestPlacesOfBothSwarmsOfAHybridTorrentAreListed(t *testing.T) {
	w := newLocatedWorld(t, nil)
	root, pieces := strings.Repeat("r", 32), strings.Repeat("p", 20)
	body := "d4:infod9:file treed1:ad0:d6:lengthi100e11:pieces root32:" + root + "eee6:lengthi100e12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:" + pieces + "ee"
	transfer, err := w.catalog.Add(t.Context(), "a.torrent", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for n, h := range transfer.InfoHashes() {
		w.tell(t, h, fmt.Sprintf("10.1.2.%d:1", n+1), 50, 0)
	}
	for n, h := range transfer.InfoHashes() {
		page := decode[client.PlacePage](t, w.do(t, get("/api/v1/transfers/"+h.String()+"/places")))
		if len(page.Places) != 4 || page.Places[0].InfoHash == page.Places[2].InfoHash {
			t.Errorf("places %+v", page.Places)
		}
		for peer, h := range transfer.InfoHashes() {
			got := w.do(t, get(fmt.Sprintf("/api/v1/transfers/%v/peers/10.1.2.%d:1/explanation", transfer.InfoHashes()[n], peer+1)))
			if e := decode[client.Explanation](t, got); got.status != 200 || e.InfoHash != h {
				t.Errorf("explanation %d, %s", got.status, got.body)
			}
		}
	}
}

func TestPlacesHavePages(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	w.populate(t, h)
	for limit := 1; limit < 7; limit++ {
		var paths []string
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			page := decode[client.PlacePage](t, w.do(t, get(fmt.Sprintf("/api/v1/transfers/%v/places?limit=%d&cursor=%s", h, limit, cursor))))
			for _, p := range page.Places {
				paths = append(paths, p.Path)
			}
			cursor = page.Next
		}
		if got := strings.Join(paths, ","); got != "ams1,ams1/r1,ams1/r2,fra1,fra1/r1" {
			t.Errorf("with %d a page: %s", limit, got)
		}
	}
	if got, err := w.client(t, "").Places(t.Context(), h); err != nil || len(got) != 5 {
		t.Errorf("the client has %+v, %v", got, err)
	}
}

func TestTorrentWithoutLocatedPeersHasNoPlaces(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "image.iso").InfoHash
	w.tell(t, h, "192.0.2.1:1", 1000, 0)
	without := newWorld(t, func(o *console.Options) { o.Roster = nil })
	without.add(t, "image.iso")
	for _, w := range []*world{w.world, without} {
		got := w.do(t, get("/api/v1/transfers/"+h.String()+"/places"))
		if page := decode[client.PlacePage](t, got); got.status != http.StatusOK || len(page.Places) != 0 || page.Places == nil {
			t.Errorf("status %d, %s", got.status, got.body)
		}
	}
}

func TestExplanationSaysWhyAPeerIsToldOfWhom(t *testing.T) {
	w := newLocatedWorld(t, nil)
	for _, h := range []bittorrent.InfoHash{w.add(t, "image.iso").InfoHash, {7}} { // the other one is not listed
		w.populate(t, h)
		e, err := w.client(t, "").Explain(t.Context(), h, mustAddrPort("10.1.2.1:6881"))
		if err != nil {
			t.Fatal(err)
		}
		if e.InfoHash != h || e.Address != "10.1.2.1:6881" || e.Location != "ams1/r2" || e.Kind != "leecher" || e.Left == nil || *e.Left != 600 ||
			e.Reach < 1 || e.Pace != "active" || e.Depth != 1 || e.Health != "unknown" || e.Client != "Transmission 3.0.0" || e.ID == "" || e.FirstSeen.IsZero() || !e.LastSeen.After(e.FirstSeen) {
			t.Errorf("explanation %+v", e)
		}
		want := client.Told{Address: "10.1.1.1:6881", Location: "ams1/r1", Kind: "seeder", Why: "source", Children: e.Told[0].Children}
		if e.Told[0] != want || e.Told[0].Children < 1 || len(e.Told) < 3 || len(e.Orphans) != 0 {
			t.Errorf("told of %+v", e.Told)
		}
		if all := strings.Join(e.Sentences, "\n"); !strings.Contains(all, "It is an importer of ams1/r2") || !strings.Contains(all, "Its source is 10.1.1.1:6881") {
			t.Errorf("in words %s", all)
		}
		if e, err := w.client(t, "").Explain(t.Context(), h, mustAddrPort("[2001:db8::3]:6881")); err != nil || e.Location != "ams1/r2" {
			t.Errorf("of IPv6 %+v, %v", e, err)
		}
	}
}

func TestExplanationThatCannotBeGivenSaysWhy(t *testing.T) {
	on, off := newLocatedWorld(t, nil), newWorld(t, nil)
	located, unlocated := on.add(t, "a").InfoHash, on.add(t, "b").InfoHash
	off.add(t, "b")
	on.populate(t, located)
	on.tell(t, located, "10.1.2.2:6881", 0, 0)
	on.tell(t, located, "192.0.2.1:1", 0, 0)
	on.tell(t, unlocated, "192.0.2.1:1", 0, 0)
	off.announce(t, unlocated, "192.0.2.1:1", 0)
	for name, test := range map[string]struct {
		w      *world
		h      bittorrent.InfoHash
		peer   string
		status int
		say    string
	}{
		"no such torrent":  {on.world, bittorrent.InfoHash{1}, "10.1.2.1:6881", 404, "no such torrent"},
		"no such peer":     {on.world, located, "10.1.2.9:6881", 404, "10.1.2.9:6881 is no peer of this torrent"},
		"unlocated peer":   {on.world, located, "192.0.2.1:1", 404, "192.0.2.1:1 is not located"},
		"nobody located":   {on.world, unlocated, "192.0.2.1:1", 404, "no peer of this torrent is located"},
		"locality off":     {off, unlocated, "192.0.2.1:1", 404, "set locality.sources"},
		"no port":          {on.world, located, "10.1.2.1", 422, "IP:PORT"},
		"no address":       {on.world, located, "x:1", 422, "path.address"},
		"too long a thing": {on.world, located, strings.Repeat("1", 65), 422, "path.address"},
	} {
		got := test.w.do(t, get("/api/v1/transfers/"+test.h.String()+"/peers/"+test.peer+"/explanation"))
		if p := got.problem(t); got.status != test.status || !strings.Contains(p.Error(), test.say) {
			t.Errorf("%s: status %d, %s; want %d and %q", name, got.status, got.body, test.status, test.say)
		}
	}
}

func TestPlacesAndExplanationsAreForThoseWhoMayReadPeers(t *testing.T) {
	w := newLocatedWorld(t, func(o *console.Options) { o.Token = token })
	h := w.add(t, "a").InfoHash
	w.populate(t, h)
	for _, path := range []string{"transfers/" + h.String() + "/places", "transfers/" + h.String() + "/peers/10.1.2.1:6881/explanation", "locality", "locality/10.1.2.1"} {
		q := get("/api/v1/" + path)
		if got := w.do(t, q); got.status != http.StatusOK {
			t.Errorf("%s from here: %d %s", path, got.status, got.body)
		}
		q.host = "tracker.example"
		if got := w.do(t, q); got.status != http.StatusUnauthorized {
			t.Errorf("%s from elsewhere: %d %s", path, got.status, got.body)
		}
	}
	if got := w.do(t, edit(h, `{"profile":"parity"}`)); got.status != http.StatusUnauthorized || w.catalog.Profile(&h) != "" {
		t.Errorf("a profile without the token: %d %s", got.status, got.body)
	}
}

func edit(h bittorrent.InfoHash, body string) request {
	return request{
		method: http.MethodPatch, path: "/api/v1/transfers/" + h.String(), body: []byte(body),
		header: map[string]string{"Content-Type": "application/json"},
	}
}

func TestProfileOfATransferIsSetAndChanged(t *testing.T) {
	w := newLocatedWorld(t, nil)
	c := w.client(t, "")
	uploaded, err := c.UploadWithProfile(t.Context(), "a.torrent", metainfo("a"), "parity")
	if err != nil || uploaded.Profile != "parity" || w.catalog.Profile(&uploaded.InfoHash) != "parity" {
		t.Errorf("%+v, %v", uploaded, err)
	}
	for _, profile := range []string{"balanced", ""} {
		if got, err := c.SetProfile(t.Context(), uploaded.InfoHash, profile); err != nil || got.Profile != profile || w.catalog.Profile(&uploaded.InfoHash) != profile {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got := w.do(t, edit(uploaded.InfoHash, `{"profile":"strict"}`)); got.status != 200 || decode[client.Transfer](t, got).Profile != "strict" {
		t.Errorf("status %d, %s", got.status, got.body)
	}
	if got, err := c.Named(t.Context(), "a"); err != nil || len(got) != 1 || got[0].Profile != "strict" {
		t.Errorf("in the list %+v, %v", got, err)
	}
}

func TestChangeOfATransferThatCannotBeChangesNothing(t *testing.T) {
	w := newLocatedWorld(t, nil)
	h := w.add(t, "a").InfoHash
	withType := edit(h, `{"profile":"strict"}`)
	withType.header = map[string]string{"Content-Type": "text/plain"}
	for name, test := range map[string]struct {
		q      request
		status int
		say    string
	}{
		"unknown torrent": {edit(bittorrent.InfoHash{1}, `{"profile":"strict"}`), 404, "no such torrent"},
		"unknown profile": {edit(h, `{"profile":"lax"}`), 422, "strict, balanced, parity"},
		"long profile":    {edit(h, `{"profile":"`+strings.Repeat("x", 100)+`"}`), 422, "body.profile"},
		"no profile":      {edit(h, `{}`), 422, "profile"},
		"more":            {edit(h, `{"profile":"strict","active":false}`), 422, "active"},
		"no JSON":         {edit(h, `profile`), 400, ""},
		"nothing":         {edit(h, ``), 400, "body is required"},
		"large":           {edit(h, `{"profile":"`+strings.Repeat("x", 5000)+`"}`), 413, ""},
		"other type":      {withType, 415, ""},
	} {
		if got := w.do(t, test.q); got.status != test.status || !strings.Contains(got.problem(t).Error(), test.say) {
			t.Errorf("%s: status %d, %s; want %d and %q", name, got.status, got.body, test.status, test.say)
		}
	}
	if profile := w.catalog.Profile(&h); profile != "" {
		t.Errorf("the profile is %q", profile)
	}
}

func TestUploadThatGoesAroundTheTrackerIsWarnedOf(t *testing.T) {
	private := strings.Replace(string(metainfo("a")), "aaee", "aa7:privatei1eee", 1)
	seeded := strings.TrimSuffix(strings.Replace(private, "1:a", "1:b", 1), "e") + "8:url-list18:http://seed.test/b" + "e"
	on, off := newLocatedWorld(t, nil), newWorld(t, nil)
	for _, test := range []struct {
		w       *world
		body    string
		profile string
		say     []string
	}{
		{on.world, string(metainfo("c")), "strict", []string{"not private (BEP 27)"}},
		{on.world, private, "strict", nil},
		{on.world, seeded, "", []string{"web seeds"}},
		{off, string(metainfo("c")), "", nil},
		{off, private, "strict", []string{"locality is off"}},
	} {
		got, err := test.w.client(t, "").UploadWithProfile(t.Context(), "a.torrent", []byte(test.body), test.profile)
		if err != nil || len(got.Warnings) != len(test.say) {
			t.Errorf("%s: %q, %v", test.body, got.Warnings, err)
			continue
		}
		for i, say := range test.say {
			if !strings.Contains(got.Warnings[i], say) {
				t.Errorf("%s: %q, want %q", test.body, got.Warnings, say)
			}
		}
	}
}

func TestCatalogueWithoutProfilesRefusesThem(t *testing.T) {
	store, err := catalog.Open(t.Context(), catalog.Options{Store: catalog.NewMemory(1 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	w := newWorld(t, func(o *console.Options) { o.Catalog = store })
	if got := w.do(t, upload("a.torrent&profile=strict", metainfo("a"))); got.status != 422 || store.Len() != 0 {
		t.Errorf("status %d, %s", got.status, got.body)
	}
}
