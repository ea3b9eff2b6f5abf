package dynamodb_test

import (
	"bytes"
	"testing"

	"waggle/store/dynamodb"
)

// FuzzPayload feeds bytes that lie in the table, where anybody may have written them.
func FuzzPayload(f *testing.F) {
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 1, 6, 10, 0, 0, 1, 4, 0, 3, 'a', 'b', 0})
	f.Add([]byte{1, 0, 1, 6, 10, 0, 0, 1, 4, 0, 0})
	f.Add(append(append([]byte{1, 1, 18}, make([]byte, 18)...), 1, 0))
	f.Add([]byte{2})
	f.Add(append([]byte{1, 1, 255}, make([]byte, 300)...)) // an address of 255 bytes
	f.Fuzz(func(t *testing.T, b []byte) {
		n, again, err := dynamodb.DecodePayload(b)
		if err != nil {
			return
		}
		m, twice, err := dynamodb.DecodePayload(again)
		if err != nil || n != m || !bytes.Equal(again, twice) {
			t.Errorf("%x has %d entries, and %x %d, %v", b, n, again, m, err)
		}
	})
}
