package events

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"waggle/events/signature"
)

// How batches are published.
const (
	JetStreamAuto   = "auto"   // to a stream where there is one, which says that it has them
	JetStreamAlways = "always" // to a stream, and where there is none they wait
	JetStreamNever  = "never"  // to whoever listens
)

// NATS is where batches are published.
type NATS struct {
	URL         string // tls://host:port, or nats://host:port
	Plain       bool   // without TLS, where the URL does not demand it
	Subject     string
	JetStream   string // JetStreamAuto, JetStreamAlways or JetStreamNever; "": the first
	Credentials string // the path of a .creds file; "": none
}

// broker publishes batches to a NATS.
type broker struct {
	o      NATS
	nc     *nats.Conn
	js     nats.JetStreamContext
	gone   chan struct{}
	was    error                 // of the connection, before the attempt
	lost   atomic.Pointer[error] // why it is not reached
	mode   mode
	looked time.Time
	had    bool // a stream has taken something
}

// mode is what is known of a stream.
type mode uint8

const (
	unknown mode = iota
	streamed
	plain
)

// lookAgain is how often it is looked whether there is a stream by now.
const lookAgain = time.Minute

func newBroker(o *NATS) (*broker, error) {
	b := &broker{o: *o, gone: make(chan struct{})}
	options := []nats.Option{
		nats.Name("waggle events"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(500 * time.Millisecond), nats.ReconnectJitter(500*time.Millisecond, 500*time.Millisecond),
		nats.ReconnectBufSize(-1), nats.IgnoreDiscoveredServers(), nats.Timeout(2 * time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // which comes late: see forbidden
		nats.DisconnectErrHandler(b.away), nats.ReconnectErrHandler(b.away),
		nats.ClosedHandler(func(*nats.Conn) { close(b.gone) }),
	}
	if !o.Plain {
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	var err error
	if b.nc, err = nats.Connect(o.URL, options...); err != nil {
		return nil, fmt.Errorf("the NATS of events: %w", err)
	}
	if b.js, err = b.nc.JetStream(); err != nil {
		return nil, errors.Join(fmt.Errorf("the NATS of events: %w", err), b.close())
	}
	if o.JetStream == JetStreamNever {
		b.mode = plain
	}
	return b, nil
}

func (b *broker) away(_ *nats.Conn, err error) {
	if err != nil {
		b.lost.Store(&err)
	}
}

// unreached says why there is no connection.
func (b *broker) unreached() error {
	if err := b.lost.Load(); err != nil {
		return fmt.Errorf("the NATS is not reached: %w", *err)
	}
	return errors.New("the NATS is not reached")
}

func (b *broker) send(ctx context.Context, e *envelope, _ *Settings) error {
	if !b.nc.IsConnected() {
		return b.unreached()
	}
	if most := b.nc.MaxPayload(); most > 0 && int64(len(e.body)) > most {
		return exceeds(most)
	}
	b.was = b.nc.LastError()
	if err := b.look(ctx); err != nil {
		return b.explain(err)
	}
	m := nats.NewMsg(b.o.Subject)
	m.Data = e.body
	m.Header.Set(nats.MsgIdHdr, e.id)
	m.Header.Set("Content-Type", "application/json")
	m.Header.Set(signature.Header, e.signature)
	if e.gzipped {
		m.Header.Set("Content-Encoding", "gzip")
	}
	if b.mode == streamed {
		_, err := b.js.PublishMsg(m, nats.Context(ctx), nats.RetryAttempts(0))
		if err != nil {
			b.looked = time.Time{} // it may be gone
		}
		b.had = b.had || err == nil
		return b.explain(err)
	}
	err := b.nc.PublishMsg(m)
	if err == nil {
		err = b.nc.FlushWithContext(ctx)
	}
	if err == nil && b.forbidden() {
		err = nats.ErrPermissionViolation
	}
	return b.explain(err)
}

// forbidden reports whether the NATS has refused something since the attempt began. It says so before it answers
// what came after that.
func (b *broker) forbidden() bool {
	err := b.nc.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && err != b.was //nolint:errorlint // another one, of whatever kind
}

// look finds out whether a stream takes the subject, where that is not known, or long ago.
func (b *broker) look(ctx context.Context) error {
	if b.o.JetStream == JetStreamNever || time.Since(b.looked) < lookAgain {
		return nil
	}
	mode := streamed
	if b.o.JetStream != JetStreamAlways && !b.had { // or what it is to have would be lost while it is away
		_, err := b.js.StreamNameBySubject(b.o.Subject, nats.Context(ctx))
		switch {
		case err == nil:
		case errors.Is(err, nats.ErrNoMatchingStream), errors.Is(err, nats.ErrJetStreamNotEnabled),
			errors.Is(err, nats.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
			mode = plain
		default:
			return fmt.Errorf("whether a stream takes %s is not known: %w; set events.jetstream to always or never", b.o.Subject, err)
		}
	}
	b.mode, b.looked = mode, time.Now()
	return nil
}

// explain adds what to do.
func (b *broker) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrPermissionViolation), b.forbidden():
		return fmt.Errorf("the NATS has to let this user publish to %s, and to $JS.API.STREAM.NAMES unless events.jetstream says whether there is a stream", b.o.Subject)
	case errors.Is(err, nats.ErrNoStreamResponse) && b.had && b.o.JetStream != JetStreamAlways:
		return fmt.Errorf("no stream takes %s any more, which one did: make it again, or set events.jetstream to never", b.o.Subject)
	case errors.Is(err, nats.ErrNoStreamResponse):
		return fmt.Errorf("no stream takes %s", b.o.Subject)
	case errors.Is(err, nats.ErrMaxPayload):
		return exceeds(b.nc.MaxPayload()) // with its headers it does
	}
	if e, is := errors.AsType[*nats.APIError](err); is && e.ErrorCode == streamTakesLess {
		return &tooLarge{&unfit{fmt.Errorf("the stream takes no messages as large: raise its limit of their size: %w", err)}}
	}
	return err
}

// streamTakesLess is the code of a stream's error where its messages must be smaller.
const streamTakesLess = 10054

// exceeds is the error of a message that a NATS does not take.
func exceeds(most int64) error {
	return &tooLarge{&unfit{fmt.Errorf("a single event is larger than the %d bytes that the NATS takes: raise its max_payload", most)}}
}

func (b *broker) target(*Settings) string {
	u, err := url.Parse(b.o.URL)
	if err != nil {
		return b.o.Subject
	}
	return u.Scheme + "://" + u.Host + " " + b.o.Subject
}

func (b *broker) close() error {
	b.nc.Close()
	<-b.gone
	return nil
}
