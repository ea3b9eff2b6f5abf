//go:build !function

package sqlitefile

import _ "modernc.org/sqlite" // the driver, without cgo
