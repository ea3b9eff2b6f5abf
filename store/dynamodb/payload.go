package dynamodb

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"waggle/store/octets"
	"waggle/store/shared"
)

// payload is what one step wrote, or a snapshot of what all steps did.
type payload struct {
	announced, records []shared.Entry
}

// payloadVersion is the first byte of a payload.
const payloadVersion = 1

var (
	errPayload = errors.New("what located peers share is damaged in the table")
	errNewer   = errors.New("what located peers share was written by a newer waggle: use that version for all trackers of the table")
)

func (p *payload) empty() bool { return len(p.announced)+len(p.records) == 0 }

// encode returns the payload in bytes: the version, then the entries of each kind behind
// their number. An entry is the length of the address, the address, the length of the value
// and one, and the value; or a zero, where the value is removed.
func (p *payload) encode() []byte {
	b := []byte{payloadVersion}
	for _, entries := range [...][]shared.Entry{p.announced, p.records} {
		b = binary.AppendUvarint(b, uint64(len(entries)))
		for i := range entries {
			b = appendEntry(b, &entries[i])
		}
	}
	return b
}

func appendEntry(b []byte, e *shared.Entry) []byte {
	length := byte(6)
	if !e.Peer.Addr().Unmap().Is4() {
		length = 18
	}
	b = appendAddr(append(b, length), e.Peer)
	if e.Value == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Value))+1)
	return append(b, e.Value...)
}

// shortestEntry is the fewest bytes of an entry.
const shortestEntry = 1 + 6 + 1

// decodePayload reads what encode wrote. The values are parts of b.
func decodePayload(b []byte) (p payload, err error) {
	switch {
	case len(b) == 0:
		return p, errPayload
	case b[0] > payloadVersion:
		return p, errNewer
	case b[0] != payloadVersion:
		return p, errPayload
	}
	r := octets.Reader{B: b[1:]}
	for _, entries := range [...]*[]shared.Entry{&p.announced, &p.records} {
		n := r.Number()
		if n > int64(len(r.B)/shortestEntry) {
			return payload{}, errPayload
		}
		*entries = make([]shared.Entry, n)
		for i := range *entries {
			(*entries)[i] = readEntry(&r)
		}
	}
	if r.Failed || len(r.B) > 0 {
		return payload{}, errPayload
	}
	return p, nil
}

func readEntry(r *octets.Reader) (e shared.Entry) {
	var ok bool
	if e.Peer, ok = addrOf(r.Bytes(int(r.One()))); !ok {
		r.Failed = true
	}
	n := r.Number()
	if n > shared.MaxValue+1 {
		r.Failed = true
	} else if n > 0 {
		value := r.Bytes(int(n) - 1)
		e.Value = value[:len(value):len(value)]
	}
	return e
}

// state is what steps amount to: the last value of each kind of each peer.
type state [2]map[netip.AddrPort][]byte

func newState() state { return state{{}, {}} }

func (s *state) apply(p *payload) {
	for kind, entries := range [...][]shared.Entry{p.announced, p.records} {
		for _, e := range entries {
			if e.Value == nil {
				delete(s[kind], e.Peer)
			} else {
				s[kind][e.Peer] = e.Value
			}
		}
	}
}

func (s *state) payload() (p payload) {
	return payload{entriesOf(nil, s[0]), entriesOf(nil, s[1])}
}

func entriesOf(dst []shared.Entry, values map[netip.AddrPort][]byte) []shared.Entry {
	for peer, value := range values {
		dst = append(dst, shared.Entry{Peer: peer, Value: value})
	}
	return dst
}
