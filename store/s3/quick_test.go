//go:build !long

package s3

import "waggle/store/storetest"

// histories is how many random ones are drawn, of each store: a hundred of each take two
// minutes.
const histories = "10"

// size is how long the longest behaviours are.
var size = storetest.Small

// trials is how many orders of requests are tried. 1,000 of each take a minute.
const trials = 40

// inMemory says that behaviours of some ten thousand requests have a bucket in memory,
// where another test has them on a server.
const inMemory = true

// membersOnMinio is how many members the largest torrent of minio has.
const membersOnMinio = 2000
