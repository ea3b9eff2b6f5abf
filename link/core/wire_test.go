package core

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"waggle/bittorrent"
	"waggle/swarm"
)

// randomChange draws a change of any kind.
func randomChange(r *rand.Rand, base int64) change {
	c := change{what: what(r.IntN(4)), origin: Origin(1 + r.IntN(4)), age: r.Uint64N(100_000)}
	if c.what == whatCount {
		c.stamp = Stamp(1 + r.Uint32N(math.MaxUint32))
		c.addr = counterAddr(c.origin)
		return c
	}
	c.addr, c.port = addrOf(r.IntN(1<<24)), uint16(1+r.IntN(65535))
	if r.IntN(3) == 0 {
		c.addr[0] = 0x20
	}
	c.stamp = Stamp(base+int64(r.IntN(100_000))-50_000)<<stampBits | Stamp(r.IntN(2)*r.IntN(1<<stampBits))
	if c.what == whatGone {
		c.older = r.Uint64N(100)
		return c
	}
	c.kind = swarm.Kind(r.IntN(3))
	c.left, c.uploaded, c.downloaded = r.Int64N(1<<r.IntN(62)+1), r.Int64(), r.Int64N(1000)
	if r.IntN(4) == 0 {
		c.left = bittorrent.LeftUnknown
	}
	if c.what == whatRefresh {
		c.check = uint16(r.Uint32())
		return c
	}
	binary.BigEndian.PutUint64(c.id[4:], r.Uint64())
	c.key = r.Uint32()
	return c
}

func TestChangesAreReadAsTheyWereWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const base = 1_800_000_000_000
	for range 2000 {
		var out, in origins
		out.reset()
		in.reset()
		var b []byte
		var want []change
		for range r.IntN(20) {
			c := randomChange(r, base)
			want = append(want, c)
			b = c.append(b, base, &out)
		}
		rd := reader{b: b}
		for i := range want {
			var got change
			if got.read(&rd, base, &in); got != want[i] {
				t.Fatalf("read %+v, want %+v", got, want[i])
			}
		}
		if err := rd.end(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMoreOriginsThanAMessageKnowsAreWrittenAgain(t *testing.T) {
	var out, in origins
	out.reset()
	in.reset()
	var b []byte
	for i := range 1000 {
		b = out.append(b, Origin(1+i%700))
	}
	r := reader{b: b}
	for i := range 1000 {
		if got := in.read(&r); got != Origin(1+i%700) || r.bad {
			t.Fatalf("origin %d is read as %d", 1+i%700, got)
		}
	}
}

func TestMessagesAreReadAsTheyWereWritten(t *testing.T) {
	h := hello{origin: 5, clock: 1234, wants: modeList, offers: modeAll, rate: 300, name: "one", software: "two"}
	if got, err := readHello(h.message()[1:]); err != nil || got != h {
		t.Errorf("hello %+v, %v", got, err)
	}
	y := bye{code: ReasonClock, words: "set it"}
	if got, err := readBye(y.message()[1:]); err != nil || got != y {
		t.Errorf("bye %+v, %v", got, err)
	}
	hb := heartbeat{ack: 1, clock: 2, flags: 3, told: 4, all: 5, interest: 6, entries: 700}
	if got, err := readHeartbeat(hb.append(nil)); err != nil || got != hb {
		t.Errorf("heartbeat %+v, %v", got, err)
	}
	i := interest{version: 3, op: interestRemove, hashes: make([]byte, 40)}
	if got, err := readInterest(i.append(nil)); err != nil || !reflect.DeepEqual(got, i) {
		t.Errorf("interest %+v, %v", got, err)
	}
	f := FileMessage{Op: 9, Hash: someHash, Data: []byte("data")}
	if got, err := readFile(f.append(nil)); err != nil || !reflect.DeepEqual(got, f) {
		t.Errorf("file %+v, %v", got, err)
	}
	for _, a := range []ask{
		{heal: 1, number: 2, what: askBuckets},
		{what: askPage, bucket: 7, begin: true},
		{what: askPage, bucket: 7, after: someHash},
		{what: askParts, hash: someHash},
		{what: askTorrents, hashes: []bittorrent.InfoHash{{1}, {2}}},
		{what: askPeers, hash: someHash, parts: [32]byte{1, 31: 2}},
	} {
		if got, err := readAsk(a.append(nil)); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("ask %+v, %v, want %+v", got, err, a)
		}
	}
}

func TestGarbledMessagesAreRefused(t *testing.T) {
	h := hello{origin: 5, wants: modeAll}
	good := h.message()[1:]
	edited := func(at int, to byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "another magic": edited(0, 'X'), "no origin": edited(11, 0), "unknown mode": edited(20, 9),
		"a byte short": good[:len(good)-1], "a byte more": append(append([]byte(nil), good...), 0),
	} {
		if _, err := readHello(b); !errors.Is(err, errGarbled) {
			t.Errorf("hello, %s: %v", name, err)
		}
	}
	if _, err := readHello(edited(3, 9)); err != versionError(9) { //nolint:errorlint // it is not wrapped
		t.Errorf("version 9: %v", err)
	}
	const base = 1_800_000_000_000
	var o origins
	o.reset()
	c := change{what: whatPut, addr: addrOf(1), port: 1, origin: 1, stamp: stampOf(base)}
	put := c.append(nil, base, &o)
	for name, edit := range map[string]func(b []byte) []byte{
		"unused bit":         func(b []byte) []byte { b[0] |= changeNone; return b },
		"no kind of peer":    func(b []byte) []byte { b[0] |= 3 << 2; return b },
		"no port":            func(b []byte) []byte { b[5], b[6] = 0, 0; return b },
		"an unknown origin":  func(b []byte) []byte { b[7] = 9; return b },
		"the origin of none": func(b []byte) []byte { b[0] |= changeSame; return b },
		"short":              func(b []byte) []byte { return b[:len(b)-1] },
	} {
		var got change
		var in origins
		in.reset()
		r := reader{b: edit(append([]byte(nil), put...))}
		if got.read(&r, base, &in); r.end() == nil {
			t.Errorf("a change with %s is read as %+v", name, got)
		}
	}
}

// FuzzChanges reads any bytes as changes. What is read means the same when written
// again.
func FuzzChanges(f *testing.F) {
	const base = 1_800_000_000_000
	r := rand.New(rand.NewPCG(2, 2))
	for range 8 {
		var o origins
		o.reset()
		var b []byte
		for range 3 {
			c := randomChange(r, base)
			b = c.append(b, base, &o)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in, out, again origins
		in.reset()
		out.reset()
		again.reset()
		rd := reader{b: b}
		var read []change
		var written []byte
		for len(rd.b) > 0 {
			var c change
			if c.read(&rd, base, &in); rd.bad {
				break
			}
			read = append(read, c)
			written = c.append(written, base, &out)
		}
		rd = reader{b: written}
		for _, want := range read {
			var got change
			if got.read(&rd, base, &again); got != want || rd.bad {
				t.Fatalf("%+v was written and read as %+v", want, got)
			}
		}
	})
}

// FuzzReceive gives a node any messages: it may close the link, and must not crash,
// nor keep more than its bounds.
func FuzzReceive(f *testing.F) {
	p := newPuppet(f, Options{})
	p.greetAll(LinkOptions{})
	p.local(1, swarm.PeerPut)
	p.node.Local(p.now, &swarm.Change{Kind: swarm.DownloadCount, InfoHash: someHash})
	p.say(kindAsk, (&ask{what: askBuckets, number: 1}).append(nil))
	p.say(kindAsk, (&ask{what: askPage, bucket: 5, begin: true}).append(nil))
	p.say(kindAsk, (&ask{what: askParts, hash: someHash}).append(nil))
	p.say(kindAsk, (&ask{what: askTorrents, hashes: []bittorrent.InfoHash{someHash}}).append(nil))
	all := ask{what: askPeers, hash: someHash}
	for i := range all.parts {
		all.parts[i] = 0xff
	}
	p.say(kindAsk, all.append(nil))
	p.pass(3e9)
	for _, b := range p.sent {
		f.Add(b, b[:min(len(b), 20)])
	}
	for _, i := range []interest{{version: 1, op: interestSet, hashes: someHash[:]}, {version: 2, op: interestAdd, hashes: make([]byte, 20)}} {
		f.Add(i.append(begin(kindInterest, 30)), []byte{byte(kindBye), 1, 0})
	}
	f.Add((&FileMessage{Hash: someHash}).append(begin(kindFile, 40)), (&hello{origin: 4, wants: modeAll}).message())
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, h := range []hello{{wants: modeAll, offers: modeAll}, {wants: modeList, offers: modeList}} {
			p := newPuppet(t, Options{MaxPeers: 100})
			p.greet(LinkOptions{Receive: true, Send: true, FilesIn: true}, h)
			p.local(1, swarm.PeerPut)
			for _, b := range [][]byte{first, second} {
				if len(b) >= 5 {
					p.seq++
					b = append([]byte(nil), b...)
					binary.BigEndian.PutUint32(b[1:], p.seq)
				}
				p.node.Receive(p.now, p.link, b)
				p.wait(1e9)
			}
			if g := p.node.Figures(); g.Peers > 100 || g.Departed > 100 || g.Counters > 100 {
				t.Fatalf("%+v", g)
			}
			p.wait(20e9)
		}
	})
}
