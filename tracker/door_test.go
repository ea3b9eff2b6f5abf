package tracker_test

import (
	"errors"
	"testing"
	"time"

	"waggle/bittorrent"
	"waggle/store/memory"
	"waggle/swarm"
	"waggle/tracker"
)

// doorFunc is a door of one function, and recorderFunc a recorder.
type (
	doorFunc     func(*swarm.Announce) error
	recorderFunc func(*swarm.Announce)
)

func (f doorFunc) Enter(a *swarm.Announce) error  { return f(a) }
func (f recorderFunc) Announce(a *swarm.Announce) { f(a) }

func TestDoorsAreAskedInTheirOrderBeforeAnythingIsRecorded(t *testing.T) {
	const closed bittorrent.Error = "the second door is closed"
	var asked, recorded []string
	store := memory.New(memory.Options{})
	tr := tracker.New(store, settings, tracker.Options{
		Doors: []tracker.Door{
			doorFunc(func(a *swarm.Announce) error { asked = append(asked, a.Credentials.Agent); return nil }),
			doorFunc(func(a *swarm.Announce) error {
				if a.Credentials.Passkey != "open" {
					return closed
				}
				return nil
			}),
		},
		Recorders: []tracker.Recorder{
			recorderFunc(func(*swarm.Announce) { recorded = append(recorded, "first") }),
			recorderFunc(func(*swarm.Announce) { recorded = append(recorded, "second") }),
		},
	})
	var r swarm.Reply
	a := announce(1, time.Unix(1, 0))
	a.Credentials.Agent = "client"
	if err := tr.Announce(t.Context(), a, &r); !errors.Is(err, closed) {
		t.Errorf("error %v, want %v", err, closed)
	}
	if totals, err := store.Totals(t.Context()); err != nil || totals.Peers != 0 || len(recorded) != 0 || tr.Figures().Refused != 1 {
		t.Errorf("%+v, %v, recorded %v, figures %+v: want nothing recorded and one refused", totals, err, recorded, tr.Figures())
	}
	a.Credentials.Passkey = "open"
	if err := tr.Announce(t.Context(), a, &r); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 2 || asked[0] != "client" || len(recorded) != 2 || recorded[0] != "first" {
		t.Errorf("asked %q, recorded %q", asked, recorded)
	}
}

// scrapeDoor is a door that scrapes come by too.
type scrapeDoor struct{ doorFunc }

func (d scrapeDoor) EnterScrape(c *swarm.Credentials, _ time.Time) error {
	return d.doorFunc(&swarm.Announce{Credentials: *c})
}

func TestDoorsThatScrapesComeByAreAsked(t *testing.T) {
	const closed bittorrent.Error = "closed"
	never := doorFunc(func(*swarm.Announce) error { return errors.New("it is not for scrapes") })
	locked := scrapeDoor{func(a *swarm.Announce) error {
		if a.Credentials.Passkey != "open" {
			return closed
		}
		return nil
	}}
	tr := tracker.New(memory.New(memory.Options{}), settings, tracker.Options{Doors: []tracker.Door{never, locked}})
	for passkey, want := range map[string]error{"": closed, "open": nil} {
		if err := tr.EnterScrape(&swarm.Credentials{Passkey: passkey}, time.Unix(1, 0)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", passkey, err, want)
		}
	}
}
