package link

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"waggle/link/carrier"
	"waggle/link/core"
)

// TestLinkThatHasJustBrokenSaysWhy has the carrier lag behind the node.
func TestLinkThatHasJustBrokenSaysWhy(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, state := range []carrier.State{carrier.Active, carrier.Absent} {
		for want, k := range map[string]*known{
			Split:      {why: "nothing was heard", whyAt: now, came: true},
			Refused:    {why: "too much", whyAt: now, refused: true},
			Connecting: {},
		} {
			if v := viewOf(&carrier.Status{State: state, Since: now.Add(-time.Minute)}, k, RoleLeaf); v.State != want || v.Why != k.why {
				t.Errorf("%s: %s, %q, want %s", state, v.State, v.Why, want)
			}
		}
	}
}

func TestHealingThatFoundNothingIsSaidOnceASession(t *testing.T) {
	var said bytes.Buffer
	l := &Links{o: Options{Log: slog.New(slog.NewTextHandler(&said, nil))}}
	l.init(l)
	for _, c := range []struct {
		of      core.LinkID
		entries int
		said    bool
	}{{1, 0, true}, {1, 0, false}, {1, 3, true}, {1, 0, false}, {2, 0, true}} {
		if l.sessions[c.of] == nil {
			l.sessions[c.of] = &session{name: "fra"}
		}
		said.Reset()
		host{l}.Happened(core.Event{Kind: core.Healed, Link: c.of, Name: "fra", Entries: c.entries})
		if has := strings.Contains(said.String(), "a link has healed"); has != c.said {
			t.Errorf("%+v: said %q", c, said.String())
		}
	}
	if l.known["fra"].heals != 5 {
		t.Errorf("%d are counted", l.known["fra"].heals)
	}
}
