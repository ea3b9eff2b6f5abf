//go:build !function

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"waggle/peer"
)

// view shows one torrent, once a second.
type view struct {
	torrent *peer.Torrent
	display *display
	rates   rates
	told    bool // what was resumed
}

func newView(t *peer.Torrent, d *display) *view {
	return &view{torrent: t, display: d, rates: startRates()}
}

// until shows the torrent until wait returns.
func (v *view) until(ctx context.Context, wait func(context.Context) error) error {
	waited := make(chan error, 1)
	go func() { waited <- wait(ctx) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-waited:
			v.tellResumed()
			return err
		case now := <-tick.C:
			v.tellResumed()
			v.display.show(v.look(now), now)
		}
	}
}

// tellResumed says once what did not have to be fetched again.
func (v *view) tellResumed() {
	s := v.torrent.Stats()
	if v.told || s.Phase == peer.Checking {
		return
	}
	v.told = true
	if s.Resumed > 0 {
		v.display.finishPart(fmt.Sprintf("%s: %d bytes resumed, not fetched again; %d of them not even hashed",
			printable(v.torrent.Metainfo().Name), s.Resumed, min(s.Vouched, s.Resumed)))
	}
}

// finishPart prints a result that comes before the end.
func (d *display) finishPart(words string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil {
		_ = d.bar.Clear()
	}
	if d.json == nil {
		_, _ = fmt.Fprintln(d.out, words)
	}
}

func (v *view) look(now time.Time) transferProgress {
	s := v.torrent.Stats()
	m := v.torrent.Metainfo()
	p := transferProgress{
		Name: m.Name, InfoHash: m.InfoHash().String(), Phase: s.Phase.String(), Size: s.Size, Have: s.Have,
		Downloaded: s.Downloaded, Uploaded: s.Uploaded, Peers: s.Peers, Seeders: s.Seeders,
	}
	if s.Phase != peer.Checking {
		p.Resumed = &s.Resumed
	}
	v.rates.measure(&p, now, func() int64 { return s.Size - s.Have }, func() int64 { return v.rates.down })
	return p
}

// last is the torrent at its end.
func (v *view) last(event, path string) transferProgress {
	p := v.look(time.Now())
	p.Event, p.Path = event, path
	return p
}

// reason says why a transfer has ended early, and notes it.
func (v *view) reason(err error, last *transferProgress) error {
	if err == nil {
		return nil
	}
	last.Event, last.Path = "failed", ""
	if errors.Is(err, context.Canceled) {
		last.Event = "stopped"
		err = fmt.Errorf("stopped with %s of %s; the same command goes on from there", iec(last.Have), iec(last.Size))
	}
	last.Error = err.Error()
	return err
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond)
}
