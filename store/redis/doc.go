// Package redis keeps swarms in Redis, or in a Redis Cluster, so that any number of
// trackers act as one and hold nothing themselves.
//
// # The pieces
//
//   - [ParseURL], [Options] and [Open]: what is said of the server, and whether it will do.
//   - scripts/*.lua is all that changes a swarm. A script runs as a whole or not at all,
//     so counts are exact whoever announces. They are loaded once and called by EVALSHA.
//   - announce.go: an announce is one script call. It records the peer and returns the
//     counts and a sample of the peers; view.go shows that sample to swarm.Selector.
//   - split.go: a swarm that is too hot for one node lies in parts.
//   - server.go, faults.go, breaker.go, probe.go: how the server is asked, when it counts
//     as broken, and how it is found again.
//   - located.go: shared.Map for located peers; documents.go: document.Store.
//   - limit.go: what happens at the limits of peers and torrents.
//   - hosts.go: which hosts and racks were seen, for who looks with redis-cli.
//   - expire.go, walk.go, restore.go: the rest of a store.
//
// docs/redis.md names every key.
//
// # Tags
//
// The first byte of an info hash is the tag of the torrent's keys, in braces, so that they
// lie in one slot of a cluster. A tag has counts of its own, the list of its torrents, and
// an index of its peers by when they were seen. What adds up over the store adds up over
// 256 tags; nothing ever looks through the whole database.
//
// # When the server is slow or gone
//
// A bounded number of requests are under way; more are refused at once. A request ends
// after [Options].Timeout, and once again where that may help. Then the server, or in a
// cluster the tag, counts as broken: announces to it are refused at once, while one
// goroutine asks until it answers. A server whose memory is full is asked all the same:
// it refuses announces by itself, and peers must be able to leave.
package redis
