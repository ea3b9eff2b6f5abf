// Package echo has servers that speak the tracker protocol and do no work: every
// announce gets the same answer. They are the limits that a tracker can be compared
// with.
//
// [UDP] takes in and sends out up to 64 packets a system call, in a thread of its own
// for each socket. It knows no swarm, checks no connection id, and writes nothing
// into an answer but the number of the request. [HTTP] is package net/http with a
// handler that writes fixed bytes.
package echo
