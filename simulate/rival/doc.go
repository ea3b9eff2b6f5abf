// Package rival has trackers that waggle is compared with, in the simulator and in
// the laboratory: stores that choose whom a peer is told of as others do.
//
//   - [Random] is any ordinary tracker: everybody at random.
//   - [SubnetFirst] prefers the asker's rack, and fills up at random.
//   - [P2PTracker] is p2ptracker (seed document B), its faults included.
//
// They are right and safe, but neither fast nor sparing, and keep nothing: nothing
// to serve with. They take the location of a peer from [swarm.Announce.Location];
// all peers without one are one rack to them, as to p2ptracker those that its
// servermanagement does not know.
package rival
