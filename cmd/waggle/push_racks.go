//go:build !function

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"waggle/console/client"
)

// racksView is when the racks of a transfer are shown.
type racksView struct {
	next time.Time // zero: not known yet
	off  bool      // the tracker knows no locations
}

// Racks are shown less often on a terminal, where they push away what was there.
const (
	racksEvery           = lineEvery
	racksEveryOnTerminal = 30 * time.Second

	// maxRacks are shown at a time.
	maxRacks = 10
)

// racksProgress is how far the racks of a transfer are: a line of --json.
type racksProgress struct {
	Event      string         `json:"event"` // racks
	InfoHash   string         `json:"info_hash"`
	Complete   int            `json:"complete"`   // racks
	Incomplete int            `json:"incomplete"` // racks
	Racks      []rackProgress `json:"racks"`      // those that are not complete, the worst first
}

// rackProgress is how far a rack is.
type rackProgress struct {
	Path           string   `json:"path"`
	State          string   `json:"state"` // waiting, starving or incomplete
	Seeders        int      `json:"seeders"`
	Leechers       int      `json:"leechers"`
	Progress       *float64 `json:"progress,omitempty"` // 0 to 1
	ImportedAtMost int64    `json:"imported_at_most"`   // bytes across its uplink
}

// showRacks shows the racks that are not complete, if it is time to.
func (f *following) showRacks(ctx context.Context, now time.Time) {
	every := racksEvery
	if f.display.isTerm && f.display.json == nil {
		every = racksEveryOnTerminal
	}
	if f.racks.next.IsZero() {
		f.racks.next = now.Add(every)
	}
	if f.racks.off || now.Before(f.racks.next) {
		return
	}
	f.racks.next = now.Add(every)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	places, err := f.tracker.Places(ctx, f.before.InfoHash)
	var problem *client.Problem
	if errors.As(err, &problem) && problem.Status == http.StatusNotFound {
		f.racks.off = true // a tracker that does not know of places, or not of the torrent
	}
	if err != nil || len(places) == 0 {
		return // whether the tracker answers at all is told elsewhere
	}
	f.display.showRacks(racksOf(f.before.InfoHash.String(), places))
}

// racksOf picks the racks of places.
func racksOf(hash string, places []client.Place) racksProgress {
	racks := racksProgress{Event: "racks", InfoHash: hash, Racks: []rackProgress{}}
	for i := range places {
		p := &places[i]
		if p.Height != 1 || p.Leechers+p.Seeders == 0 {
			continue
		}
		if p.Leechers == 0 {
			racks.Complete++
			continue
		}
		racks.Incomplete++
		racks.Racks = append(racks.Racks, rackProgress{
			Path: p.Path, State: stateOf(p), Seeders: p.Seeders, Leechers: p.Leechers, Progress: p.Progress, ImportedAtMost: p.ImportedAtMost,
		})
	}
	slices.SortStableFunc(racks.Racks, func(a, b rackProgress) int {
		return cmp.Or(urgency(a.State)-urgency(b.State), cmp.Compare(a.share(), b.share()))
	})
	return racks
}

// urgency orders the states of racks.
func urgency(state string) int {
	return slices.Index([]string{"starving", "waiting", "incomplete"}, state)
}

func (r *rackProgress) share() float64 {
	if r.Progress == nil {
		return 0
	}
	return *r.Progress
}

// line is a rack in words.
func (r *rackProgress) line() string {
	text := fmt.Sprintf("  %s: %s, %s of %s complete, at most %s over its uplink",
		printable(r.Path), percentage(r.share()), commas(r.Seeders), count(r.Seeders+r.Leechers, "peer"), iec(max(r.ImportedAtMost, 0)))
	if r.State != "incomplete" {
		text += ", " + r.State
	}
	return text
}

// lines are racks in words, the worst of them.
func (r *racksProgress) lines() string {
	var text strings.Builder
	for i := range r.Racks[:min(len(r.Racks), maxRacks)] {
		text.WriteString(r.Racks[i].line() + "\n")
	}
	if more := len(r.Racks) - maxRacks; more > 0 {
		fmt.Fprintf(&text, "  and %s more; waggle transfers --places %s shows them\n", count(more, "rack"), r.InfoHash)
	}
	return text.String()
}

// showRacks tells of racks that are not complete: in lines, or as JSON.
func (d *display) showRacks(r racksProgress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.json != nil {
		_ = d.json.Encode(r)
		return
	}
	if d.bar != nil {
		_ = d.bar.Clear()
	}
	_, _ = fmt.Fprint(d.err, r.lines())
}
