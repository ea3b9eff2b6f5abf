package link

import (
	"testing"
)

func piece(offset, size uint32, name, part string) []byte {
	b := []byte{byte(offset >> 24), byte(offset >> 16), byte(offset >> 8), byte(offset), byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size), byte(len(name))}
	return append(append(b, name...), part...)
}

func TestPiecesMakeAFileInTheirOrderOnly(t *testing.T) {
	f := &incoming{}
	if whole, err := f.take(piece(0, 6, "a.torrent", "abc"), 10); whole || err != nil {
		t.Fatal(whole, err)
	}
	if whole, err := f.take(piece(3, 6, "a.torrent", "def"), 10); !whole || err != nil || string(f.bytes) != "abcdef" || f.name != "a.torrent" {
		t.Fatal(whole, err, f)
	}
	for what, b := range map[string][]byte{
		"short": {0, 0}, "no name": {0, 0, 0, 0, 0, 0, 0, 1, 9}, "too large": piece(0, 11, "", "abc"),
		"a hole": piece(3, 6, "", "abc"), "too much": piece(0, 2, "", "abc"), "nothing": piece(0, 2, "", ""),
	} {
		if whole, err := (&incoming{}).take(b, 10); whole || err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func FuzzPiece(f *testing.F) {
	f.Add(piece(0, 6, "a.torrent", "abc"), piece(3, 6, "a.torrent", "def"))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 255}, []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		in := &incoming{}
		for _, m := range [][]byte{a, b} {
			whole, err := in.take(m, 1000)
			if len(in.bytes) > 1000 || whole && (err != nil || len(in.bytes) != in.size) {
				t.Fatalf("%d of %d bytes, %t, %v", len(in.bytes), in.size, whole, err)
			}
		}
	})
}
