//go:build !unix

package torrent

import "io/fs"

// keepOwner does nothing: owners are no matter of mere files here.
func keepOwner(string, fs.FileInfo) {}
