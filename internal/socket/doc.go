// Package socket reads and writes sockets that do not block, past Go's runtime: a call that never
// waits need not be told to it, whose monitor would be woken for each, which takes as long as
// answering an announce. There is nothing in it but on Linux.
package socket
