package s3

import "waggle/store/shared"

// LocatedFigures returns what was decided of located peers: zeros where locality is off.
func (s *Store) LocatedFigures() shared.Figures {
	if s.replicas == nil {
		return shared.Figures{}
	}
	return s.replicas.Figures()
}
