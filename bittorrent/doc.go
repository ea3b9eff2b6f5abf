// Package bittorrent holds the words and the encodings of the BitTorrent
// tracker protocol: info hashes, peer ids, events, the UDP packets of BEP 15
// with the options of BEP 41, the HTTP query of BEP 3, 7, 21, 23, 24, 27 and
// 48, compact peer lists and bencode.
//
// It serves both ends of the wire. A server parses requests and appends
// responses; a client or a load generator appends requests and parses
// responses. Nothing here opens a socket, reads a clock or draws a random
// number, and nothing of waggle's is imported.
//
// # Memory
//
// Parsing never copies and never allocates: what is variable in length (URL
// data of BEP 41, a tracker id, a bencoded value) stays a slice of the bytes
// that came in, and is valid only as long as they are. Appending grows the
// slice that it is given, in the manner of strconv.AppendInt, and allocates
// only when that slice is full.
//
// # Bad input
//
// Every parser takes bytes from strangers. It answers with one of the
// package's errors, which are constants of type [Error] and read as a tracker's
// "failure reason" should: a word for the key and what is wrong with it. It
// never panics. Each parser has a fuzz target in its test file, with the corpus
// kept in testdata/fuzz.
package bittorrent
