package interop

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// The liar joins a hub that is a leaf itself, so its peers are three links away from some.
func TestLeafThatLiesIsCappedAndRevokedWithItsPeersEverywhere(t *testing.T) {
	t.Parallel()
	const most = 50
	world, ams, fra := newHub(t, "world"), newHub(t, "ams"), newNode(t, "fra")
	link(t, world, ams, fra)
	all := []*node{world, ams, fra}
	hash := bittorrent.InfoHash{7}.String()
	const honest = 3 + 20
	var taken []netip.AddrPort
	for i, n := range all {
		n.come(t, caller{hash, uint16(1001 + i), 7})
	}
	for port := uint16(1101); len(taken) < honest-3; port++ {
		fra.come(t, caller{hash, port, 7})
		taken = append(taken, netip.AddrPortFrom(ipv4Loopback, port))
	}
	agree(t, relayLimit, all, hash, counts{incomplete: honest})

	liar := newPuppet(t)
	liar.join(t, ams.invite(t, "liar", "--peers", "50"))
	ams.waitForState(t, healLimit, "liar", "active")
	liar.tell(t, hash, swarm.PeerPut, strangers(4*most)...)
	agree(t, relayLimit, all, hash, counts{incomplete: honest + most})
	ams.said(t, "the link has brought as many peers as it may")
	ams.waitForLink(t, healLimit, "liar", "capped", func(l nodeLink) bool { return l.Peers == most && l.Capped >= 3*most })

	// It says that those are its peers that have announced to another tracker, and that one
	// of them left.
	liar.tell(t, hash, swarm.PeerPut, taken...)
	<-time.After(movesWithin)
	victim := netip.AddrPortFrom(ipv4Loopback, 1003)
	liar.tell(t, hash, swarm.PeerPut, victim)
	liar.tell(t, hash, swarm.PeerGone, victim)
	agree(t, relayLimit, all, hash, counts{incomplete: honest - 1 + most})

	ams.command(t, "link", "drop", "liar")
	agree(t, relayLimit, all, hash, counts{incomplete: honest - 1})
	ams.said(t, "a link was dropped with its peers")
	logged(t, "the liar", &liar.log, "revoked: ask the")
	fra.come(t, caller{hash, 1003, 7})
	agree(t, relayLimit, all, hash, counts{incomplete: honest})
}

func TestLeafThatFloodsIsShutOutAndOthersAreNotDisturbed(t *testing.T) {
	t.Parallel()
	hub, fra := newHub(t, "ams"), newNode(t, "fra")
	if err := fra.join(t, hub.invite(t, "fra", "--changes-per-second", "20")); err != nil {
		t.Fatal(err)
	}
	linked(t, hub, fra)
	all := []*node{hub, fra}
	flooded, other := bittorrent.InfoHash{8}.String(), bittorrent.InfoHash{9}.String()

	flood := newPuppet(t)
	flood.hears = withoutRate
	flood.join(t, hub.invite(t, "flood", "--changes-per-second", "20"))
	hub.waitForState(t, healLimit, "flood", "active")
	flood.tell(t, flooded, swarm.PeerPut, strangers(2000)...)
	const words = "more changes came through the link than it may bring"
	hub.waitForRefusal(t, "flood", words)
	hub.said(t, words)
	logged(t, "the one that floods", &flood.log, words)

	// One that has as much to say, and keeps to its limit, is waited for.
	const peers = 60
	for i := range peers {
		fra.come(t, caller{other, uint16(1001 + i), 7})
	}
	agree(t, healLimit, all, other, counts{incomplete: peers})
	hub.waitForState(t, relayLimit, "fra", "active")
	hub.waitForRefusal(t, "flood", words)
	hub.command(t, "link", "drop", "flood")
	agree(t, relayLimit, all, flooded, counts{})
}

func TestOtherVersionsAreRefusedInWords(t *testing.T) {
	t.Parallel()
	hub := newHub(t, "ams")
	for name, test := range map[string]struct {
		version byte
		remedy  string
	}{
		"older": {0, "update the other tracker, older"},
		"newer": {2, "update this tracker, which is linked with newer"},
	} {
		leaf := newPuppet(t)
		leaf.says = ofVersion(test.version)
		leaf.join(t, hub.invite(t, name))
		hub.waitForRefusal(t, name, test.remedy)
		hub.said(t, test.remedy)
		logged(t, name, &leaf.log, test.remedy)
	}

	// The real tracker is the leaf.
	old := newPuppet(t)
	old.says = ofVersion(0)
	leaf := newNode(t, "fra")
	if err := leaf.join(t, old.listen(t, "fra")); err != nil {
		t.Fatal(err)
	}
	const remedy = "the other end speaks version 0 of links, this node version 1: update the other tracker"
	leaf.said(t, remedy)
	logged(t, "the hub", &old.log, remedy)
	leaf.waitForRefusal(t, "hub", remedy)
	tries := len(old.opened)
	<-time.After(2 * time.Second)
	if more := len(old.opened) - tries; more > 1 || strings.Count(strings.Join(leaf.stderr.lines(), "\n"), remedy) > 5 {
		t.Errorf("the leaf, which has to wait for somebody, tried %d times in two seconds", more)
	}
}
