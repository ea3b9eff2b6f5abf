// Package locality says where an address is: in which rack, in which row, at which site.
//
// # The tree
//
// A location is a [Group] of a [Tree]: a path of names, outermost first, such as "ams1/row3/r12".
// How many levels there are, and what they are called, is up to the operator. Groups are made as
// they are first heard of, are never forgotten, and are compared as pointers.
//
// # Sources
//
// A [Source] knows where some addresses are. Those that answer from memory are a [Table]: they are
// asked in the midst of an announce, and allocate nothing.
//
//	Subnets      a file of subnets and their paths           Table   subnets.go
//	MaxMind      files of countries and AS numbers           Table   maxmind.go
//	Kubernetes   labels of the nodes of a cluster            Table   kubernetes.go
//	REST         a web service, such as p2ptracker's         remote  rest.go
//	DNS          TXT or LOC records                          remote  dns.go, loc.go
//	Hostname     reverse names and a regular expression      remote  hostname.go
//	Program      a program that prints a path                remote  program.go
//
// REST and Hostname are a [Namer] too: they know what hosts are called, which [Locator.Host] tells.
// Most make the path of what they read with a [Template], as in
// "{topology.kubernetes.io/zone}/{example.com/rack}".
//
// # The chain
//
// A [Locator] asks its sources in order; the first that knows an address wins. What remote sources
// answer is remembered (cache.go), also that none of them knows an address. Announces ask
// [Locator.Cached], which never waits. What it does not know [Locator.Locate] looks up, and waits
// for two seconds at most. The chain is walked in lookup.go:
//
//   - A source that fails or is too late is passed over for this address, and the next is asked.
//   - One that fails several times in a row is left out for a while (asked.go), so that announces
//     do not wait for a server that is dead.
//   - An answer that is no path of the tree's levels is rubbish: it is counted, and as good as none.
//   - An answer that has grown old stays in force until a new one is there, also while the source
//     that gave it fails.
//
// Where an announce is traced, each source that is asked for it has a span (trace.go).
//
// # Bounds
//
// Innermost groups, remembered addresses, look-ups under way, the time of one look-up, the length
// of a name and the size of each kind of answer all have a limit. What any of them refuses is
// counted in [Locator.Figures] or [Locator.Lookups].
package locality
