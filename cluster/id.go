package cluster

import (
	"bytes"
	"encoding/hex"
	"math/big"
)

// ID tells the instances of a cluster apart: 160 bits. The lowest is the master. The zero
// ID is of one that has none yet.
type ID [20]byte

// String returns the ID in 40 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Less reports whether an ID is lower than another.
func (id ID) Less(other ID) bool { return bytes.Compare(id[:], other[:]) < 0 }

// idStep is how far above all others an ID is assigned at most, in bits: it is drawn, so that
// the masters of two parts of a cluster assign different ones.
const idStep = 80

// firstID makes the ID of an instance that makes itself master: a UUID of version 4, on the
// right of which are zeros.
func firstID(random [16]byte) (id ID) {
	copy(id[:], random[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// above returns an ID above another. Should there be none, it is the highest.
func above(highest ID, random [idStep / 8]byte) (id ID) {
	n := new(big.Int).SetBytes(highest[:])
	n.Add(n, new(big.Int).SetBytes(random[:])).Add(n, big.NewInt(1))
	if n.BitLen() > len(id)*8 {
		return ID(bytes.Repeat([]byte{0xff}, len(id)))
	}
	n.FillBytes(id[:])
	return id
}
