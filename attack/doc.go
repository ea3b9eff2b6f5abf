// Package attack has tests alone: they do to the real binary what those would who mean
// it harm, and measure what it does to others. docs/security.md says what each of them
// proves; what can be tried in a package is tested there.
//
// With -tags long they take minutes and want root; with -tags soak there is one that
// takes as long as it is told.
package attack
