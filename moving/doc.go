// Package moving copies all that a tracker keeps from one store to another, or into a
// folder, and checks what a store keeps.
//
// What is copied may change meanwhile: the tracker goes on, and so may one that uses the
// other store already. So nothing is replaced by what is older, and copying again
// brings over what has come since.
//
//	copy.go     peers, catalogue, accounts, passkeys, one after the other
//	catalog.go  how two catalogues become one
//	passkeys.go passkeys, copied and checked
//	check.go    what may be wrong with what is kept
//	save.go     the files of a tracker that runs, copied into a folder
package moving
