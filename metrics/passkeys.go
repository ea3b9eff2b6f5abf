package metrics

// Passkeys are those that clients show, and what was counted for them.
type Passkeys struct {
	Active, Revoked, Expired int
	Max                      int // that there may be
	Waiting                  int // peers whose figures wait to be written

	// From the start of the process on.
	Missing, Unknown, RevokedRefused, ExpiredRefused uint64 // announces and scrapes that were refused
	Implausible                                      uint64 // announces that told of more than can be
	LeftOut                                          uint64 // announces whose figures had no room to wait
}

// ofPasskeys are those of passkeys.
var ofPasskeys = absentWhere(func(s *Snapshot) bool { return s.Passkeys == nil }, []Metric{
	{
		Name: "waggle_passkeys", Type: Gauge, Labels: []string{"state"},
		Help: "Passkeys, by state: active, revoked or expired",
		collect: func(s *Snapshot, e *emitter) {
			e.value(float64(s.Passkeys.Active), "active")
			e.value(float64(s.Passkeys.Revoked), "revoked")
			e.value(float64(s.Passkeys.Expired), "expired")
		},
	},
	gauge("waggle_passkeys_limit", "", "Passkeys that there may be, by limits.passkeys", func(s *Snapshot) float64 { return limit(s.Passkeys.Max) }),
	{
		Name: "waggle_passkey_refused_total", Type: Counter, Labels: []string{"reason"},
		Help: "Announces and scrapes refused for their passkey, by reason: missing (it showed none), unknown, revoked, expired",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.Passkeys.Missing, "missing")
			e.count(s.Passkeys.Unknown, "unknown")
			e.count(s.Passkeys.RevokedRefused, "revoked")
			e.count(s.Passkeys.ExpiredRefused, "expired")
		},
	},
	gauge("waggle_passkey_sessions_waiting", "", "Peers whose figures wait to be counted for their passkeys", func(s *Snapshot) float64 { return float64(s.Passkeys.Waiting) }),
	count("waggle_passkey_implausible_total", "Announces that told of more than a client can transfer, by access.passkey_rate, and did not count", func(s *Snapshot) uint64 { return s.Passkeys.Implausible }),
	count("waggle_passkey_left_out_total", "Announces whose figures did not count, because limits.passkey_sessions others waited; the next ones of the same peers make up for them", func(s *Snapshot) uint64 { return s.Passkeys.LeftOut }),
})
