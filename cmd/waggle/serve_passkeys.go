package main

import (
	"context"
	"errors"
	"path/filepath"

	"waggle/config"
	"waggle/console"
	"waggle/metrics"
	"waggle/passkey"
	"waggle/tracker"
)

// passkeysFile lies beside the file of the store.
const passkeysFile = "passkeys.db"

// passkeysOff is the value of access.passkeys with which there are none.
const passkeysOff = "off"

// usesPasskeys reports whether clients may show passkeys.
func (s *service) usesPasskeys() bool { return s.config.Access.Passkeys != passkeysOff }

// openPasskeys opens the passkeys, if there are to be any, and has them asked and told of
// announces.
func (s *service) openPasskeys(ctx context.Context, o *tracker.Options) (err error) {
	if !s.usesPasskeys() {
		return nil
	}
	if s.passkeyStore, err = s.openPasskeyStore(ctx); err != nil {
		return err
	}
	c := &s.config
	options := passkey.Options{
		Store: s.passkeyStore, Required: requiresPasskeys(c), Max: int(c.Limits.Passkeys), Waiting: int(c.Limits.PasskeySessions),
		Torrent: s.catalog.Identity, Rate: passkeyRate(c), Lifetime: c.Announce.PeerLifetime, Refresh: s.refresh, Log: s.log,
	}
	if s.refresh < 0 {
		options.WriteEvery = -1 // a function writes before it answers
	}
	if s.passkeys, err = passkey.Open(ctx, options); err != nil {
		return errors.Join(err, s.passkeyStore.Close())
	}
	s.clientURLs.Store(&c.Access.PasskeyURLs)
	o.Doors = append(o.Doors, s.passkeys)
	o.Recorders = append(o.Recorders, s.passkeys)
	return nil
}

func (s *service) openPasskeyStore(ctx context.Context) (passkey.Store, error) {
	if documents := s.documents(); documents != nil {
		return passkey.OpenDocuments(ctx, documents)
	}
	if path := s.config.Store.Path(); path != "" {
		return passkey.OpenSQLite(ctx, filepath.Join(filepath.Dir(path), passkeysFile))
	}
	s.log.Warn("passkeys are kept in memory alone, and are gone when waggle stops: choose another store", "store", s.config.Store)
	return passkey.NewMemory(), nil
}

func (s *service) closePasskeys() error {
	if s.passkeys == nil {
		return nil
	}
	return errors.Join(s.passkeys.Close(), s.passkeyStore.Close())
}

func requiresPasskeys(c *config.Config) bool { return c.Access.Passkeys == "required" }

// requirePasskeys puts access.passkeys into force, as far as that can change while running. What
// stays as it was is put back into the configuration, which the console shows.
func (s *service) requirePasskeys(c *config.Config) {
	if (c.Access.Passkeys != passkeysOff) != s.usesPasskeys() {
		s.log.Warn("a change takes effect at the next start only", "key", "access.passkeys")
		c.Access.Passkeys = s.config.Access.Passkeys
		return
	}
	s.config.Access.Passkeys = c.Access.Passkeys
	if s.passkeys != nil {
		s.passkeys.Require(requiresPasskeys(c))
		s.passkeys.Bound(passkeyRate(c), c.Announce.PeerLifetime)
		s.clientURLs.Store(&c.Access.PasskeyURLs)
	}
}

// passkeyRate is in bytes a second.
func passkeyRate(c *config.Config) int64 { return int64(c.Access.PasskeyRate) / 8 }

// passkeyURLs returns the announce URLs of the tracker, without a passkey.
func (s *service) passkeyURLs() []string {
	if own := *s.clientURLs.Load(); len(own) > 0 {
		return texts(own)
	}
	return append(announceURLs("udp", s.udp.Addrs()), announceURLs("http", s.http.Addrs())...)
}

// shownPasskeys is what the console shows; nil: there are none.
func (s *service) shownPasskeys() *console.Passkeys {
	if s.passkeys == nil {
		return nil
	}
	return &console.Passkeys{Book: s.passkeys, URLs: s.passkeyURLs}
}

// passkeyMetrics returns what Prometheus scrapes of passkeys; nil: there are none.
func (s *service) passkeyMetrics() *metrics.Passkeys {
	if s.passkeys == nil {
		return nil
	}
	f := s.passkeys.Figures()
	return &metrics.Passkeys{
		Active: f.Active, Revoked: f.Revoked, Expired: f.Expired, Max: f.Max, Waiting: f.Waiting,
		Missing: f.MissingRefused, Unknown: f.UnknownRefused, RevokedRefused: f.RevokedRefused, ExpiredRefused: f.ExpiredRefused,
		Implausible: f.Implausible, LeftOut: f.LeftOut,
	}
}
