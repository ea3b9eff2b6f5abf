package record

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"waggle/swarm"
)

// Bounds of a writer.
const (
	queue = 8192 // announces that wait to be written, some 1.5 MiB
	// flushAfter is how long a record may stay in the buffer.
	flushAfter = time.Second
)

// Writer writes announces to a file, from a goroutine of its own. Use [NewWriter]. All
// methods may be called concurrently, but for Close.
type Writer struct {
	out     io.WriteCloser
	most    int64
	queue   chan Announce
	closed  sync.WaitGroup
	written atomic.Uint64
	dropped atomic.Uint64
	failed  error // of writing; read once it is closed
}

// NewWriter returns a writer to out, which it closes, and writes at most so many
// bytes to: what comes then is dropped. 0: no limit. failed is told once of an error
// of writing, after which everything is dropped; nil: nobody is told before Close.
func NewWriter(out io.WriteCloser, most int64, failed func(error)) *Writer {
	w := &Writer{out: out, most: most, queue: make(chan Announce, queue)}
	w.closed.Go(func() { w.write(failed) })
	return w
}

// Announce records an announce, or drops it. It never blocks and allocates nothing.
// It may be called before or after the store has it; not after Close. Browsers, which have
// no port, are left out.
func (w *Writer) Announce(a *swarm.Announce) {
	if a.Port == 0 {
		return // of a browser, whom nobody is told of as of others
	}
	r := Announce{
		At: a.Now, InfoHash: a.InfoHash, PeerID: a.PeerID, Addr: a.Addr(), Left: a.Left,
		Uploaded: a.Uploaded, Downloaded: a.Downloaded, Event: a.Event, NumWant: a.NumWant,
	}
	if a.Location != nil {
		r.Path = a.Location.Path()
	}
	select {
	case w.queue <- r:
	default:
		w.dropped.Add(1)
	}
}

// Written returns how many announces were recorded, Dropped how many were not.
func (w *Writer) Written() uint64 { return w.written.Load() }

// Dropped returns how many announces were not recorded: the queue was full, the file,
// or it could not be written.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Close writes what is in the queue, and closes the file. The error is the first of
// writing or closing it.
func (w *Writer) Close() error {
	close(w.queue)
	w.closed.Wait()
	return w.failed
}

// write writes until the queue is closed.
func (w *Writer) write(failed func(error)) {
	buffer := bufio.NewWriterSize(w.out, 64<<10)
	flush := time.NewTicker(flushAfter)
	defer flush.Stop()
	var text []byte
	var size int64
	fail := func(err error) {
		if err != nil && w.failed == nil {
			w.failed = fmt.Errorf("recording announces: %w", err)
			if failed != nil {
				failed(w.failed)
			}
		}
	}
	for open := true; open; {
		select {
		case a, ok := <-w.queue:
			if open = ok; !ok {
				break
			}
			text = a.append(text[:0])
			if w.failed != nil || w.most > 0 && size+int64(len(text)) > w.most {
				w.dropped.Add(1)
				break
			}
			_, err := buffer.Write(text)
			fail(err)
			size += int64(len(text))
			w.written.Add(1)
		case <-flush.C:
			fail(buffer.Flush())
		}
	}
	fail(errors.Join(buffer.Flush(), w.out.Close()))
}
