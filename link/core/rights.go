package core

import (
	"time"

	"waggle/bittorrent"
)

// Revoke forgets all peers that came through a link, tells the other links that they
// are gone, and closes the connection. It returns how many they were. What else the
// link brings later is taken in again: whoever revokes also takes away the right to
// connect.
func (n *Node) Revoke(now time.Time, name string) (peers int) {
	n.at(now)
	to := n.byName[name]
	if to == nil {
		return 0
	}
	if to.session != nil {
		n.close(to.session, Reason{Code: ReasonRevoked, Words: "the link was revoked: ask the owner of the other tracker " +
			"for another invitation"})
	}
	for i := uint32(1); i <= n.topEntry; i++ {
		if e := n.entry(i); e.state != live || n.broughtBy(e) != to {
			continue
		}
		// As if nothing had been heard of it for a lifetime: where it announces in
		// truth, that node insists on it.
		n.buryAndRemove(i, uint64(n.lifetime+graceTicks))
		peers++
	}
	n.flushAll(eager)
	return peers
}

// SendFile sends a message about a .torrent file through a link. It reports false
// where the link is not there, may not send files, or has 64 that wait: try again
// later, or compare the catalogues when the link is up again. It panics where the
// data are more than MaxFileData bytes.
func (n *Node) SendFile(now time.Time, link LinkID, f FileMessage) bool {
	n.at(now)
	if len(f.Data) > MaxFileData {
		panic("link: core.SendFile: more than MaxFileData bytes")
	}
	s := n.session(link)
	if s == nil || !s.up || !s.o.FilesOut || !s.may(&f.Hash) || len(s.files) >= maxFiles {
		return false
	}
	s.files = append(s.files, f.append(begin(kindFile, len(f.Data)+hashLen+1)))
	n.flush(s, eager)
	return true
}

// May reports whether a torrent may cross a link.
func (n *Node) May(link LinkID, h bittorrent.InfoHash) bool {
	s := n.session(link)
	return s != nil && s.may(&h)
}
