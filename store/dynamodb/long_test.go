//go:build long

package dynamodb_test

import "waggle/store/storetest"

// histories is how many random ones are drawn.
const histories = "100"

// size is how long the longest behaviours are.
var size = storetest.Whole
