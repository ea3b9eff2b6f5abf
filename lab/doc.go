// Package lab rolls a file out to real clients in a machine room made of network
// namespaces, and measures what crosses the uplinks of its racks. It holds the
// tracker to what docs/locality.md promises.
//
//	make lab                      the full table: an hour and a half, needs root
//	make lab LAB=-lab.quick       a minute or two, for development
//	make lab LAB='-run Survivors -lab.seeds 1 -lab.only strict -lab.keep DIR'
//	make lab LAB='-run Cluster'   five instances of a cluster: a quarter of an hour
//
// With -lab.keep, what trackers wrote down of each announce stays in a directory.
//
// # The machine room
//
// A rack is a bridge, its hosts are network namespaces on it, and its uplink is a
// veth to the bridge of the core, where the tracker is too. Each end of an uplink,
// and each end of a host's link, is shaped by tbf. The bytes that come in over an
// uplink are those that its veth counts, with all headers, acknowledgements and
// announces. Rack 0 holds the origin alone. The host 10.66.3.2 is the second of rack
// 3. There is no way out of the machine room, and nothing of it is outside of
// namespaces, which are removed when the test ends, however it ends.
//
// # A roll-out
//
// The origin seeds a private torrent and has announced. All other hosts run a client
// that has nothing to do, and are given the torrent at the same moment. uTP, LPD, PEX
// and DHT are off, so that the tracker alone names peers.
//
// The tracker runs in the namespace of the core, in a process of the test binary. It
// is waggle's own, with the frontends, over a store in memory, and with probes; or the
// same frontends over a store of package rival. It writes down whom it told of whom.
//
// # The parts
//
//	result.go          what a roll-out came to, tables, gates
//	rig_test.go        the machine room
//	tracker_test.go    the tracker, and what it wrote down
//	rollout_test.go    one roll-out
//	links_rig_test.go  four trackers with links, behind bridges and uplinks of their own
//	links_test.go      a leaf that was cut off (-lab.cut says for how long)
//	cluster_*_test.go  five instances of a cluster on one bridge, with real multicast: killed,
//	                   frozen, cut off, under loss, under attack
//	figures_test.go    what was measured, in a table at the end
//	*_test.go          clients, and what is tested
package lab
