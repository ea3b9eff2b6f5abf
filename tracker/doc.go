// Package tracker is the one place where an announce is decided. Frontends turn
// bytes into a [swarm.Announce] and a [swarm.Reply] into bytes; stores keep
// swarms; what is allowed, how many peers are told and when to come back is said
// here.
//
// An announce goes through
//
//  1. admit: may this address be told to others at all;
//  2. the store: record and select, in one step;
//  3. pace: the interval, with jitter, so that a crowd that came together does
//     not come back together.
//
// Settings can be replaced while announces are under way ([Tracker.Apply]).
package tracker
