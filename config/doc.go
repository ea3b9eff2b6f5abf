// Package config is waggle's configuration: one documented struct, [Config], and one YAML file.
//
// # Where a value comes from
//
// [Load] lays flags over environment variables over the file over the defaults, and remembers
// which of them gave each value ([Loaded].Sources). It finds all problems before it fails; each is
// one line that names file and line (or variable, or flag), the key, and the remedy:
//
//	waggle.yaml:12: announce.intervall is not a key; did you mean interval?
//
// # To add a key
//
// Add a field to a struct in config.go, with its tags and its doc comment. That is all: the key in
// the file, the environment variable, the flag, its help, the range check and the text of
// "waggle config print" are read off that field by reflection, and off the embedded config.go by
// go/parser. The tags are
//
//	key:"min_interval"      the name in the file; with its section it names flag and variable
//	default:"15m"           written as in the environment; a list has commas
//	range:"0s..24h"         both ends belong to it; "0.." has no upper end
//	oneof:"text,json"       the only values
//
// The first sentence of the doc comment is the help of the flag, so it should stand alone. A rule
// between two keys is a line in (*loader).relations. A field of a type that no other field has
// needs an entry in kinds (kind.go): how it is read, and what to write when it cannot be.
//
// A source of locations, an entry of locality.sources, has keys of its own: the fields of its struct, with the same tags.
// To add a kind of source is to add such a struct, and a field for it in LocalitySource. A flag or a variable gives all
// sources together, in YAML.
//
// # The files
//
//	config.go       the keys
//	locality.go     the keys of where peers are; locality_kinds.go, _sources.go and _rules.go belong to it
//	link.go         the keys of links with other trackers
//	tls.go          the keys of certificates
//	events.go       the keys of who is told of announces
//	key.go          a key as reflection and its doc comment show it
//	access.go       the rules of who may announce, and a type
//	kind.go         types of values; count.go, address.go, store.go, traces.go and passkeys.go are ours
//	load.go         the layers
//	file.go         YAML; syntax.go puts its mistakes into plain words
//	environment.go  WAGGLE_* variables
//	flag.go         --flags
//	print.go        the commented file
//	problem.go      what is wrong, where, and what was probably meant
//
// # Bounds
//
// A file is at most 1 MiB, UTF-8, one YAML document without aliases, and its values are read as the
// text that stands there: no file makes Load slower than a few seconds, or large. An error repeats
// at most 40 bytes of any value, and reports at most 50 problems.
//
// Variables that begin with WAGGLE_ and name no key are refused, but for WAGGLE_CONFIG, which names
// the file, and those that Kubernetes and Docker set for a service called waggle, such as
// WAGGLE_SERVICE_HOST and WAGGLE_PORT=tcp://10.0.0.1:6969, which are ignored.
package config
