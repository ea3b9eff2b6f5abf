package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"waggle/swarm"
)

// Settings are what may change while events are told.
type Settings struct {
	Batch     int           // events of one batch at most
	Every     time.Duration // how long an event waits for others
	Addresses bool          // whether events have the addresses of peers
	Compress  bool          // whether batches are compressed by gzip
	Timeout   time.Duration // of one attempt to deliver a batch
	PutAside  time.Duration // after which a batch is put aside that an end does not want; 0: never
	Secrets   [][]byte      // that batches are signed with, the newest first
	Webhook   string        // where batches are posted to
	Disk      int64         // bytes that may wait there
	Memory    int64         // bytes that may wait there, where the disk has no room
}

// Options are what a stream is made with.
type Options struct {
	Settings

	NATS      *NATS    // where batches are published; nil: nowhere
	Directory string   // of the spool; "": in memory alone
	Tracker   string   // what this tracker is called
	Software  string   // with its version
	Passkeys  Passkeys // nil: they are told as hashes

	Log *slog.Logger     // nil: the default one
	Now func() time.Time // nil: time.Now

	ends []*end // of tests, in place of Settings.Webhook and NATS
}

// closeTime is how long the end waits for ends to take what is left.
const closeTime = 5 * time.Second

// Stream tells of announces. It is a tracker.Recorder. All methods may be called concurrently,
// but for Close, after which none may.
type Stream struct {
	o        Options
	settings atomic.Pointer[Settings]
	intake   *intake
	spool    *spool
	ends     []*end
	filled   batcher

	stop    chan struct{}
	pumping sync.WaitGroup
	others  sync.WaitGroup
	cancel  context.CancelFunc
}

// Open begins to tell of announces. The ends may be out of reach; errors are of what was configured, and
// of the folder.
func Open(o Options) (*Stream, error) {
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Stream{o: o, intake: newIntake(), stop: make(chan struct{})}
	s.settings.Store(&o.Settings)
	if s.ends = o.ends; s.ends == nil {
		if err := s.makeEnds(); err != nil {
			return nil, errors.Join(err, s.closeEnds())
		}
	}
	names := make([]string, len(s.ends))
	for i, e := range s.ends {
		names[i] = e.name
	}
	var err error
	if s.spool, err = openSpool(o.Directory, o.Disk, o.Memory, names, o.Log, o.Now); err != nil {
		return nil, errors.Join(err, s.closeEnds())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.pumping.Go(s.pump)
	s.others.Go(func() { s.keep(ctx) })
	for i, e := range s.ends {
		e.stream, e.cursor = s, s.spool.cursors[i]
		s.others.Go(func() { e.run(ctx) })
	}
	return s, nil
}

func (s *Stream) makeEnds() error {
	if s.o.Webhook != "" {
		s.ends = append(s.ends, newEnd("webhook", newWebhook(s.o.Software)))
	}
	if s.o.NATS != nil {
		n, err := newBroker(s.o.NATS)
		if err != nil {
			return err
		}
		s.ends = append(s.ends, newEnd("nats", n))
	}
	if len(s.ends) == 0 {
		return errors.New("events: there is nobody to tell")
	}
	return nil
}

func (s *Stream) closeEnds() error {
	var errs []error
	for _, e := range s.ends {
		errs = append(errs, e.sender.close())
	}
	return errors.Join(errs...)
}

// Announce takes in an announce. It never waits and allocates nothing.
func (s *Stream) Announce(a *swarm.Announce) { s.intake.announce(a) }

// Gone takes in what the store tells of a peer that it has forgotten. Of one that has said that
// it stops, Announce has told. It never waits.
func (s *Stream) Gone(c *swarm.Change) {
	if c.Kind == swarm.PeerGone && !c.Stopped && !c.Relayed {
		s.intake.gone(c, s.o.Now())
	}
}

// Apply replaces the settings. Where the webhook is changes only where there was one.
func (s *Stream) Apply(settings Settings) {
	s.settings.Store(&settings)
	s.spool.bounds(settings.Disk, settings.Memory)
	for _, e := range s.ends {
		e.again()
	}
}

// ticks is how often within Settings.Every the queue is looked at.
const ticks = 10

// pump makes batches of events until the stream is closed.
func (s *Stream) pump() {
	for {
		timer := time.NewTimer(s.settings.Load().Every / ticks)
		select {
		case <-s.stop:
			timer.Stop()
			s.gather()
			s.cut()
			return
		case <-s.intake.wake:
		case <-timer.C:
		}
		timer.Stop()
		s.gather()
	}
}

// maxBody is how long a batch may be, so that a NATS takes it, whose messages are as a rule at most 1 MiB.
const maxBody = 512 << 10

// batcher is the batch that is being made.
type batcher struct {
	lines lines
	body  []byte
	count int
	at    int64     // of the first event, Unix nanoseconds
	since time.Time // when that was taken out of the queue
	lost  uint64    // events before it
}

// gather takes the events out of the queue, and cuts off batches that are full or old enough.
func (s *Stream) gather() {
	settings, f := s.settings.Load(), &s.filled
	f.lines.addresses, f.lines.passkeys = settings.Addresses, s.o.Passkeys
	if n := len(settings.Secrets); n > 0 {
		f.lines.use(settings.Secrets[n-1])
	}
	now := s.o.Now()
	lost := s.intake.take(func(e *slot) {
		if f.count == 0 {
			f.at, f.since = e.at, now
		} else {
			f.body = append(f.body, ",\n"...)
		}
		f.body = f.lines.append(f.body, e)
		if f.count++; f.count >= settings.Batch || len(f.body) >= maxBody {
			s.cut()
		}
	})
	if lost > 0 {
		s.cut()
		f.lost += lost
	}
	if f.count > 0 && now.Sub(f.since) >= settings.Every-settings.Every/ticks {
		s.cut()
	}
}

// cut ends the batch.
func (s *Stream) cut() {
	f := &s.filled
	if f.count == 0 {
		return
	}
	s.spool.append(f.body, f.count, time.Unix(0, f.at), f.lost)
	f.body, f.count, f.lost = f.body[:0], 0, 0
}

// keep has the spool kept on disk.
func (s *Stream) keep(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var told time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.spool.sync(); err != nil && s.o.Now().Sub(told) >= sayAgain {
			told = s.o.Now()
			s.o.Log.Error("who has which events cannot be written down: after a kill some are delivered again", "directory", s.o.Directory, "error", err)
		}
	}
}

// Close delivers what is left, as far as that is possible in some seconds, and keeps the rest for
// the next start. An error says what is lost.
func (s *Stream) Close() error {
	close(s.stop)
	s.pumping.Wait()
	s.settle()
	s.cancel()
	s.others.Wait()
	err := s.closeEnds()
	lost, failed := s.spool.close()
	if err = errors.Join(err, failed); lost > 0 {
		why := "events.directory is empty, so nothing is kept"
		if s.o.Directory != "" {
			why = "the folder of events cannot be written"
		}
		err = errors.Join(err, fmt.Errorf("%d events were not delivered and are lost: %s", lost, why))
	}
	return err
}

// settle waits until all ends have all, or fail, or it takes too long.
func (s *Stream) settle() {
	deadline := time.NewTimer(closeTime)
	defer deadline.Stop()
	look := time.NewTicker(closeTime / 500)
	defer look.Stop()
	for {
		busy := false
		for _, e := range s.ends {
			w := s.spool.waiting(e.cursor)
			busy = busy || w.events > 0 && (e.good() || s.o.Directory == "")
		}
		if !busy {
			return
		}
		select {
		case <-deadline.C:
			return
		case <-look.C:
		}
	}
}

// Figures are what a stream did, and how it is.
type Figures struct {
	Taken    uint64 // events taken in since the start
	OnDisk   int64  // bytes that wait there
	InMemory int64  // bytes that wait there
	Problem  string // why nothing can be written to disk; "": it can, or need not
	Ends     []End
}

// End is one that is told.
type End struct {
	Name    string // webhook or nats
	Target  string // where it is, without what is secret in it
	Sent    uint64 // events that it has taken since the start
	Batches uint64 // that it has taken since the start
	Failed  uint64 // attempts since the start that it did not take
	Lost    uint64 // events since the start that it will never have
	Waiting uint64 // events
	Oldest  time.Duration
	Problem string    // what was wrong with the last attempt; "": nothing
	Since   time.Time // when that began; zero: there is none
	Last    time.Time // when it last took a batch; zero: never
}

// Figures returns them as of now.
func (s *Stream) Figures() Figures {
	use := s.spool.use()
	f := Figures{Taken: s.intake.taken.Load(), OnDisk: use.onDisk, InMemory: use.inMemory}
	if use.broken != nil {
		f.Problem = use.broken.Error()
	}
	for _, e := range s.ends {
		f.Ends = append(f.Ends, e.figures())
	}
	return f
}
