// Package tracker is the one place where an announce is decided. Frontends turn
// bytes into a [swarm.Announce] and a [swarm.Reply] into bytes; stores keep
// swarms; what is allowed, how many peers are told and when to come back is said
// here.
//
// A request goes through
//
//  1. limit: does its address ask too often ([Tracker.Admit]);
//  2. reach: may this address be told to others at all;
//  3. gate: is the torrent served, passive or denied ([Gate], [Denied]);
//  4. shed: are all announces together too many;
//  5. the store: record and select, in one step;
//  6. pace: the interval, with jitter, so that a crowd that came together does
//     not come back together, and longer where there are too many.
//
// A client that asks for a torrent which is passive, because it is not listed or
// was deactivated, is told of nobody and comes back after the passive interval;
// it is not stored.
//
// Settings can be replaced while announces are under way ([Tracker.Apply]).
//
// An announce that leaves the machine, to sources of locations or to a remote store, can
// be followed by a [Trace]. Others know nothing of that.
package tracker
