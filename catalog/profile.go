package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"waggle/bittorrent"
)

// Profile returns the profile of an active torrent, either hash of a hybrid; "": it
// has none, or is not active. It takes no lock and allocates nothing.
func (c *Catalog) Profile(h *bittorrent.InfoHash) string {
	if s := c.index.find(h); s != nil && s.active && s.profiled {
		return s.entry.record.Profile
	}
	return ""
}

// SetProfile gives a torrent, active or not, a profile: one of Options.Profiles, or ""
// for none. It lasts until it is changed, over periods and restarts. Errors are
// [ErrProfile], [ErrUnknown], or one of the store; then nothing was changed.
func (c *Catalog) SetProfile(ctx context.Context, h bittorrent.InfoHash, profile string) (Transfer, error) {
	if err := c.checkProfile(profile); err != nil {
		return Transfer{}, err
	}
	return c.changeKnown(ctx, h, func(p *plan, e *entry) error {
		if e.record.Profile != profile {
			r := e.snapshot()
			r.Profile = profile
			p.keep(e, r)
		}
		return nil
	})
}

func (c *Catalog) checkProfile(profile string) error {
	if profile == "" || slices.Contains(c.o.Profiles, profile) {
		return nil
	}
	if len(c.o.Profiles) == 0 {
		return fmt.Errorf("%.80q: %w: this tracker has none", profile, ErrProfile)
	}
	return fmt.Errorf("%.80q: %w: say one of %s, or nothing for the tracker's own", profile, ErrProfile, strings.Join(c.o.Profiles, ", "))
}
