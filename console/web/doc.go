// Package web is the console as people see it: pages that the server renders, which
// work without scripts, and scripts that keep them live.
//
// It is a client of the JSON API, in this process: what a page shows, it asks the API
// for in the name of whoever looks at it ([client.Within]). So a page shows nothing
// that its visitor could not ask for, changes nothing in another way than a program
// would, and is in the audit log as a program is.
//
// # The files
//
//	site.go        New; routes and headers
//	pages.go       which pages there are, and which forms change something
//	page.go        a page, from its data to its bytes; errors
//	form.go        what is posted, and the message that follows; upload.go for files
//	live.go        pages that change while they are looked at (server-sent events)
//	assets.go      styles and scripts, by the hash of what is in them
//	format.go      numbers with their units, times
//	chart.go       charts as they are without scripts; links_drawing.go the tree of links
//	overview.go, torrents.go, transfer.go, …  a page each, with its template
//	               of the same name in templates
//	static         style.css; theme.js, live.js, charts.js, rackmap.js, racks.js, forms.js;
//	               vendor has uPlot, as npm has it
//
// # What a browser may do
//
// The pages' policy (CSP) lets no script run and no style apply that is not a file of
// this server, and nothing be fetched from elsewhere. Whatever comes from peers and
// torrents is escaped by html/template; scripts put it into the page as text or as HTML
// that was rendered here.
package web
