//go:build !long

package dynamodb_test

import "waggle/store/storetest"

// histories is how many random ones are drawn. dynalite answers some hundred requests a
// second, and a hundred histories of a hundred steps take forty seconds.
const histories = "15"

// size is how long the longest behaviours are: the whole takes minutes.
var size = storetest.Small
