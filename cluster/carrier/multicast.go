package carrier

import (
	"errors"
	"time"
)

// MulticastOptions are those of a [Multicast].
type MulticastOptions struct {
	GroupOptions
	Secret   []byte           // of the cluster, [MinSecret] bytes and up
	Unsealed bool             // without a secret: everybody on the LAN is believed
	Now      func() time.Time // nil: time.Now
}

// Multicast is a carrier over UDP: what is for all goes to a multicast group. Instances on one
// machine hear each other, too. Send waits while the network interface has no room.
type Multicast struct {
	*post
	sockets *sockets
}

var _ Carrier = (*Multicast)(nil)

// NewMulticast joins a group. Errors say what to do.
func NewMulticast(o MulticastOptions) (*Multicast, error) {
	s, err := join(o.GroupOptions)
	if err != nil {
		return nil, err
	}
	seal, err := NewSeal(SealOptions{Secret: o.Secret, Unsealed: o.Unsealed, Name: s.group.String(), Address: s.address})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	m := &Multicast{post: newPost(seal, o.Now), sockets: s}
	m.write, m.loops = s.write, true
	s.listen(m.arrived)
	return m, nil
}

// Interface returns the name of the network interface.
func (m *Multicast) Interface() string { return m.sockets.zone }

// Close leaves the group, and waits until nothing goes on.
func (m *Multicast) Close() error {
	err := m.sockets.close()
	m.queue.close()
	return err
}
