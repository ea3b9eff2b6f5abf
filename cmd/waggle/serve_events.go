//go:build !function

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"waggle/config"
	"waggle/console/client"
	"waggle/events"
	"waggle/metrics"
	"waggle/passkey"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// telling is what a service has of events.
type telling struct {
	events  *events.Stream // nil: nobody is told
	started atomic.Bool    // the store changes by what happens now
}

// hearGone has events told of peers that a store on this machine forgets.
func (s *service) hearGone(o *memory.Options) {
	if !s.config.Events.On() {
		return
	}
	others := o.Changed
	o.Changed = func(c *swarm.Change) {
		others(c)
		if c.Kind == swarm.PeerGone && s.telling.started.Load() && (s.instance == nil || s.instance.Answers()) { // or all of a cluster would tell
			s.events.Gone(c)
		}
	}
}

// openEvents begins to tell of announces, if somebody is to be told.
func (s *service) openEvents(o *tracker.Options) error {
	c := &s.config.Events
	if !c.On() {
		return nil
	}
	secrets, err := eventSecrets(c)
	if err != nil {
		return err
	}
	options := events.Options{
		Settings: eventSettings(&s.config, secrets), Directory: string(c.Directory),
		Tracker: linkName(s.config.Link.Name), Software: "waggle/" + version, Log: s.log,
	}
	if s.passkeys != nil {
		options.Passkeys = owners{s.passkeys}
	}
	if c.NATS != "" {
		options.NATS = &events.NATS{URL: string(c.NATS), Plain: c.Plain(), Subject: c.Subject, JetStream: c.JetStream, Credentials: string(c.Credentials)}
	}
	if s.events, err = events.Open(options); err != nil {
		return err
	}
	o.Recorders = append(o.Recorders, s.events)
	for _, e := range s.events.Figures().Ends {
		s.log.Info("announces are told", "to", e.Name, "at", e.Target, "waiting", e.Waiting)
	}
	return nil
}

// owners says whose a passkey is, by the id that it has in the book.
type owners struct{ book *passkey.Book }

// Identity is of [events.Passkeys].
func (o owners) Identity(secret string) string {
	id, _, _ := o.book.Owner(secret)
	return id
}

// tellGone has peers told of that are forgotten from now on.
func (s *service) tellGone() { s.telling.started.Store(s.events != nil) }

// eventSecrets reads what events are signed with.
func eventSecrets(c *config.Events) ([][]byte, error) {
	texts, err := client.ReadSecrets(string(c.SecretFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("events.secret_file: there is no %s: make one with (umask 077; openssl rand -hex 32 > %[1]s), and give the receiver the same", c.SecretFile)
	}
	if err != nil {
		return nil, fmt.Errorf("events.secret_file: %w", err)
	}
	secrets := make([][]byte, len(texts))
	for i, text := range texts {
		secrets[i] = []byte(text)
	}
	return secrets, nil
}

func eventSettings(c *config.Config, secrets [][]byte) events.Settings {
	e := &c.Events
	return events.Settings{
		Batch: e.Batch, Every: e.Every, Addresses: e.Addresses, Compress: e.Compress, Timeout: e.Timeout, PutAside: e.PutAside, Secrets: secrets,
		Webhook: string(e.Webhook), Disk: int64(c.Limits.EventsDisk), Memory: int64(c.Limits.EventsMemory),
	}
}

// reloadEvents returns what puts into force what can change while events are told.
func (s *service) reloadEvents(c config.Config) (use func(), err error) {
	if s.events == nil || !c.Events.On() {
		return func() {}, nil
	}
	secrets, err := eventSecrets(&c.Events)
	if err != nil {
		return nil, err
	}
	if c.Events.Webhook == "" || s.config.Events.Webhook == "" {
		c.Events.Webhook = s.config.Events.Webhook // which changes at a start alone
	}
	return func() { s.events.Apply(eventSettings(&c, secrets)) }, nil
}

// closeEvents delivers what is left, or keeps it.
func (s *service) closeEvents() error {
	if s.events == nil {
		return nil
	}
	return s.events.Close()
}

// shownEvents are events as the console shows them; nil: nobody is told.
func (s *service) shownEvents() *client.OverviewEvents {
	if s.events == nil {
		return nil
	}
	f := s.events.Figures()
	shown := &client.OverviewEvents{Taken: f.Taken, Disk: f.OnDisk, Memory: f.InMemory, Problem: f.Problem, Ends: make([]client.EventsEnd, len(f.Ends))}
	for i := range f.Ends {
		e := &f.Ends[i]
		shown.Ends[i] = client.EventsEnd{
			Name: e.Name, Target: e.Target, Sent: e.Sent, Waiting: e.Waiting, Oldest: e.Oldest.Seconds(), Lost: e.Lost,
			Problem: e.Problem, Since: e.Since.UTC(), Last: e.Last.UTC(),
		}
	}
	return shown
}

// eventMetrics are events as Prometheus scrapes them; nil: nobody is told.
func (s *service) eventMetrics() *metrics.Events {
	if s.events == nil {
		return nil
	}
	f := s.events.Figures()
	out := &metrics.Events{Taken: f.Taken, Disk: f.OnDisk, Memory: f.InMemory, Ends: make([]metrics.EventsEnd, len(f.Ends))}
	for i := range f.Ends {
		e := &f.Ends[i]
		out.Ends[i] = metrics.EventsEnd{Name: e.Name, Sent: e.Sent, Batches: e.Batches, Failed: e.Failed, Lost: e.Lost, Waiting: e.Waiting, Oldest: e.Oldest}
	}
	return out
}
