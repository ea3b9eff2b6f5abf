// Package cluster makes the trackers of a LAN one: peers ask a multicast group, every instance
// hears them, and the master answers. When it dies, the slave with the lowest ID takes over.
// Every change is committed by all before it is answered. It is the design of seed document
// 003, with what that leaves open decided.
//
// [Node] is one instance: a state machine into which messages, ticks and requests go, and out of
// which messages, commits and answers come. It has no time, randomness or network of its own, so
// that a test can let all go wrong that can (sim_test.go) and have it go wrong again.
//
//	message.go    the messages of the document, byte for byte: KA, ME, HI, DS
//	wire.go       waggle's own messages beside them
//	members.go    the IP-ID table: who is alive
//	election.go   who is master
//	join.go       how a new instance comes in
//	triplets.go   the table that it is given then
//	requests.go   what peers and clients ask, until it is committed
//	replicate.go  how a master has all commit it
//	follow.go     how a slave does
//	underway.go   what is being committed, when members come and go
//	pull.go       how tables that differ are made equal
//	align.go      how times are
//	table.go      the rows
//	model/        election and commit in Promela, searched whole
//
// # What the document leaves open
//
// A DS-commit has no time, so members would not agree on when a peer was seen. Beside it goes a
// stamp: when the request was heard first, in the cluster's time. That is the time of its first
// master; whoever becomes a slave takes it over, and moves its rows to it. Of two rows of a peer
// the one with the later stamp stays, whatever comes first.
//
// HI messages tell addresses and nothing else, and two parts of a cluster that was cut may both
// have served. So a new master first pulls from all members what it lacks, and then has them pull
// from it: it asks for digests from the root of a tree down, and for the rows of the leaves that
// differ. A peer that has left stays as a row for its lifetime, so that nothing brings it back.
// Completed downloads are counted by master, so that what two parts counted adds up.
//
// An instance that stood still, frozen or asleep, finds messages that have waited since. It lets
// them pass, and a master asks anew what the others have.
//
// What was committed by all and answered is lost only with all instances that have it. Requests
// that were not answered may be lost: their peers ask again after 15 s.
package cluster
