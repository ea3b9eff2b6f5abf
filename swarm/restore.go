package swarm

import (
	"context"
	"errors"
)

// Restorer is a store that another one can be copied into.
type Restorer interface {
	// Restore puts the peers and the completed count of a torrent in as they were,
	// unless what is there is newer. Doing it again changes nothing. The error is
	// [ErrFull] where a limit of the store keeps some out.
	Restore(ctx context.Context, s Snapshot) error
}

// ErrFull says that a store is at one of its limits.
var ErrFull = errors.New("the store is at its limit of peers or torrents")
