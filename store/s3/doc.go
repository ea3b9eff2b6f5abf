// Package s3 keeps swarms in a bucket of Amazon's S3, or of a server that speaks its
// protocol and honours conditions, such as versitygw or minio. Any number of trackers
// may share a bucket; they keep nothing that cannot be lost.
//
// # The pieces
//
//   - [ParseURL], [Options] and [Open]: what is said of the bucket, and whether it will
//     do. An endpoint that ignores conditions is refused.
//   - bucket.go is all that is needed of S3, amazon.go that by Amazon's library;
//     server.go asks again where it helps, failure.go says where it does not.
//   - node.go, code.go: a swarm is an object, and the bytes of it.
//   - keeper.go: an object changes by compare and swap. What waits in a process for the
//     same object is written together.
//   - split.go, tree.go: a swarm that is large, or that many trackers write to, is split
//     into parts by the hash of peers' addresses, and put together when it is small.
//   - view.go shows the parts to swarm.Selector as one swarm.
//   - members.go: shared.Map for located peers; documents.go: document.Store.
//   - list.go, totals.go, walk.go, expire.go, limit.go, restore.go: the rest of a store.
//
// docs/s3.md names every key, and says what an announce costs.
//
// # Nobody is lost
//
// An object is written on condition that it is what it was when it was read. A part has
// a name that comes never again and is written only where it is there, so that once it
// is removed nobody can write to it. To split is to write the parts first and then, on
// condition, their names in place of the object. To put together is to shut the parts
// for good, and then to write their peers in place of the names. Whoever finds a part
// shut does the rest; whoever finds it gone asks for the swarm anew.
//
// # What is removed
//
// Parts that nobody knows of. An empty swarm only where the endpoint compares and removes
// in one step, see [Deletes]; elsewhere some bytes stay, count as nothing, and are used
// again.
package s3
