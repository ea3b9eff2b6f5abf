package octets_test

import (
	"encoding/binary"
	"math"
	"testing"

	"waggle/store/octets"
)

func TestReaderTakesAValueApart(t *testing.T) {
	b := binary.AppendVarint(binary.AppendUvarint([]byte{7, 'a', 'b'}, 300), -5)
	r := octets.Reader{B: b}
	if one, two, number, signed := r.One(), string(r.Bytes(2)), r.Number(), r.Signed(); one != 7 || two != "ab" || number != 300 || signed != -5 || r.Failed || len(r.B) != 0 {
		t.Errorf("%d %q %d %d, %+v", one, two, number, signed, r)
	}
}

func TestReaderOfAValueThatIsTooShortFails(t *testing.T) {
	huge := binary.AppendUvarint(nil, math.MaxUint64)
	for name, read := range map[string]func(*octets.Reader){
		"byte": func(r *octets.Reader) { r.One() }, "bytes": func(r *octets.Reader) { r.Bytes(1) },
		"negative": func(r *octets.Reader) { r.B = []byte{1}; r.Bytes(-1) },
		"number":   func(r *octets.Reader) { r.Number() }, "signed": func(r *octets.Reader) { r.Signed() },
		"number that is too large": func(r *octets.Reader) { r.B = huge; r.Number() },
	} {
		var r octets.Reader
		if read(&r); !r.Failed || r.One() != 0 || r.Number() != 0 || r.Signed() != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0xff, 0xff})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := octets.Reader{B: b}
		for !r.Failed && len(r.B) > 0 {
			before := len(r.B)
			switch r.One() % 4 {
			case 0:
				r.Number()
			case 1:
				r.Signed()
			case 2:
				r.Bytes(int(r.One()))
			}
			if len(r.B) >= before {
				t.Fatal("nothing was taken")
			}
		}
	})
}
