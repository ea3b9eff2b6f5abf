// Package browser tests the console as people see it: Debian's Chromium, driven by
// chromedp, looks at the pages of the real binary, started as its users start it.
//
// # Running
//
// Nothing is skipped. What is not installed fails the tests with what to install.
//
//	make test         installs Chromium and npm's axe-core, and runs these tests
//	make test-long    also how soon pages appear at 100,000 torrents and a million peers
//	make screenshots  makes the pictures of docs/screenshots anew: look at them
//
// or some of them, once that is installed:
//
//	go test -run RackMap ./console/browser
//	go test -tags long -run AtAMillionPeers -v ./console/browser
//	go test -tags screenshots -run Screenshots ./console/browser
//
// The binary is built from the checkout, with the race detector where the tests have
// it. CONSOLE_WAGGLE names another one to test. To see a test in a visible window, set
// CHROMEDP_VISIBLEWINDOW=1.
//
// # What every test checks
//
// A window fails its test when a page sends a request to anybody but the console, when
// the browser's console has an error or a warning, of which a breach of the pages'
// policy (CSP) is one, when a script throws, and when a dialogue of alert() opens. A
// test says beforehand what of this it provokes.
//
// # The files
//
//	main_test.go         the binary and the browser, which all tests share
//	process_test.go      a process of a test; each ends with it
//	tracker_test.go      a running tracker, and peers that announce by hand
//	world_test.go        the tracker that most tests share, with something of everything
//	window_test.go       a browser's window: looking, clicking, waiting
//	session_test.go, upload_test.go, transfer_test.go, racks_test.go, hostile_test.go, links_test.go,
//	cluster_test.go, plain_test.go, keyboard_test.go, axe_test.go
//	                     the tests; guard_test.go tests that windows see what they are to see
//	speed_test.go        how soon pages appear (-tags long)
//	screenshots_test.go  docs/screenshots (-tags screenshots), of the world in room_test.go,
//	                     whose past is in past_test.go
package browser
