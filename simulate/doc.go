// Package simulate shows how a file spreads over a data centre under a policy, in
// simulated time, and what that costs each uplink.
//
// What selects peers is not a model: the simulator announces to a [swarm.Store], the
// one that "waggle serve" has or that of a rival (package rival), as a tracker does.
// What is modelled are clients and the network.
//
// # Clients
//
// A client dials whom it is told of, up to a number of connections, and keeps them
// until an end of them is gone or both are complete. It uploads to some at a time, those that
// gave it most and one that it tries, chosen anew every ten seconds; a slot that is
// free is given away at once. It fetches the rarest of up to 64 pieces in question, each
// from one neighbour, and a piece under way from several where there is nothing else:
// blocks without blocks. What it has fetched whole it passes on.
//
// # The network
//
// A connection goes over the links of its ends and those of the groups between them.
// Links are shared fairly (max-min, approached in six rounds). There are no delays,
// no losses, no slow start, and no other traffic; the core has no limit.
//
// # Time
//
// Time goes on in ticks of about the time that a host takes for two pieces. What was
// fetched in one can be passed on in the next. All chance comes from one seed: the
// same options give the same report, byte for byte.
//
// # Where to find what
//
//   - [Options], [Topology], [ReadTopology]: what is simulated
//   - [Run], [Compare]: the simulation, in run.go; world.go has what it is made of
//   - announce.go, connect.go, choke.go, pieces.go: clients; network.go: links
//   - [Report], [WriteTable], [WriteSVG]: what came out
//   - [Replay]: announces that were recorded (package record), put to a policy
package simulate
