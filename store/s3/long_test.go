//go:build long

package s3

import "waggle/store/storetest"

const (
	histories      = "100"
	trials         = 1000
	inMemory       = false
	membersOnMinio = 10_000
)

var size = storetest.Whole
