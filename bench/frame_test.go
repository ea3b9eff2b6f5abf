package bench

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// Frames are read back by another's library, masked, whatever their size is and whatever is
// before them.
func TestFramesAreThoseOfClients(t *testing.T) {
	m := newMasker(rand.New(rand.NewPCG(1, 2)))
	for _, size := range []int{0, 1, 125, 126, 4095, 4097, 65_535, 65_536, 200_003} {
		payload := bytes.Repeat([]byte("payload"), size/7+1)[:size]
		b := []byte("before")
		b = m.end(append(m.begin(b), payload...), len(b), text)
		f, err := readByAnother(b[len("before"):])
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !f.Header.Masked || !f.Header.Fin || f.Header.OpCode != ws.OpText || bytes.Equal(f.Payload, payload) != (size == 0) {
			t.Errorf("%d bytes: %+v", size, f.Header)
		}
		if got := ws.UnmaskFrameInPlace(f); !bytes.Equal(got.Payload, payload) || len(b) != len("before")+ws.HeaderSize(f.Header)+size {
			t.Errorf("%d bytes became %d in %d", size, len(got.Payload), len(b))
		}
	}
}

// readByAnother reads the first frame in b by another's library.
func readByAnother(b []byte) (f ws.Frame, err error) {
	r := bytes.NewReader(b)
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, min(f.Header.Length, int64(len(b))))
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

func TestFramesOfServersAreRead(t *testing.T) {
	for _, size := range []int{0, 125, 126, 65_535, 65_536, maxBody} {
		payload := bytes.Repeat([]byte{7}, size)
		b := append(ws.MustCompileFrame(ws.NewTextFrame(payload)), "behind"...)
		f, used, err := readFrame(b)
		if err != nil || f.kind != text || !f.last || !bytes.Equal(f.payload, payload) || used != len(b)-len("behind") {
			t.Errorf("%d bytes: kind %d, %d bytes, %d used, %v", size, f.kind, len(f.payload), used, err)
		}
		for _, part := range []int{0, 1, used / 2, used - 1} {
			if _, used, err := readFrame(b[:part]); used != 0 || err != nil {
				t.Errorf("%d of %d bytes: %d used, %v", part, size, used, err)
			}
		}
	}
}

func TestFramesThatNoServerMaySendAreErrors(t *testing.T) {
	for want, b := range map[error]string{
		errMasked:   "\x81\x80\x00\x00\x00\x00",
		errReserved: "\xc1\x00",
		errKind:     "\x83\x00",
		errControl:  "\x09\x00",
		errLong:     "\x81\x7f\x00\x00\x00\x00\x00\x10\x00\x01",
	} {
		if _, _, err := readFrame([]byte(b)); !errors.Is(err, want) {
			t.Errorf("%x: %v, want %v", b, err, want)
		}
	}
	if _, _, err := readFrame([]byte("\x8a\x7e\x00\x80")); !errors.Is(err, errControl) {
		t.Errorf("a long pong: %v", err)
	}
}

func TestHandshakeIsUnderstoodByAnothersLibrary(t *testing.T) {
	e := &endpoint{announce: "/some/path?and=query", host: "127.0.0.1:1", addr: netip.MustParseAddrPort("127.0.0.1:1")}
	h := newHandshake(e, rand.New(rand.NewPCG(1, 2)))
	var answer bytes.Buffer
	var asked string
	u := ws.Upgrader{OnRequest: func(uri []byte) error {
		asked = string(uri)
		return nil
	}}
	if _, err := u.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(h.request), &answer}); err != nil || asked != "/some/path?and=query" {
		t.Fatalf("%q: %v", asked, err)
	}
	size := answer.Len()
	answer.WriteString("behind")
	if used, err := h.read(answer.Bytes()); used != size || err != nil {
		t.Errorf("%d of %d used, %v", used, size, err)
	}
	if used, err := h.read(answer.Bytes()[:size-1]); used != 0 || err != nil {
		t.Errorf("of a part: %d used, %v", used, err)
	}
	if _, err := newHandshake(e, rand.New(rand.NewPCG(3, 4))).read(answer.Bytes()); !errors.Is(err, errAccept) {
		t.Errorf("the answer to another: %v", err)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x81\x05hello"))
	f.Add([]byte("\x81\x7e\x01\x00" + strings.Repeat("a", 256)))
	f.Add([]byte("\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x01a"))
	f.Add([]byte("\x88\x02\x03\xe9\x89\x00"))
	f.Add([]byte("\x01\x01a\x80\x01b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, used, err := readFrame(b)
		if err != nil || used == 0 {
			if used != 0 || got.payload != nil {
				t.Errorf("%d bytes used, %d of payload, %v", used, len(got.payload), err)
			}
			return
		}
		want, err := readByAnother(b)
		if err != nil || want.Header.Masked || byte(want.Header.OpCode) != got.kind || want.Header.Fin != got.last || !bytes.Equal(want.Payload, got.payload) {
			t.Errorf("read %+v, another's library %+v, %v", got, want, err)
		}
	})
}

func FuzzReadHandshake(f *testing.F) {
	h := newHandshake(&endpoint{announce: "/", host: "x"}, rand.New(rand.NewPCG(1, 2)))
	f.Add([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + string(h.accept) + "\r\n\r\n\x81\x00"))
	f.Add([]byte("HTTP/1.1 404 Not Found\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		used, err := h.read(b)
		if used > len(b) || (used > 0 && (err != nil || !bytes.Contains(b[:used], h.accept))) {
			t.Errorf("%d of %d bytes, %v", used, len(b), err)
		}
	})
}
