package main

import (
	"waggle/console"
	"waggle/store/memory"
	"waggle/store/sqlite"
)

// shownSwarms is the store as the console looks at it.
func (s *service) shownSwarms() console.Swarms {
	switch store := s.store.(type) {
	case *memory.Store:
		return memory.Shown{Store: store}
	case *sqlite.Store:
		return memory.Shown{Store: store.Store}
	}
	return s.store.(console.Swarms)
}
