package swarm

// Reach is whether a peer can be connected to, as far as somebody has tried.
type Reach uint8

// What is known of that.
const (
	ReachUnknown Reach = iota
	Reachable
	Unreachable
)
