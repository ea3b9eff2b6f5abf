// Package maptest is the conformance suite that every [shared.Map] passes, and a Map
// in memory that is the model of it.
//
// A store's own test calls [Run] with a function that opens the Map of one more
// tracker, all of them on the same server:
//
//	func TestMapConforms(t *testing.T) {
//		maptest.Run(t, func(t *testing.T) shared.Map { return openStore(t, url).Map() })
//	}
//
// The suite draws an info hash for each behaviour, so one server, and one prefix or
// table, does for all. [Memory] does what a server does, and lets a test delay steps,
// fail them, and lose their answers: package shared tests itself with it.
package maptest
