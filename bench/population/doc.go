// Package population says who announces under load: how many torrents and peers
// there are, how the peers spread over the torrents, and which of them speaks
// next.
//
// A [Distribution] gives each torrent a weight. [New] draws a torrent for each
// peer from those weights, with an [Alias] table, which takes constant time a
// draw. A peer then stays with its torrent, as real ones do: announces that are
// drawn uniformly from the peers fall on torrents by weight, and the tracker holds
// as many peers as there are here, however long the load goes on.
//
// # Groups
//
// Trackers know a peer by the address that its packets come from and the port that
// it announces. A [Group] is the peers behind one source address; a load generator
// opens a socket for each group. Within a group no two peers of a torrent have the
// same port.
//
// # Scripts
//
// A [Script] says which peer of a group announces next, and what. There are three:
// each peer once, to fill a tracker; any peer, for ever; and any peer with churn,
// where peers join, complete, stop and fall silent.
//
// Everything is drawn from a seed, so that two runs, or two trackers, get the same
// load. A group is used by one goroutine at a time; groups are independent of each
// other.
package population
