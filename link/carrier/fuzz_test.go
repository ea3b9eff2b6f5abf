package carrier

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzInvitation(f *testing.F) {
	in, _ := newInvitation(f)
	f.Add(in.Line())
	f.Add(linePrefix)
	f.Add("waggle-link-2.e30")
	f.Add(linePrefix + "e30")
	f.Fuzz(func(t *testing.T, line string) {
		in, err := ParseInvitation(line)
		if err != nil {
			if len(err.Error()) > 300 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
			return
		}
		again, err := ParseInvitation(in.Line())
		if err != nil || again.Name != in.Name || again.Pin != in.Pin || again.seed.reveal() != in.seed.reveal() || strings.Join(again.Addresses, " ") != strings.Join(in.Addresses, " ") {
			t.Errorf("%v became %v, %v", in, again, err)
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(appendData(nil, 7, 1, flagFirst|flagLast, []byte("message")), []byte{})
	f.Add(appendData(nil, 7, 0, flagFirst, []byte("mess")), appendData(nil, 7, 4+FrameCost, flagLast, []byte("age")))
	f.Add(appendBeat(nil, 7, 1, 2), []byte{beat})
	f.Add(newControl(knock, 7, &control{Version: 1, Life: 2, Client: 3}), []byte{knock})
	f.Add(newControl(welcome, 7, &control{Name: "hub", Rights: &everything}), []byte{})
	f.Add(newControl(bye, 7, &control{Words: "why\n", Wait: -1}), []byte{})
	f.Fuzz(func(t *testing.T, b, second []byte) {
		l := newLink("leaf", "", 7, nil, usual, way{})
		var whole assembly
		for _, b := range [][]byte{b, second} {
			frame, err := parseFrame(b)
			if err != nil {
				continue
			}
			if frame.kind == data {
				again := appendData(nil, frame.session, frame.position, frame.flags, frame.body)
				if !bytes.Equal(again, b) {
					t.Errorf("%x became %x", b, again)
				}
				if message, ok := whole.add(&frame); ok && len(message) > MaxMessage {
					t.Errorf("a message of %d bytes", len(message))
				}
			}
			c := frame.control
			if c == nil {
				c = new(control)
			}
			w := c.Words
			if len(w) > maxWords+3 || strings.ContainsAny(w, "\n\r\x1b") || c.wait() < 0 || c.wait() > longest {
				t.Errorf("taken as it is: %q, %v", w, c.wait())
			}
			l.receive(&frame)
		}
	})
}
