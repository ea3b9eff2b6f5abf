// Package public shows strangers what a tracker tracks: an optional page at the
// tracker's own address, and a feed that clients subscribe to. It is off unless
// console.public is set.
//
//	/                       active torrents of the catalogue by name, a hundred a page
//	/feed.atom              the latest hundred of them, as an Atom feed (RFC 4287)
//	/torrents/HASH.torrent  the .torrent of an active one
//
// It has no script, takes no input but the place in the list, changes nothing, and
// shows no peer's address. Nothing else of the console is there.
//
// # Bounds
//
// Whoever wants to look may, so looking must cost announces nothing, however many do.
// What was made for one visitor is shown to others for some seconds ([Handler]). Pages
// are made one at a time, and after each there is a rest of nine times as long as that
// took: all visitors together take a tenth of one processor at most. Beyond some
// waiting visitors others are asked to come again.
//
// # The files
//
//	public.go    the handler
//	page.go      the page
//	feed.go      the feed, which the console has too
//	latest.go    the torrents of the feed
//	keep.go      what is kept, and how much may be made
//	address.go   what the visitor calls the tracker
package public
