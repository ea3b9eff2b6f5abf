//go:build lab

package lab

import "testing"

// Rtorrent announces seldom, whatever it is told.
func TestRacksWithSlowReannouncersFinish(t *testing.T) {
	tryClients(t, "strict, half rtorrent, half Transmission", mixed, nil)
}

func TestRacksWithSlowReannouncersFinishAfterTheImportersDie(t *testing.T) {
	tryClients(t, "strict, half rtorrent, half Transmission, importers killed", mixed, (*rollout).killRepresentatives)
}

func TestRacksOfLibtorrentFinish(t *testing.T) {
	tryClients(t, "strict, libtorrent", everywhere(startLibtorrent), nil)
}

// mixed puts rtorrent on every other host of a rack.
func mixed(h *host) startClient {
	if h.addr.As4()[3]%2 == 1 {
		return startRtorrent
	}
	return startTransmission
}

func tryClients(t *testing.T, name string, kind func(*host) startClient, d disaster) {
	t.Helper()
	ctx := working(t)
	r := newRig(t, theRacks...)
	ro := begin(ctx, t, r, "strict", 0, newPayload(ctx, t, length()), kind)
	must(t, ro.join(ctx, ro.members...))
	if d != nil {
		must(t, ro.watch(ctx, ro.after(killAfter)))
		d(ro, ctx, t)
	}
	must(t, ro.watch(ctx, never))
	s := &summary{name: name, runs: []result{ro.conclude(t)}}
	gates := survivalGates(map[string]*summary{"strict": s})
	if d == nil {
		gates = append(gates, atMost("bytes into a rack", s.into().mean, 1.2))
	}
	conclude(t, []*summary{s}, gates)
}
