package dynamodb

import "waggle/store/shared"

// LocatedFigures returns what was decided of located peers.
func (s *Store) LocatedFigures() shared.Figures { return s.replicas.Figures() }
