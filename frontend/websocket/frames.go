package websocket

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/gobwas/ws"

	"waggle/bittorrent"
)

// maxMessage is the longest message in bytes. Ten offers of a browser with many addresses
// take a half of that.
const maxMessage = 64 << 10

// errTooBig is why a connection is closed.
const errTooBig bittorrent.Error = "a message of more than 64 KiB"

// receive takes what was read: it answers the frames that are whole, and keeps the
// beginning of the next. It reports false where nothing more is to be answered. in may lie
// in what is kept, and is not what it was afterwards.
func (c *conn) receive(w *work, in []byte) (more bool) {
	for len(in) > 0 {
		h, size, err := w.header(in)
		if err == nil && size == 0 {
			return c.await(w, in, ws.MaxHeaderSize)
		}
		if err == nil {
			err = ws.CheckHeader(h, c.frameState())
		}
		if err != nil {
			return w.hangUp(c, ws.StatusProtocolError, err)
		}
		if h.Length > maxMessage-int64(len(c.fragments())) {
			return w.hangUp(c, ws.StatusMessageTooBig, errTooBig)
		}
		end := size + int(h.Length)
		if end > len(in) {
			return c.await(w, in, end)
		}
		ws.Cipher(in[size:end], h.Mask, 0)
		if !c.frame(w, h, in[size:end]) {
			return false
		}
		if c.fragments() == nil {
			c.isInTime() // what it owed is there
		}
		in = in[end:]
	}
	c.keep(nil, 0)
	c.settle()
	return true
}

// frameState is what the next frame is checked against.
func (c *conn) frameState() ws.State {
	if c.fragments() != nil {
		return ws.StateServerSide | ws.StateFragmented
	}
	return ws.StateServerSide
}

// await keeps the beginning of a frame until the rest is there.
func (c *conn) await(w *work, in []byte, room int) (more bool) {
	if !c.keep(in, room) {
		return w.hangUp(c, ws.StatusPolicyViolation, errMemory)
	}
	c.settle()
	return true
}

// isInTime notes that the client owes no part of a message. It writes only where that is news: to
// write costs as much as a lock.
func (c *conn) isInTime() {
	if c.late.Load() != 0 {
		c.late.Store(0)
	}
}

// settle notes whether the client owes a part of a message.
func (c *conn) settle() {
	if c.begun == nil {
		c.isInTime()
	} else {
		c.late.CompareAndSwap(0, c.server.seconds())
	}
}

// frame answers a frame that has been checked.
func (c *conn) frame(w *work, h ws.Header, payload []byte) (more bool) {
	switch h.OpCode {
	case ws.OpPing:
		w.send(c, ws.OpPong, payload)
		return true
	case ws.OpPong:
		return true
	case ws.OpClose:
		return w.goodbye(c, payload)
	}
	if c.fragments() == nil && h.Fin {
		return w.message(c, payload)
	}
	if !c.keepFragment(payload) {
		return w.hangUp(c, ws.StatusPolicyViolation, errMemory)
	}
	if !h.Fin {
		return true
	}
	more = w.message(c, c.fragments())
	c.dropFragments()
	return more
}

// goodbye answers the last frame of a client: its code goes back, as RFC 6455 has it.
func (w *work) goodbye(c *conn, payload []byte) (more bool) {
	if len(payload) > 0 {
		code, reason := ws.ParseCloseFrameData(payload)
		if err := ws.CheckCloseFrameData(code, reason); err != nil {
			return w.hangUp(c, ws.StatusProtocolError, err)
		}
		payload = payload[:2]
	}
	w.send(c, ws.OpClose, payload)
	return false
}

// hangUp closes a connection, and says why.
func (w *work) hangUp(c *conn, code ws.StatusCode, why error) (more bool) {
	c.server.figures.hungUp.Add(1)
	w.send(c, ws.OpClose, ws.NewCloseFrameBody(code, why.Error()))
	return false
}

// header reads the header of a frame, and returns its length in bytes; 0: it is not there as
// a whole.
func (w *work) header(in []byte) (h ws.Header, size int, err error) {
	w.reader.Reset(in)
	h, err = ws.ReadHeaderBuffer(&w.reader, w.head[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return h, 0, nil
	}
	return h, len(in) - w.reader.Len(), err
}

func headerSize(length int) int {
	switch {
	case length < 126:
		return 2
	case length <= math.MaxUint16:
		return 4
	}
	return 10
}

// appendHeader appends the header of a whole message, or of a control frame.
func appendHeader(b []byte, op ws.OpCode, length int) []byte {
	const whole = 0x80
	b = append(b, whole|byte(op))
	switch headerSize(length) {
	case 2:
		return append(b, byte(length))
	case 4:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(length))
}
