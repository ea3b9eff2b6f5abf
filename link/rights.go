package link

import (
	"waggle/bittorrent"
	"waggle/link/carrier"
	"waggle/link/core"
)

// hubKey is by what the node knows the hub; no leaf has that name.
const hubKey = "hub"

// maxChanges is how many changes a second a link may bring whose rights do not say: what
// no tracker has, and one core can still take in.
const maxChanges = 200_000

// optionsOf returns what a link may do: the lesser of what its rights and the options of
// this tracker allow. Rights are the leaf's.
func (l *Links) optionsOf(s *session) core.LinkOptions {
	r := &s.rights
	o := core.LinkOptions{Name: s.name, Receive: r.Send, Send: r.Receive, MaxPeers: max(l.o.MaxPeers/2, 1), MaxChanges: maxChanges}
	if s.name == hubKey {
		o.Receive, o.Send = o.Send, o.Receive
		o.MaxPeers = l.o.MaxPeers // the hub has what all others have
	} else {
		if r.Peers > 0 {
			o.MaxPeers = r.Peers
		}
		if r.ChangesPerSecond > 0 {
			o.MaxChanges = r.ChangesPerSecond
		}
	}
	// Both ends tell of trackers, whatever they share, and who receives files asks for them.
	o.FilesIn, o.FilesOut = true, true
	if len(r.Torrents) > 0 {
		o.Torrents = make([]bittorrent.InfoHash, 0, len(r.Torrents))
		for _, text := range r.Torrents {
			if h, err := bittorrent.ParseInfoHash(text); err == nil {
				o.Torrents = append(o.Torrents, h)
			}
		}
	}
	return o
}

// shares returns in which directions .torrent files may travel over a link.
func (l *Links) shares(s *session) (in, out bool) {
	theirs, _ := ParseShare(s.rights.Share) // the carrier has checked it
	in, out = theirs&ShareSend != 0, theirs&ShareReceive != 0
	if s.name == hubKey {
		in, out = out, in
	}
	return in && l.o.Share&ShareReceive != 0, out && l.o.Share&ShareSend != 0
}

// checkRights returns what is wrong with rights, as [ErrInvalid].
func checkRights(r *carrier.Rights) error {
	if err := r.Check(); err != nil {
		return invalid(err)
	}
	return nil
}
