//go:build !function

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// transferProgress is how far a transfer is: a line of --json. Its names stay;
// keys without a meaning in a command are left out.
type transferProgress struct {
	Event      string  `json:"event"` // progress, done, stopped or failed
	Name       string  `json:"name"`
	InfoHash   string  `json:"info_hash,omitempty"`
	Phase      string  `json:"phase,omitempty"` // checking, fetching or seeding
	Size       int64   `json:"size"`            // bytes
	Have       int64   `json:"have"`            // bytes; of push, over all other peers together
	Resumed    *int64  `json:"resumed,omitempty"`
	Downloaded int64   `json:"downloaded"`     // bytes, in this session
	Uploaded   int64   `json:"uploaded"`       // bytes, in this session
	Down       int64   `json:"down"`           // bytes a second
	Up         int64   `json:"up"`             // bytes a second
	Peers      int     `json:"peers"`          // connected; of push, known to the tracker
	Seeders    int     `json:"seeders"`        // of these
	ETA        *int64  `json:"eta,omitempty"`  // seconds
	Path       string  `json:"path,omitempty"` // of what is done
	Elapsed    float64 `json:"elapsed"`        // seconds
	Error      string  `json:"error,omitempty"`
}

// rates measures a transfer from one look at it to the next.
type rates struct {
	start, last    time.Time
	down, up       int64
	fetched, given int64
}

func startRates() rates {
	now := time.Now()
	return rates{start: now, last: now}
}

// measure fills in rates, time and, from what is left, the ETA.
func (r *rates) measure(p *transferProgress, now time.Time, left, rate func() int64) {
	p.Elapsed = now.Sub(r.start).Seconds()
	if seconds := now.Sub(r.last).Seconds(); seconds > 0 {
		// Half of the new and half of the old, so that a bar does not jump.
		r.down = (r.down + int64(float64(p.Downloaded-r.fetched)/seconds)) / 2
		r.up = (r.up + int64(float64(p.Uploaded-r.given)/seconds)) / 2
		r.last, r.fetched, r.given = now, p.Downloaded, p.Uploaded
	}
	p.Down, p.Up = r.down, r.up
	if n, speed := left(), rate(); n > 0 && speed > 0 {
		eta := n / speed
		p.ETA = &eta
	}
}

// display shows a transfer: as a bar on a terminal, as lines, or as JSON.
type display struct {
	mu     sync.Mutex
	out    io.Writer // results
	err    io.Writer // everything else
	json   *json.Encoder
	bar    *progressbar.ProgressBar // nil: none yet
	isTerm bool
	next   time.Time // of the next line
}

// lineEvery is how often a line is written where there is no terminal.
const lineEvery = 5 * time.Second

func newDisplay(out, err io.Writer, asJSON bool) *display {
	d := &display{out: out, err: err}
	if asJSON {
		d.json = json.NewEncoder(out)
		d.json.SetEscapeHTML(false)
	}
	if f, ok := err.(*os.File); ok {
		d.isTerm = term.IsTerminal(int(f.Fd()))
	}
	return d
}

// say tells the user something beside the progress.
func (d *display) say(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil {
		_ = d.bar.Clear()
	}
	_, _ = fmt.Fprintln(d.err, "waggle:", printable(text))
}

// show tells how far a transfer is. It is called once a second.
func (d *display) show(p transferProgress, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.Event = "progress"
	switch {
	case d.json != nil:
		_ = d.json.Encode(p)
	case d.isTerm:
		d.draw(p)
	default:
		if d.next.IsZero() {
			d.next = now.Add(lineEvery)
		}
		if !now.Before(d.next) {
			d.next = now.Add(lineEvery)
			_, _ = fmt.Fprintln(d.err, p.line())
		}
	}
}

func (d *display) draw(p transferProgress) {
	if d.bar == nil {
		d.bar = progressbar.NewOptions64(max(p.Size, 1),
			progressbar.OptionSetWriter(d.err),
			progressbar.OptionSetWidth(20),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionClearOnFinish())
	}
	d.bar.ChangeMax64(max(p.Size, 1))
	d.bar.Describe(p.words(""))                    // a bar has the percentage
	_ = d.bar.Set64(min(p.Have, max(p.Size, 1)-1)) // a bar that is full cannot be drawn again
}

// line is progress as a line of its own.
func (p *transferProgress) line() string {
	if p.Size == 0 {
		return p.words("")
	}
	return p.words(fmt.Sprintf("%d%% of ", int(100*float64(p.Have)/float64(p.Size))))
}

// words is progress in words.
func (p *transferProgress) words(share string) string {
	text := fmt.Sprintf("%s %s %s%s, down %s/s, up %s/s, %s",
		printable(p.Name), p.Phase, share, iec(p.Size), iec(max(p.Down, 0)), iec(max(p.Up, 0)), count(p.Peers, "peer"))
	if p.ETA != nil {
		text += fmt.Sprintf(", %s left", time.Duration(*p.ETA)*time.Second)
	}
	return text
}

// finish tells how a transfer has ended: in JSON, or in words where there are any.
func (d *display) finish(p transferProgress, words string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bar != nil {
		_ = d.bar.Clear()
		_ = d.bar.Exit()
	}
	if d.json != nil {
		_ = d.json.Encode(p)
		return
	}
	if words != "" {
		_, _ = fmt.Fprintln(d.out, words)
	}
}
