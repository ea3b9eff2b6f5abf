package metrics

import "waggle/access"

// Access is who was not let in.
type Access struct {
	Lists  access.Figures
	Tokens access.TokenFigures
}

// ofAccess are metrics of who may announce.
var ofAccess = []Metric{
	{
		Name: "waggle_access_refused_total", Type: Counter, Labels: []string{"reason"},
		Help: "Who was not let in, by reason: network (requests, connections over UDP included), silenced (requests of addresses that announced too early too often), client, token_missing, token_bad, token_expired, token_torrent (it is for another one), token_key (signed by one that is not known), token_rate (too many new ones of an address, or of all), token_unchecked (there are no keys yet)",
		collect: func(s *Snapshot, e *emitter) {
			t := &s.Access.Tokens
			e.count(s.Access.Lists.Networks, "network")
			e.count(s.Tracker.Silenced, "silenced")
			e.count(s.Access.Lists.Clients, "client")
			e.count(t.Missing, "token_missing")
			e.count(t.Bad, "token_bad")
			e.count(t.Expired, "token_expired")
			e.count(t.OtherTorrent, "token_torrent")
			e.count(t.UnknownKey, "token_key")
			e.count(t.TooMany, "token_rate")
			e.count(t.NoKeys, "token_unchecked")
		},
	},
	{
		Name: "waggle_announces_early_total", Type: Counter, Labels: []string{"answer"},
		Help: "Announces that came before they should, after others that did, by answer: warned, shortened (few peers) or refused",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Tracker.Warned, "warned")
			e.count(s.Tracker.Shortened, "shortened")
			e.count(s.Tracker.Early, "refused")
		},
	},
	count("waggle_peers_moved_total", "Peers recognised by their announce key at another address, and told at the old one no more", func(s *Snapshot) uint64 { return s.Tracker.Moved }),
	count("waggle_peers_kept_total", "Peers that stayed although another client at their address, with another announce key, stopped", func(s *Snapshot) uint64 { return s.Tracker.Kept }),
	gauge("waggle_token_keys", "", "Keys that tokens may be signed by", func(s *Snapshot) float64 { return float64(s.Access.Tokens.Keys) }),
	count("waggle_token_keys_failed_total", "Attempts to fetch the keys of tokens that failed", func(s *Snapshot) uint64 { return s.Access.Tokens.Failed }),
}
