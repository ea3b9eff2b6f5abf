package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

// small is 8 racks of 8 hosts, whose uplinks are a quarter as fast as their hosts
// together, and a file of 60 pieces: ten seconds for a host on its own.
func small(t *testing.T) Options {
	t.Helper()
	return Options{Topology: grid(t, 0, 8, 8), Size: 60 << 20, Piece: 1 << 20, Seed: 7, Stagger: time.Second}
}

func grid(t *testing.T, rows, racks, hosts int) *Topology {
	t.Helper()
	topology, err := Grid(rows, racks, hosts, Both(6<<20), Both(int64(hosts)*6<<20/4))
	if err != nil {
		t.Fatal(err)
	}
	return topology
}

func run(t *testing.T, policy string, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), policy, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustEvent(t *testing.T, fate Fate, s string) Event {
	t.Helper()
	e, err := ParseEvent(fate, s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSameSeedGivesTheSameBytes(t *testing.T) {
	o := small(t)
	o.SlowShare = 0.3
	o.Late = Late{Share: 0.2, At: 5 * time.Second}
	o.Events = []Event{mustEvent(t, Kill, "representatives@6s")}
	result := func() string {
		reports, err := Compare(t.Context(), Policies, o)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(reports)
		if err != nil {
			t.Fatal(err)
		}
		var picture bytes.Buffer
		if err := errors.Join(WriteSVG(&picture, reports), WriteTable(&picture, reports)); err != nil {
			t.Fatal(err)
		}
		return string(text) + picture.String()
	}
	first := result()
	if second := result(); second != first {
		t.Error("the same seed gives another result")
	}
	if o.Seed++; result() == first {
		t.Error("another seed gives the same result")
	}
}

// finishedWorld runs a policy and returns the world as it is at the end.
func finishedWorld(t *testing.T, policy string, o Options) *world {
	t.Helper()
	if err := o.Check(policy); err != nil {
		t.Fatal(err)
	}
	c, err := newContender(policy, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.store.Close() })
	w, err := newWorld(&o, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestNothingIsMadeOutOfNothing(t *testing.T) {
	o := small(t)
	o.Topology = grid(t, 3, 9, 6)
	o.Size -= 12345 // the last piece is shorter
	o.Events = []Event{mustEvent(t, Kill, "row2/rack5@5s"), mustEvent(t, Leave, "representatives@6s")}
	o.Late = Late{Share: 0.1, At: 20 * time.Second}
	for _, policy := range Policies {
		w := finishedWorld(t, policy, o)
		into := make([]float64, len(w.nodes))
		for _, c := range w.crossed {
			w.crossInto(into, c)
		}
		got, gave := 0.0, 0.0
		for i := range w.hosts {
			h := &w.hosts[i]
			got, gave = got+h.got, gave+h.gave
			if h.finished >= 0 && (!h.complete || !hasAll(w, h) || math.Abs(h.got-float64(o.Size)) > float64(w.pieces)) {
				t.Errorf("%s: host %d is done with %.0f of %d bytes", policy, i, h.got, o.Size)
			}
			for _, e := range h.conns {
				w.crossInto(into, crossing{int32(i), w.edges[e].to, w.edges[e].total})
			}
		}
		if math.Abs(got-gave) > 1 {
			t.Errorf("%s: %.0f bytes were given and %.0f got", policy, gave, got)
		}
		for n := range w.nodes {
			if carried := w.network.carried[2*n+1]; math.Abs(carried-into[n]) > 1 {
				t.Errorf("%s: %.0f bytes went into %s, and its hosts' connections brought %.0f", policy, carried, w.nodes[n].path, into[n])
			}
		}
	}
}

// crossInto adds the bytes of a connection to the groups that they went into.
func (w *world) crossInto(into []float64, c crossing) {
	for a, b := w.hosts[c.from].rack, w.hosts[c.to].rack; a != b; a, b = w.nodes[a].up, w.nodes[b].up {
		into[b] += c.bytes
	}
}

func hasAll(w *world, h *host) bool {
	for p := range w.pieces {
		if !set(h.have, int32(p)) {
			return false
		}
	}
	return true
}

func TestStrictCarriesOneCopyIntoARackAndRandomMany(t *testing.T) {
	o := small(t)
	strict, random := run(t, "strict", o), run(t, "random", o)
	for _, r := range []*Report{strict, random, run(t, "balanced", o)} {
		if r.Finished != 63 || r.Behind != 0 || len(r.Done) != 63 || r.Last < 10 {
			t.Errorf("%s: %d of 63 are done, %d left behind, the last after %.1f s", r.Policy, r.Finished, r.Behind, r.Last)
		}
		if r.Policy == "balanced" && r.IntoMean > 2.1 {
			t.Errorf("balanced: %.2fx into a rack, want at most 2.1", r.IntoMean)
		}
	}
	if strict.IntoMean < 0.999 || strict.IntoMax > 1.2 {
		t.Errorf("strict: %.3fx into a rack and at most %.3fx, want 1 to 1.2", strict.IntoMean, strict.IntoMax)
	}
	if random.IntoMean < 3 {
		t.Errorf("random: %.2fx into a rack, want at least 3", random.IntoMean)
	}
}

func TestMoreImportersAndEdgesThanTheProfileSaysAreQuickerAndDearer(t *testing.T) {
	o := small(t)
	strict := run(t, "strict", o)
	o.Importers, o.Edges, o.Standby = 4, 6, 2
	if r := run(t, "strict", o); r.IntoMean <= 1.2*strict.IntoMean || r.Median >= strict.Median {
		t.Errorf("%.2fx and %.1f s with four importers, %.2fx and %.1f s with one", r.IntoMean, r.Median, strict.IntoMean, strict.Median)
	}
}

func TestKilledRepresentativesAreReplacedByWaggleAndNotByP2PTracker(t *testing.T) {
	o := small(t)
	o.Events = []Event{mustEvent(t, Kill, "representatives@6s")}
	for _, policy := range []string{"strict", "balanced", "parity"} {
		r := run(t, policy, o)
		if r.Killed == 0 || r.Behind != 0 || r.Finished+r.Killed != r.Hosts {
			t.Errorf("%s: %d killed, %d left behind", policy, r.Killed, r.Behind)
		}
	}
	if r := run(t, "p2ptracker", o); r.Killed < 14 || r.Behind == 0 {
		t.Errorf("p2ptracker: %d killed, %d left behind; want both of each rack, and others", r.Killed, r.Behind)
	}
}

func TestHostThatIsAloneInItsRackIsDone(t *testing.T) {
	o := small(t)
	o.Topology = grid(t, 0, 12, 1)
	for _, policy := range Policies {
		if r := run(t, policy, o); r.Behind != 0 || r.Finished != 11 {
			t.Errorf("%s: %d of 11 are done", policy, r.Finished)
		}
	}
}

func TestFortyRacksThatStartInTheSameInstantAreDone(t *testing.T) {
	o := small(t)
	o.Topology = grid(t, 4, 40, 4)
	o.Stagger = 0
	for _, policy := range []string{"strict", "balanced"} {
		if r := run(t, policy, o); r.Behind != 0 || r.IntoMax > 2.1 {
			t.Errorf("%s: %d left behind, at most %.2fx into a rack", policy, r.Behind, r.IntoMax)
		}
	}
}

func TestRacksFinishWithoutTheSeedsThatLeave(t *testing.T) {
	o := small(t)
	o.Topology = grid(t, 0, 4, 6)
	o.SeedTime = 2 * time.Second
	o.Late = Late{Share: 0.25, At: 90 * time.Second}
	r := run(t, "strict", o)
	if r.Behind != 0 || r.Last < 90 {
		t.Errorf("%d left behind, the last is done after %.1f s; want none, after those that are late", r.Behind, r.Last)
	}
	o = small(t)
	o.Events = []Event{mustEvent(t, Leave, "seeds@1s")} // the origin: what it gave is not all
	if r := run(t, "strict", o); r.Finished != 0 || r.Behind != r.Hosts {
		t.Errorf("%d are done with what one host gave in a second", r.Finished)
	}
	o.Events = []Event{mustEvent(t, Leave, "origin@2m")}
	if r := run(t, "strict", o); r.Behind != 0 {
		t.Errorf("%d left behind by an origin that left when all were done", r.Behind)
	}
}

func TestClientsThatAnnounceSeldomAreDoneToo(t *testing.T) {
	o := small(t)
	o.SlowShare = 1
	o.Events = []Event{mustEvent(t, Kill, "representatives@6s")}
	r := run(t, "strict", o)
	if r.Behind != 0 {
		t.Errorf("%d left behind", r.Behind)
	}
	o.SlowShare = 0
	if quick := run(t, "strict", o); quick.Last >= r.Last {
		t.Errorf("with slow clients the last is done after %.1f s, without after %.1f s", r.Last, quick.Last)
	}
}

func TestUplinksOfRowsAreCountedAndLimit(t *testing.T) {
	o := small(t)
	o.Topology = grid(t, 2, 8, 4)
	for i := range o.Topology.Groups {
		o.Topology.Groups[i].Uplink = Both(1 << 20)
	}
	r := run(t, "strict", o)
	if u := r.Uplinks[0]; u.Path != "row1" || u.Height != 2 || !u.Origin || u.Out < float64(o.Size) {
		t.Errorf("%+v, want row 1, with the origin inside, and a file or more out of it", u)
	}
	if r.Behind != 0 || r.Last < 60 {
		t.Errorf("%d left behind, the last after %.1f s; a file takes a minute across a row's uplink", r.Behind, r.Last)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, "strict", small(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it is cancelled", err)
	}
}

func TestLimitEndsARunWithWhatThereIs(t *testing.T) {
	o := small(t)
	o.Limit = 5 * time.Second
	if r := run(t, "strict", o); r.Behind != r.Hosts || r.Last != 0 {
		t.Errorf("%d of %d left behind after 5 of 10 seconds", r.Behind, r.Hosts)
	}
}

func TestProgressEndsWithEverybody(t *testing.T) {
	o := small(t)
	var last Progress
	o.Progress = func(p Progress) { last = p }
	run(t, "balanced", o)
	if last.Policy != "balanced" || last.Done != 63 || last.Hosts != 63 {
		t.Errorf("%+v", last)
	}
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"topology is missing":  func(o *Options) { o.Topology = nil },
		"pieces of 16 KiB":     func(o *Options) { o.Piece = 1000 },
		"at least a byte":      func(o *Options) { o.Size = 0 },
		"take larger pieces":   func(o *Options) { o.Size, o.Piece = 1<<49, 16<<10 },
		"at most 1000":         func(o *Options) { o.Connections = 5000 },
		"want 0 to 1000":       func(o *Options) { o.Edges = -1 },
		"at least a second":    func(o *Options) { o.Active = time.Millisecond },
		"want 0 to 1":          func(o *Options) { o.SlowShare = 2 },
		"below 0":              func(o *Options) { o.Stagger = -1 },
		"the path of a group":  func(o *Options) { o.Events = []Event{{Kill, "rack99", 0}} },
		"no fate":              func(o *Options) { o.Events = []Event{{"hug", "origin", 0}} },
		"rack3 have no speed":  func(o *Options) { o.Topology.Groups[2].Host = Speed{} },
		"nothing to pass on":   func(o *Options) { o.Topology = &Topology{Levels: []string{"rack"}} },
		"is there twice":       func(o *Options) { o.Topology.Groups[2].Name = "rack1" },
		"no hosts beside them": func(o *Options) { o.Topology.Levels = []string{"row", "rack"} },
	} {
		o := small(t)
		change(&o)
		if _, err := Run(t.Context(), "strict", o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	if _, err := Run(t.Context(), "nix", small(t)); err == nil || !strings.Contains(err.Error(), "subnet-first") {
		t.Errorf("%v, want the policies that there are", err)
	}
}

func TestPictureIsWellFormedAndNeedsNothingElse(t *testing.T) {
	reports, err := Compare(t.Context(), Policies, small(t))
	if err != nil {
		t.Fatal(err)
	}
	reports = append(reports, &Report{Policy: "<never>", Size: 1})
	var b bytes.Buffer
	if err := WriteSVG(&b, reports); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(b.Bytes())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, b.String())
		}
	}
	text := strings.ReplaceAll(b.String(), `xmlns="http://www.w3.org/2000/svg"`, "")
	if strings.Contains(text, "http") || strings.Contains(text, "NaN") || !strings.Contains(text, "@media(prefers-") {
		t.Errorf("the picture refers to something, or has no numbers, or is for light screens alone: %s", text)
	}
}
