// Package instance runs a [cluster.Node]: it brings it messages and time, puts into the tracker
// what it commits, and has announces wait until all instances have recorded them.
//
//	in := instance.Start(instance.Options{Node: .., Carrier: multicast, Tracker: t, Counts: store, ..})
//	store := &instance.Store{Store: store, In: in} // for the tracker
//	defer in.Close()
//
// One goroutine owns the node. What it sends while it takes in up to 256 packets and requests goes
// out together, in as few packets as hold it.
//
//	instance.go  the goroutine, and what others ask of it
//	outbox.go    what goes to other instances
//	store.go     a store whose announces are committed first
//	diary.go   what the log is told
package instance
