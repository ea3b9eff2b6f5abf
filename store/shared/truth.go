package shared

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"net/netip"
	"slices"

	"waggle/locality"
	"waggle/roster"
)

// truth is what this tracker knows of a torrent's shared values, and the roster that
// follows from them. A peer is a member of it that
//
//   - has a record without a location: it is unlocated, and known for its leases;
//   - has announced, and has a record: it is where, and of the kind, that the record
//     says, until a commit changes it;
//   - has announced where it is, and has no record: it has no roles.
//
// A record of a located peer that has not announced is litter: the peer left. Leases
// with peers that are no members do not count. So each commit leaves a set of records
// that agree with each other, and no announce without a commit can make two of them
// collide: it can only take some away.
//
// While an announce is decided, the roster runs ahead of the values: dirty is whose
// record may differ. Once they are committed, or settled back, both agree.
type truth struct {
	locate    func(path string) (*locality.Group, bool)
	roster    *roster.Roster
	announced map[netip.AddrPort]said
	records   map[netip.AddrPort]*role
	mentions  map[netip.AddrPort][]netip.AddrPort // whose records name a peer
	dirty     map[netip.AddrPort]struct{}
	strays    map[netip.AddrPort]struct{} // who announced in vain: they are nowhere, and have no record
	damaged   int                         // values that were left out
	now       int64                       // of the step under way, Unix nanoseconds

	changed []roster.Record // reused
	touched touched
}

// touched are the peers whose values changed, in the order of that.
type touched struct {
	order []netip.AddrPort
	how   map[netip.AddrPort]bool // true: the record, too
}

func newTouched() touched { return touched{how: map[netip.AddrPort]bool{}} }

func (t *touched) add(addr netip.AddrPort, record bool) {
	was, has := t.how[addr]
	if !has {
		t.order = append(t.order, addr)
	}
	t.how[addr] = was || record
}

func newTruth(r *roster.Roster, locate func(string) (*locality.Group, bool)) *truth {
	r.Keep()
	return &truth{
		locate: locate, roster: r,
		announced: map[netip.AddrPort]said{}, records: map[netip.AddrPort]*role{},
		mentions: map[netip.AddrPort][]netip.AddrPort{}, dirty: map[netip.AddrPort]struct{}{},
		strays:  map[netip.AddrPort]struct{}{},
		touched: newTouched(),
	}
}

// take takes in what a step wrote, and the answer to it. The error is of a value that
// a newer waggle wrote.
func (t *truth) take(u *Update, answer *Answer) error {
	if answer.Whole {
		t.dropOthers(answer)
	} else if err := t.enter(u.Announced, t.hear); err != nil {
		return err
	} else if !answer.Conflict {
		if err := t.enter(u.Commit, t.learn); err != nil {
			return err
		}
	}
	if err := t.enter(answer.Announced, t.hear); err != nil {
		return err
	}
	if err := t.enter(answer.Records, t.learn); err != nil {
		return err
	}
	t.settle()
	return nil
}

func (t *truth) enter(entries []Entry, one func(*Entry) error) error {
	for i := range entries {
		if err := one(&entries[i]); err != nil {
			return err
		}
	}
	return nil
}

// place returns the group of a path; foreign: this tracker's tree has none of it.
func (t *truth) place(path string) (g *locality.Group, _ string, foreign bool) {
	if path == "" {
		return nil, "", false
	}
	g, ok := t.locate(path)
	if !ok {
		return nil, path, true
	}
	return g, g.Path(), false
}

// dropOthers forgets the values that are not in an answer that has all.
func (t *truth) dropOthers(answer *Answer) {
	if len(t.announced)+len(t.records) == 0 {
		return
	}
	there := map[netip.AddrPort]bool{}
	for i := range answer.Announced {
		there[answer.Announced[i].Peer] = true
	}
	for _, addr := range sorted(t.announced) {
		if !there[addr] {
			delete(t.announced, addr)
			t.touched.add(addr, false)
		}
	}
	clear(there)
	for i := range answer.Records {
		there[answer.Records[i].Peer] = true
	}
	for _, addr := range sorted(t.records) {
		if !there[addr] {
			t.setRole(addr, nil)
		}
	}
}

// sorted returns the addresses of a map in their order, so that the same happens again
// in a test.
func sorted[V any](of map[netip.AddrPort]V) []netip.AddrPort {
	return slices.SortedFunc(maps.Keys(of), netip.AddrPort.Compare)
}

// hear enters an announced value.
func (t *truth) hear(e *Entry) error {
	was, had := t.announced[e.Peer]
	if e.Value == nil {
		if had {
			delete(t.announced, e.Peer)
			t.touched.add(e.Peer, false)
		}
		return nil
	}
	s, err := readAnnounced(e.Peer, e.Value)
	if err != nil {
		return t.leaveOut(err)
	}
	s.Location, s.path, s.foreign = t.place(s.path)
	if !had || s != was {
		t.announced[e.Peer] = s
		t.touched.add(e.Peer, false)
	}
	return nil
}

// learn enters a record.
func (t *truth) learn(e *Entry) error {
	was := t.records[e.Peer]
	if e.Value == nil {
		if was != nil {
			t.setRole(e.Peer, nil)
		}
		return nil
	}
	if was != nil && bytes.Equal(was.value, e.Value) {
		return nil
	}
	r, err := readRole(e.Peer, e.Value)
	if err != nil {
		return t.leaveOut(err)
	}
	r.Location, r.path, r.foreign = t.place(r.path)
	t.setRole(e.Peer, r)
	return nil
}

// leaveOut counts a value that nobody can read, and returns the error of one that only
// a newer waggle can.
func (t *truth) leaveOut(err error) error {
	if _, newer := err.(newerError); newer { //nolint:errorlint // it is made a line above, and not wrapped
		return err
	}
	t.damaged++
	return nil
}

func (t *truth) setRole(addr netip.AddrPort, r *role) {
	if was := t.records[addr]; was != nil {
		for _, named := range was.named() {
			t.unmention(named, addr)
		}
	}
	if t.touched.add(addr, true); r == nil {
		delete(t.records, addr)
		return
	}
	t.records[addr] = r
	for _, named := range r.named() {
		if !slices.Contains(t.mentions[named], addr) {
			t.mentions[named] = append(t.mentions[named], addr)
		}
	}
}

// named returns whom a record names.
func (r *role) named() []netip.AddrPort {
	if len(r.Orphans) == 0 {
		return r.Parents
	}
	return slices.Concat(r.Parents, r.Orphans)
}

func (t *truth) unmention(named, by netip.AddrPort) {
	some := t.mentions[named]
	if i := slices.Index(some, by); i >= 0 {
		some = slices.Delete(some, i, i+1)
	}
	if len(some) == 0 {
		delete(t.mentions, named)
	} else {
		t.mentions[named] = some
	}
}

// is returns what a peer is by the values; false: it is no member.
func (t *truth) is(addr netip.AddrPort) (h roster.Heard, record *roster.Record, member bool) {
	s, announced := t.announced[addr]
	r := t.records[addr]
	switch {
	case announced && s.foreign || r != nil && r.foreign:
		return h, nil, false
	case r != nil && r.Location == nil && !announced:
		h, known := t.roster.Known(addr)
		if !known {
			h = roster.Heard{Addr: addr, First: t.now, Last: t.now}
		}
		h.Kind, h.Location = r.kind, nil
		return h, &r.Record, true
	case r != nil && (r.Location == nil || announced):
		h = s.Heard
		h.Kind, h.Location = r.kind, r.Location
		return h, &r.Record, true
	case announced && s.Location != nil:
		return s.Heard, nil, true
	}
	return h, nil, false
}

// settle makes the roster agree with the values of the peers that were touched.
func (t *truth) settle() {
	touched := t.touched.order
	if len(touched) == 0 {
		return
	}
	if t.roster.Len() == 0 { // it is new: as if they had announced here
		slices.SortFunc(touched, func(a, b netip.AddrPort) int {
			return cmp.Or(cmp.Compare(t.announced[a].First, t.announced[b].First), a.Compare(b))
		})
	}
	t.collect()
	var reshaped []netip.AddrPort
	for _, addr := range touched {
		if t.reshape(addr, t.touched.how[addr]) {
			reshaped = append(reshaped, addr)
		}
	}
	t.link(reshaped)
	if len(touched) > largeAnswer {
		t.touched, t.changed = newTouched(), nil
		return
	}
	t.touched.order = touched[:0]
	clear(t.touched.how)
}

// undo lets settle bring those back to their values who have been decided.
func (t *truth) undo() {
	t.collect()
	for _, addr := range sorted(t.dirty) {
		t.touched.add(addr, true)
	}
}

// reshape makes a member what it is by the values, without its leases, and reports
// whether more than its figures changed.
func (t *truth) reshape(addr netip.AddrPort, anyhow bool) bool {
	h, record, member := t.is(addr)
	now, known := t.roster.Known(addr)
	delete(t.strays, addr)
	if !member {
		t.roster.Forget(addr)
		t.litter(addr)
		return known
	}
	t.roster.Take(&h)
	if known && !anyhow && now.Kind == h.Kind && now.Location == h.Location {
		return false
	}
	if record == nil {
		record = &roster.Record{Addr: addr}
	}
	t.roster.Assign(record)
	return true
}

// litter notes what should be removed of a peer that is no member.
func (t *truth) litter(addr netip.AddrPort) {
	s, announced := t.announced[addr]
	r := t.records[addr]
	switch {
	case announced && s.foreign, r != nil && r.foreign:
	case r != nil:
		t.dirty[addr] = struct{}{}
	case announced:
		t.strays[addr] = struct{}{}
	}
}

// link gives members that were reshaped their leases, and those who have leases with
// them.
func (t *truth) link(reshaped []netip.AddrPort) {
	if len(reshaped) == 0 {
		return
	}
	is := make(map[netip.AddrPort]bool, len(reshaped))
	for _, addr := range reshaped {
		is[addr] = true
	}
	for _, addr := range reshaped {
		for _, other := range t.mentions[addr] {
			if _, record, member := t.is(other); member && !is[other] {
				is[other] = true
				t.roster.Assign(record)
				reshaped = append(reshaped, other)
			}
		}
	}
	for _, addr := range reshaped {
		if _, record, member := t.is(addr); member && record != nil {
			t.roster.RestoreLeases(record)
			t.dirty[addr] = struct{}{} // some of whom it names may be gone
		}
	}
}

// collect notes whose records may have changed: where more have than a roster remembers,
// anybody's may.
func (t *truth) collect() {
	var missed bool
	if t.changed, missed = t.roster.Changes(t.changed[:0], math.MaxInt); missed {
		t.changed, _ = t.roster.RecordsBelow(t.changed[:0], math.MaxInt, math.MaxInt)
		for addr := range t.records {
			t.dirty[addr] = struct{}{}
		}
	}
	for i := range t.changed {
		t.dirty[t.changed[i].Addr] = struct{}{}
	}
}

// size is how many peers are held: members, and others of whom there is a value.
func (t *truth) size() int { return max(t.roster.Len(), len(t.announced), len(t.records)) }
