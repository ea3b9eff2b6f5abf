// Package octets takes apart the compact binary values that stores on a network keep.
// Anybody may have written them: what is too short or too large fails, and reads as zero.
package octets

import (
	"encoding/binary"
	"math"
)

// Reader takes a value apart from its beginning. Once it has failed, everything is zero.
type Reader struct {
	B      []byte // what is left
	Failed bool
}

// One takes a byte.
func (r *Reader) One() byte {
	if b := r.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// Bytes takes n bytes, which are the value's own.
func (r *Reader) Bytes(n int) []byte {
	if n < 0 || n > len(r.B) {
		r.B, r.Failed = nil, true
		return nil
	}
	b := r.B[:n]
	r.B = r.B[n:]
	return b
}

// Number takes an unsigned number of [encoding/binary]'s variable length, up to
// math.MaxInt64.
func (r *Reader) Number() int64 {
	v, n := binary.Uvarint(r.B)
	if n <= 0 || v > math.MaxInt64 {
		r.B, r.Failed = nil, true
		return 0
	}
	r.B = r.B[n:]
	return int64(v)
}

// Signed takes a signed number of [encoding/binary]'s variable length.
func (r *Reader) Signed() int64 {
	v, n := binary.Varint(r.B)
	if n <= 0 {
		r.B, r.Failed = nil, true
		return 0
	}
	r.B = r.B[n:]
	return v
}
