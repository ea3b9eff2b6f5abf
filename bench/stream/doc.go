// Package stream holds many TCP connections to one address in one goroutine, so that
// a load generator costs less than what it loads.
//
// [Dial] prepares a number of streams, which are opened, closed and opened again by
// their numbers. On Linux they are bare sockets and an epoll; elsewhere they are
// connections of package net, each with a goroutine that reads.
//
// Nothing here waits, except Wait. What is not there yet is read as nothing, and what
// does not fit is left unwritten.
package stream
