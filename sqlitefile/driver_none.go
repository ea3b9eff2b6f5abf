//go:build function

package sqlitefile

import (
	"database/sql"
	"database/sql/driver"
	"errors"
)

// none is in place of the driver where the build tag function leaves it out: a function
// keeps no files.
type none struct{}

// Open is of [driver.Driver].
func (none) Open(string) (driver.Conn, error) {
	return nil, errors.New("this waggle was built for a function, without SQLite: set store to one on a network, or use another build")
}

func init() { sql.Register("sqlite", none{}) }
