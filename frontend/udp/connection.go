package udp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/dchest/siphash"
)

// Secret is the key of connection ids: 16 random bytes. Trackers that share it
// take each other's.
type Secret [16]byte

// connectionLifetime is how long a connection id is good (BEP 15).
const connectionLifetime = 120

// connectionID makes the id for an address: 16 bits of the second of issue, and
// 48 bits of a keyed hash over the whole second and the address. The port has no
// part in it: behind a NAT it may change between two packets.
func (s *Secret) connectionID(now time.Time, ip netip.Addr) uint64 {
	second := uint64(now.Unix())
	return second<<48 | s.mac(second, ip)
}

// valid reports whether the id was made for the address within its lifetime.
func (s *Secret) valid(id uint64, now time.Time, ip netip.Addr) bool {
	second := uint64(now.Unix())
	age := uint64(uint16(second) - uint16(id>>48))
	if age > connectionLifetime {
		return false
	}
	return id<<16 == s.mac(second-age, ip)<<16
}

// mac returns 48 bits of SipHash-2-4 over the second and the address. The hash
// covers the length too, which keeps the families apart.
func (s *Secret) mac(second uint64, ip netip.Addr) uint64 {
	var memory [24]byte
	binary.BigEndian.PutUint64(memory[:], second)
	message := memory[:12]
	if ip.Is4() {
		address := ip.As4()
		copy(memory[8:], address[:])
	} else {
		address := ip.As16()
		message = memory[:]
		copy(memory[8:], address[:])
	}
	k0, k1 := binary.LittleEndian.Uint64(s[:]), binary.LittleEndian.Uint64(s[8:])
	return siphash.Hash(k0, k1, message) >> 16
}
