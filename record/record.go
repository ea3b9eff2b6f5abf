package record

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"waggle/bittorrent"
)

// Announce is one announce, as it is recorded.
type Announce struct {
	At         time.Time // to the microsecond
	InfoHash   bittorrent.InfoHash
	PeerID     bittorrent.PeerID
	Addr       netip.AddrPort
	Left       int64
	Uploaded   int64
	Downloaded int64
	Event      bittorrent.Event
	NumWant    int32
	Path       string // of the location, without quotes or control characters; "": unknown
}

var events = [...]string{
	bittorrent.EventNone: "", bittorrent.EventCompleted: "completed", bittorrent.EventStarted: "started",
	bittorrent.EventStopped: "stopped", bittorrent.EventPaused: "paused",
}

// append appends the line of an announce, with its end.
func (a *Announce) append(b []byte) []byte {
	micros := a.At.UnixMicro()
	b = append(b, `{"t":`...)
	b = strconv.AppendInt(b, micros/1e6, 10)
	b = append(b, '.')
	b = append(b, strconv.Itoa(1e6 + int(micros%1e6))[1:]...) // six digits
	b = append(b, `,"hash":"`...)
	b = hex.AppendEncode(b, a.InfoHash[:])
	b = append(b, `","addr":"`...)
	b = a.Addr.AppendTo(b)
	b = append(b, `","id":"`...)
	b = hex.AppendEncode(b, a.PeerID[:])
	for _, n := range [...]struct {
		key   string
		value int64
	}{{`","left":`, a.Left}, {`,"up":`, a.Uploaded}, {`,"down":`, a.Downloaded}} {
		b = append(b, n.key...)
		b = strconv.AppendInt(b, n.value, 10)
	}
	b = append(b, `,"event":"`...)
	if int(a.Event) < len(events) {
		b = append(b, events[a.Event]...)
	}
	b = append(b, `","want":`...)
	b = strconv.AppendInt(b, int64(a.NumWant), 10)
	b = append(b, `,"path":`...)
	path, err := json.Marshal(a.Path)
	if err != nil { // no string is refused
		path = []byte(`""`)
	}
	b = append(b, path...)
	return append(b, "}\n"...)
}

// line is a line as encoding/json reads it.
type line struct {
	T     *json.Number `json:"t"`
	Hash  string       `json:"hash"`
	Addr  string       `json:"addr"`
	ID    string       `json:"id"`
	Left  int64        `json:"left"`
	Up    int64        `json:"up"`
	Down  int64        `json:"down"`
	Event string       `json:"event"`
	Want  int32        `json:"want"`
	Path  string       `json:"path"`
}

// maxPath is the length of the longest path, in bytes.
const maxPath = 1024

// parse reads a line into a.
func (a *Announce) parse(text []byte) error {
	var l line
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return fmt.Errorf("no record of an announce: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than a record is on the line")
	}
	*a = Announce{Left: l.Left, Uploaded: l.Up, Downloaded: l.Down, NumWant: l.Want, Path: l.Path}
	return errors.Join(a.setTime(l.T), setHex(a.InfoHash[:], "hash", l.Hash), setHex(a.PeerID[:], "id", l.ID),
		a.setAddr(l.Addr), a.setEvent(l.Event), a.check())
}

func (a *Announce) setTime(n *json.Number) error {
	if n == nil {
		return errors.New("t is missing")
	}
	whole, fraction, _ := strings.Cut(n.String(), ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	micros, err2 := strconv.ParseUint((fraction + "000000")[:6], 10, 32)
	if err != nil || err2 != nil || seconds < 0 || seconds > math.MaxInt32*4 {
		return fmt.Errorf("t: %q is no time in Unix seconds", n)
	}
	a.At = time.Unix(seconds, int64(micros)*1000)
	return nil
}

func setHex(dst []byte, key, s string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%s: want %d hexadecimal digits, not %d characters", key, 2*len(dst), len(s))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("%s: want %d hexadecimal digits", key, 2*len(dst))
	}
	return nil
}

func (a *Announce) setAddr(s string) error {
	addr, err := netip.ParseAddrPort(s)
	if err != nil || addr.Addr().Zone() != "" || addr.Port() == 0 {
		return fmt.Errorf("addr: %.60q is no address and port", s)
	}
	a.Addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	return nil
}

func (a *Announce) setEvent(s string) error {
	for e, name := range events {
		if name == s {
			a.Event = bittorrent.Event(e)
			return nil
		}
	}
	return fmt.Errorf("event: %.20q is none", s)
}

func (a *Announce) check() error {
	switch {
	case a.Left < 0 || a.Uploaded < 0 || a.Downloaded < 0:
		return errors.New("left, up and down are not below 0")
	case len(a.Path) > maxPath:
		return fmt.Errorf("path: longer than %d bytes", maxPath)
	}
	return nil
}
