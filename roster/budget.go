package roster

import (
	"sync"

	"waggle/locality"
)

// Budget bounds how many importers a rack has over all torrents, so that together
// they do not fill its uplink. It is safe for concurrent use; nil has no bound.
type Budget struct {
	mu   sync.Mutex
	most int
	used map[*locality.Group]int
}

// NewBudget returns a budget of so many importers a rack; 0: no bound.
func NewBudget(most int) *Budget { return &Budget{most: most, used: map[*locality.Group]int{}} }

// Limit changes the bound. Those above it stay, and nobody is added.
func (b *Budget) Limit(most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most = most
}

// Used returns how many importers a rack has.
func (b *Budget) Used(rack *locality.Group) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used[rack]
}

func (b *Budget) take(rack *locality.Group) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.most > 0 && b.used[rack] >= b.most {
		return false
	}
	b.used[rack]++
	return true
}

// force takes one even if none is left.
func (b *Budget) force(rack *locality.Group) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used[rack]++
}

func (b *Budget) free(rack *locality.Group) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used[rack]--; b.used[rack] == 0 {
		delete(b.used, rack)
	}
}

func (b *Budget) spent(rack *locality.Group) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most > 0 && b.used[rack] >= b.most
}
