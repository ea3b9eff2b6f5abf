// Package roster decides who of a torrent's located peers may cross which uplink,
// and whom each of them is told of. It is the algorithm of waggle, and the same in
// every store and in the simulator.
//
// # The problem
//
// A rack of thirty hosts that fetch the same file from a random swarm draws it over
// its uplink some four to nine times. One copy is enough: the hosts of a rack can
// feed each other. A preference for near peers does not achieve it, because every
// host that has one far peer draws what it can from it; what protects an uplink is
// a bound on who has far peers at all.
//
// # The words
//
// A [locality.Group] is a rack, a row, a site; its uplink is the boundary around it.
// The height of a rack is 1. A peer's reach is the number of boundaries, counted
// from the rack outwards, that it may cross: 0 for most. An incomplete peer with a
// reach of h is an importer of its groups up to height h, a complete one an exporter
// of them; an importer gives to others what it has. A lease is the telling of a
// parent to a child across uplinks: the child is to download from the parent. A
// tracker cannot close connections, so a lease that is taken back while both live
// and one lacks data is an orphan, and counted.
//
// # The rules
//
// An incomplete group without a seeder has as many importers as its [swarm.Policy]
// says, chosen among its rack's peers, or among the importers of the groups inside
// it: whoever announces often, is reachable, lacks least, gives least, came first.
// One whose left stands still while its parents go on is replaced. A group's
// exporters are the first of its complete peers, and stay so for as long as they
// live.
//
// An importer's first parent lies outside all groups that it imports for, and leads
// to a seeder by first parents only: so data reaches every group. It is the one
// nearest to a seeder that has children to spare; an exporter is given twice as
// many as an importer has parents, and more only where a group would have none. The
// other parents are the least loaded, of groups that differ, nearest first. Both
// ends are told of a lease, so that both dial.
//
// Inside a rack a peer is told of up to fifteen others, half of them complete while
// it is not. They are chosen by jump consistent hashing (Lamping and Veach, 2014)
// of the peer over the dense list of its rack-mates: the same again at each
// announce, but for the few that came and went, in constant time.
//
// A peer that nobody can locate is a group of its own: it chooses at random among
// its kind, as everywhere, and has leases with located ones.
//
// # Several trackers
//
// Where several of them keep a roster of the same torrent, each takes in what peers
// said to others and what others decided (heard.go). Package store/shared keeps such
// rosters in step.
//
// # Time
//
// Whoever others depend on is told to announce often, and is gone after two such
// intervals of silence, or when [Roster.Probed] finds it dead twice. A client that
// keeps an interval of its own is known by it, and waited for longer.
//
// A Roster has no lock and reads no clock: its store calls it under the lock of the
// swarm, with the time of an announce.
package roster
