package cluster

import (
	"net/netip"
	"testing"
	"time"

	"waggle/bittorrent"
)

type nobody struct{ Host }

func (nobody) Send(netip.AddrPort, ...[]byte) {}
func (nobody) Broadcast(...[]byte)            {}
func (nobody) Changed(*Row, time.Time)        {}
func (nobody) Finished(*Request, error)       {}
func (nobody) Happened(Event)                 {}
func (nobody) Random([]byte)                  {}

// TestMasterKnowsHowFarSlavesAre has a DS-done count once, and from when the request was taken up.
func TestMasterKnowsHowFarSlavesAre(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	n := New(Options{Times: Document, Lifetime: time.Hour, MaxRows: 10}, nobody{}, now, nil)
	at := netip.MustParseAddrPort("192.0.2.2:1")
	n.role, n.id, n.serving = Master, ID{1}, true
	n.members[at] = &member{addr: at, id: ID{2}, heard: now, standing: equal}
	for i, took := range []time.Duration{4 * time.Millisecond, 2 * time.Millisecond} {
		r := &Request{Source: netip.MustParseAddrPort("203.0.113.1:5")}
		a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{1}, Port: 6881, Left: 1}
		copy(r.Packet[:], bittorrent.AppendUDPAnnounce(nil, 7, uint32(i), &a, ""))
		n.Heard(now, r)
		n.Receive(now, at, appendSync(nil, typeReady, r.Transaction(), r.InfoHash()))
		now = now.Add(took)
		for range 2 {
			n.Receive(now, at, appendSync(nil, typeDone, r.Transaction()))
		}
	}
	if m := n.State().Members[0]; m.Done != 2 || m.Lag != 3*time.Millisecond {
		t.Errorf("%+v", m)
	}
	n.role = Slave
	if m := n.State().Members[0]; m.Done != 0 || m.Lag != 0 {
		t.Errorf("a slave knows %+v", m)
	}
}
