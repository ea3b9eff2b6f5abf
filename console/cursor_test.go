package console

import (
	"errors"
	"net/netip"
	"testing"

	"waggle/bittorrent"
	"waggle/catalog"
)

func FuzzParseGroupPlace(f *testing.F) {
	for _, p := range []groupPlace{{}, {hash: bittorrent.InfoHash{1}}, {bittorrent.InfoHash{2}, "ams1/r\xff"}} {
		f.Add(p.String())
	}
	f.Add("!")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		p, err := parseGroupPlace(cursor)
		if err != nil {
			if !errors.Is(err, catalog.ErrCursor) || p != (groupPlace{}) || len(err.Error()) > 1000 {
				t.Errorf("%q: %+v, %v", cursor, p, err)
			}
			return
		}
		if back, err := parseGroupPlace(p.String()); err != nil || back != p {
			t.Errorf("%+v is written %s and read as %+v, %v", p, p, back, err)
		}
	})
}

func FuzzParsePlace(f *testing.F) {
	for _, p := range []place{
		{},
		{hash: bittorrent.InfoHash{1}},
		{time: -5},
		{hash: bittorrent.InfoHash{2}, addr: netip.MustParseAddrPort("10.0.0.1:6881")},
		{addr: netip.MustParseAddrPort("[2001:db8::1]:6881")},
	} {
		f.Add(p.String())
	}
	f.Add("!")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		p, err := parsePlace(cursor)
		if err != nil {
			if !errors.Is(err, catalog.ErrCursor) || p != (place{}) || len(err.Error()) > 1000 {
				t.Errorf("%q: %+v, %v", cursor, p, err)
			}
			return
		}
		if back, err := parsePlace(p.String()); err != nil || back != p {
			t.Errorf("%+v is written %s and read as %+v, %v", p, p, back, err)
		}
	})
}
