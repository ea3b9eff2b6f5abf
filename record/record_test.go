package record

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/locality"
	"waggle/swarm"
)

func sample(t testing.TB) (*swarm.Announce, Announce) {
	t.Helper()
	tree, err := locality.NewTree(10, "row", "rack")
	if err != nil {
		t.Fatal(err)
	}
	place, err := tree.Group(`r"1/é7`)
	if err != nil {
		t.Fatal(err)
	}
	a := &swarm.Announce{
		AnnounceRequest: bittorrent.AnnounceRequest{
			InfoHash: bittorrent.InfoHash{1, 19: 2}, PeerID: bittorrent.PeerID{3, 19: 255}, Port: 6881, Left: bittorrent.LeftUnknown,
			Uploaded: 7, Downloaded: 1 << 40, Event: bittorrent.EventStarted, NumWant: -1,
		},
		From: netip.MustParseAddr("2001:db8::1"), Now: time.Unix(1_700_000_000, 123_456_789), Location: place,
	}
	return a, Announce{
		At: time.Unix(1_700_000_000, 123_456_000), InfoHash: a.InfoHash, PeerID: a.PeerID, Addr: a.Addr(), Left: a.Left,
		Uploaded: 7, Downloaded: 1 << 40, Event: bittorrent.EventStarted, NumWant: -1, Path: `r"1/é7`,
	}
}

// file is a file in memory.
type file struct {
	bytes.Buffer
	closed bool
}

func (f *file) Close() error {
	f.closed = true
	return nil
}

func read(t *testing.T, text string) (all []Announce, err error) {
	t.Helper()
	for a, err := range Read(strings.NewReader(text), "x") {
		if err != nil {
			return all, err
		}
		all = append(all, *a)
	}
	return all, nil
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	a, want := sample(t)
	var f file
	w := NewWriter(&f, 0, nil)
	w.Announce(a)
	w.Announce(a)
	if err := w.Close(); err != nil || !f.closed || w.Written() != 2 || w.Dropped() != 0 {
		t.Fatalf("Close: %v, closed %t, %d written, %d dropped", err, f.closed, w.Written(), w.Dropped())
	}
	const line = `{"t":1700000000.123456,"hash":"0100000000000000000000000000000000000002","addr":"[2001:db8::1]:6881",` +
		`"id":"03000000000000000000000000000000000000ff","left":9223372036854775807,"up":7,"down":1099511627776,` +
		`"event":"started","want":-1,"path":"r\"1/é7"}` + "\n"
	if f.String() != line+line {
		t.Errorf("wrote %s, want %s twice", f.String(), line)
	}
	got, err := read(t, f.String())
	if err != nil || len(got) != 2 || got[0] != want || got[1] != want {
		t.Errorf("read %+v, %v, want %+v twice", got, err, want)
	}
}

func TestFullFileDropsAndCounts(t *testing.T) {
	a, _ := sample(t)
	var f file
	w := NewWriter(&f, 600, nil)
	for range 10 {
		w.Announce(a)
	}
	if err := w.Close(); err != nil || f.Len() > 600 || w.Written() != 2 || w.Dropped() != 8 {
		t.Errorf("%v, %d bytes, %d written, %d dropped; want 2 and 8 within 600 bytes", err, f.Len(), w.Written(), w.Dropped())
	}
}

// stuck is a file that takes nothing until it is let go.
type stuck struct {
	file
	letGo chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.letGo
	return s.file.Write(b)
}

func TestSlowFileHoldsUpNoAnnounce(t *testing.T) {
	a, _ := sample(t)
	s := &stuck{letGo: make(chan struct{})}
	w := NewWriter(s, 0, nil)
	const n = 3 * queue
	for range n {
		w.Announce(a) // would block for ever
	}
	if w.Dropped() == 0 {
		t.Error("nothing is dropped, though nothing can be written")
	}
	close(s.letGo)
	if err := w.Close(); err != nil || w.Written()+w.Dropped() != n {
		t.Errorf("%v, %d written and %d dropped of %d", err, w.Written(), w.Dropped(), n)
	}
}

func TestRecordsAreFlushedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := sample(t)
		r, pipe := io.Pipe()
		w := NewWriter(pipe, 0, nil)
		w.Announce(a)
		start := time.Now()
		for _, err := range Read(r, "x") {
			if took := time.Since(start); err != nil || took > flushAfter {
				t.Errorf("read after %v: %v", took, err)
			}
			break
		}
		_ = r.Close()
		_ = w.Close()
	})
}

type broken struct{ file }

func (*broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestFileThatCannotBeWrittenIsToldOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := sample(t)
		ctx, told := context.WithCancelCause(t.Context())
		n := 0
		w := NewWriter(&broken{}, 0, func(err error) { n++; told(err) })
		w.Announce(a)
		<-ctx.Done()
		w.Announce(a)
		err := w.Close()
		if err == nil || !strings.Contains(err.Error(), "disk full") || n != 1 || w.Dropped() != 1 {
			t.Errorf("Close: %v, told %d times, %d dropped; want the error once, and 1 dropped", err, n, w.Dropped())
		}
	})
}

func TestAnnouncingAllocatesNothing(t *testing.T) {
	a, _ := sample(t)
	w := NewWriter(&file{}, 1, nil) // everything is dropped, by the goroutine that writes
	n := testing.AllocsPerRun(1000, func() { w.Announce(a) })
	if err := w.Close(); err != nil || n > 0 {
		t.Errorf("%v allocations an announce, %v", n, err)
	}
}

const good = `{"t":1.5,"hash":"0100000000000000000000000000000000000002","addr":"10.0.0.1:1","id":"03000000000000000000000000000000000000ff","left":1,"up":0,"down":0,"event":"","want":50,"path":""}`

func TestBadLinesAreRefusedWithTheirNumber(t *testing.T) {
	for what, change := range map[string][2]string{
		"unknown key":      {`"up":0`, `"up":0,"upp":1`},
		"no time":          {`"t":1.5,`, ``},
		"time in letters":  {`1.5`, `"x"`},
		"time below 0":     {`1.5`, `-1.5`},
		"short hash":       {`000002"`, `02"`},
		"hash in letters":  {`"0100`, `"0x00`},
		"no port":          {`:1"`, `:0"`},
		"a name":           {`10.0.0.1:1`, `localhost:1`},
		"zone":             {`10.0.0.1:1`, `[fe80::1%eth0]:1`},
		"negative left":    {`"left":1`, `"left":-1`},
		"event":            {`"event":""`, `"event":"none"`},
		"more on the line": {`"path":""}`, `"path":""}}`},
		"long path":        {`"path":""`, `"path":"` + strings.Repeat("x", maxPath+1) + `"`},
		"long line":        {`"path":""`, `"path":"` + strings.Repeat("x", maxLine) + `"`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s: nothing is changed", what)
		}
		all, err := read(t, good+"\n\n"+bad+"\n"+good+"\n")
		if err == nil || !strings.HasPrefix(err.Error(), "x:3: ") || len(all) != 1 {
			t.Errorf("%s: read %d and %v, want an error of line 3", what, len(all), err)
		}
	}
}

func TestLastLineThatWasCutOffIsPassedOver(t *testing.T) {
	for _, end := range []string{"", "\n", good[:50]} {
		if all, err := read(t, good+"\n"+end); err != nil || len(all) != 1 {
			t.Errorf("with %q behind: read %d, %v", end, len(all), err)
		}
	}
	if all, err := read(t, good); err != nil || len(all) != 1 {
		t.Errorf("without an end: read %d, %v", len(all), err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good + "\n"))
	f.Add([]byte(good[:40]))
	f.Add([]byte("\n\n{}\n"))
	f.Add([]byte(strings.Replace(good, "10.0.0.1:1", "[::ffff:10.0.0.1]:1", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for a, err := range Read(bytes.NewReader(data), "x") {
			if err != nil {
				return
			}
			text := a.append(nil)
			var again Announce
			if err := again.parse(text); err != nil || again != *a {
				t.Fatalf("%s is read as %+v, %v, and was %+v", text, again, err, *a)
			}
		}
	})
}
