// Package bench loads trackers and tells what they can do: answers a second, with
// how many peers in each, how late, and at what cost of processor and memory.
//
// # How a run goes
//
// [Run] takes one target or two, and does to each the same:
//
//  1. It draws a population of peers from a distribution and a seed
//     (package population), and opens a socket, or connections, for each source
//     address.
//  2. It fills the tracker: each peer announces once.
//  3. It measures rounds. Any peer announces, over and over. With two targets the
//     rounds alternate, A B A B, so that what else the machine does falls on both;
//     what counts is the median.
//
// A loop is closed by default: so many requests are under way, and each answer makes
// room for the next. That finds the most that a tracker can do. At a rate the loop is
// open: announces have times at which they are meant to be sent, and latency is
// counted from those, also where a slow answer held up the next request. A closed
// loop would leave out just the announces that would have waited longest
// (coordinated omission).
//
// # How it stays cheap
//
// A generator that costs as much as the tracker measures itself. Workers are threads
// that share nothing; packets go out and come in many a system call (package
// datagram), connections are bare sockets under an epoll (package stream), and
// nothing is allocated for a request. What the generator has used of the processor is
// in the report, beside what the server has, if its process is named.
//
// Each answer is checked: that it belongs to a request, that it is what was asked
// for, and that it tells of no more peers than were wanted. Every request ends as an
// answer, an error or a time-out, so these add up to what was sent.
//
// # What to compare with
//
// Package echo has servers that do no work.
package bench
