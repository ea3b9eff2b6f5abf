package metrics

// ofLinks are those with other trackers.
var ofLinks = []Metric{
	{
		Name: "waggle_link_peers_known", Type: Gauge, Labels: []string{"announced"}, Linked: true,
		Help: "Peers that links tell or told of, by where they announced latest: here or elsewhere",
		collect: func(s *Snapshot, e *emitter) {
			e.value(float64(s.Links.Own), "here")
			e.value(float64(s.Links.Relayed), "elsewhere")
		},
	},
	ofLink("waggle_link_up", Gauge, truth, "1 while the link is there, also while both ends compare what they know; role is what the other tracker is to this one: hub or leaf",
		func(l *Link) float64 { return zeroOrOne(l.Up) }),
	ofLink("waggle_link_peers", Gauge, "", "Peers whose latest announce came through the link", func(l *Link) float64 { return float64(l.Peers) }),
	ofLink("waggle_link_waiting", Gauge, "", "Changes that wait here to be sent, those included that links were not told of yet", func(l *Link) float64 { return float64(l.Waiting) }),
	ofLink("waggle_link_lag_seconds", Gauge, inSeconds, "From an announce here to when the other end had taken it in", func(l *Link) float64 { return l.Lag.Seconds() }),
	bothWays("waggle_link_changes_total", "Changes of peers that the link brought or took, by direction: in or out",
		func(l *Link) (in, out uint64) { return l.ChangesIn, l.ChangesOut }),
	bothWays("waggle_link_bytes_total", "Bytes that the link brought or took, by direction: in or out", func(l *Link) (in, out uint64) { return l.BytesIn, l.BytesOut }),
	ofLink("waggle_link_capped_total", Counter, "", "Changes that were not taken in, as the other end told of more peers than it may", func(l *Link) float64 { return float64(l.Capped) }),
	ofLink("waggle_link_heals_total", Counter, "", "How often both ends compared what they know, and mended it", func(l *Link) float64 { return float64(l.Heals) }),
	ofLink("waggle_link_last_heal_seconds", Gauge, inSeconds, "How long that took the last time; 0: it never came to that", func(l *Link) float64 { return l.LastHeal.Seconds() }),
}

// ofLink makes a metric of which each link has a series.
func ofLink(name string, is Type, unit, help string, read func(*Link) float64) Metric {
	return Metric{Name: name, Type: is, Unit: unit, Labels: []string{"link", "role"}, Help: help, Linked: true, collect: func(s *Snapshot, e *emitter) {
		for i := range s.Links.Links {
			l := &s.Links.Links[i]
			e.value(read(l), l.Name, l.Role)
		}
	}}
}

// bothWays makes a counter of which each link has two series.
func bothWays(name, help string, read func(*Link) (in, out uint64)) Metric {
	return Metric{Name: name, Type: Counter, Labels: []string{"link", "role", "direction"}, Help: help, Linked: true, collect: func(s *Snapshot, e *emitter) {
		for i := range s.Links.Links {
			l := &s.Links.Links[i]
			in, out := read(l)
			e.count(in, l.Name, l.Role, "in")
			e.count(out, l.Name, l.Role, "out")
		}
	}}
}
