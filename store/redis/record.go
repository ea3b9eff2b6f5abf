package redis

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// A record is what is kept of a peer, as text:
//
//	s4 1700000000 1700001800 00000012 left downloaded uploaded key started compact id
//
// its group; when it was first seen, and last, in Unix seconds of ten digits; its place in
// the group, of eight, which scripts put in; figures in bytes, decimal; the key in
// hexadecimal; the event of its last announce, or "-"; in which form it wanted peers,
// compact or full, or "-"; and the 20 bytes of its id as they are. Scripts rely on where
// group, times, place and id stand. The two words are for whoever reads records with
// redis-cli: records of before had none.

// Where a record says when a peer was seen last, and where its place ends.
const lastStart, lastEnd, placeEnd = 14, 24, 33

// groups are the names of groups, by kind and family.
var groups = [swarm.Leecher + 1][2]string{{"s4", "s6"}, {"p4", "p6"}, {"l4", "l6"}}

func groupOf(kind swarm.Kind, ip netip.Addr) string {
	if ip.Is4() {
		return groups[kind][0]
	}
	return groups[kind][1]
}

// seconds is a time as records have it: ten digits.
func seconds(t time.Time) string {
	var b [20]byte
	unix := min(max(t.Unix(), 0), 9999999999)
	return string(strconv.AppendInt(b[:0], 10000000000+unix, 10)[1:])
}

// unsaid stands for a word that nobody knows.
const unsaid = "-"

// event is the word for what a peer said last.
func event(a *swarm.Announce) string {
	if a.Event == bittorrent.EventNone {
		return unsaid
	}
	return a.Event.String()
}

// form is the word for how a peer wants to be answered. Which form one chose that
// announced to another tracker is not known.
func form(a *swarm.Announce) string {
	switch {
	case a.Relayed > 0:
		return unsaid
	case a.Form == bittorrent.PeersCompact:
		return "compact"
	}
	return "full"
}

// rest is the part of a record behind its times.
func rest(left, downloaded, uploaded int64, key uint32, event, form string, id *bittorrent.PeerID) string {
	b := make([]byte, 0, 112)
	for _, n := range [...]int64{left, downloaded, uploaded} {
		b = append(strconv.AppendInt(b, n, 10), ' ')
	}
	b = append(strconv.AppendUint(b, uint64(key), 16), ' ')
	b = append(append(append(append(b, event...), ' '), form...), ' ')
	return string(append(b, id[:]...))
}

// record makes one without a place.
func record(p *swarm.Peer) string {
	return groupOf(p.Kind, p.Addr.Addr()) + " " + seconds(p.First) + " " + seconds(p.Last) + " " + rest(p.Left, p.Downloaded, p.Uploaded, p.Key, unsaid, unsaid, &p.ID)
}

// parseRecord reads one.
func parseRecord(addr, record string) (p swarm.Peer, err error) {
	fault := fmt.Errorf("%w: the record of %.60q is %.120q", errAnswer, addr, record)
	if p.Addr, err = netip.ParseAddrPort(addr); err != nil || len(record) < placeEnd+1+len(p.ID) || record[len(record)-len(p.ID)-1] != ' ' {
		return p, fault
	}
	copy(p.ID[:], record[len(record)-len(p.ID):])
	fields := strings.Split(record[:len(record)-len(p.ID)-1], " ")
	if len(fields) != 10 && len(fields) != 8 { // the last two have come later
		return p, fault
	}
	for p.Kind < swarm.Leecher && groupOf(p.Kind, p.Addr.Addr()) != fields[0] {
		p.Kind++
	}
	var figures [6]int64
	for i, text := range fields[1:7] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return p, fault
		}
		figures[i] = n
	}
	key, err := strconv.ParseUint(fields[7], 16, 32)
	if err != nil || groupOf(p.Kind, p.Addr.Addr()) != fields[0] {
		return p, fault
	}
	p.First, p.Last = time.Unix(figures[0], 0), time.Unix(figures[1], 0)
	p.Left, p.Downloaded, p.Uploaded, p.Key = figures[3], figures[4], figures[5], uint32(key)
	return p, nil
}

// address is how a peer is named in keys and fields.
func address(addr netip.AddrPort) string {
	var b [64]byte
	return string(addr.AppendTo(b[:0]))
}

// partOf returns the part of a split torrent that a peer is in.
func partOf(addr netip.AddrPort, parts int) int {
	ip := addr.Addr().As16()
	sum := fnv.New32a()
	_, _ = sum.Write(ip[:])
	_, _ = sum.Write(binary.BigEndian.AppendUint16(nil, addr.Port()))
	h := sum.Sum32()
	h ^= h >> 15
	return int(h*0x9e3779b1>>16) & (parts - 1)
}

// before returns the parts that the peers of a part were in when there were fewer.
func before(part, parts int) (list []int) {
	for parts > 1 {
		parts /= 2
		if p := part & (parts - 1); p != part && (len(list) == 0 || p != list[len(list)-1]) {
			list = append(list, p)
		}
	}
	return list
}

// tally is the counts of a torrent, or of a part of it.
type tally struct {
	seeders, partial, leechers [2]uint32 // IPv4, IPv6
	completed                  uint32
	parts                      int
	located                    bool // there are located peers
}

// maxParts is the most parts of a torrent.
const maxParts = 64

// parseTally reads the line of counts that scripts return.
func parseTally(line string) (t tally, err error) {
	into := [...]*uint32{&t.seeders[0], &t.seeders[1], &t.partial[0], &t.partial[1], &t.leechers[0], &t.leechers[1], &t.completed}
	for i := range into {
		text, after, _ := strings.Cut(line, " ")
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return t, fmt.Errorf("%w: counts are %.80q", errAnswer, line)
		}
		*into[i], line = uint32(min(n, math.MaxUint32)), after
	}
	parts, located, _ := strings.Cut(line, " ")
	t.located = located == "1"
	t.parts, err = parseParts(parts)
	return t, err
}

func parseParts(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxParts || n&(n-1) != 0 {
		return 0, fmt.Errorf("%w: %.20q parts", errAnswer, text)
	}
	return n, nil
}

func (t *tally) add(other *tally) {
	for f := range 2 {
		t.seeders[f] += other.seeders[f]
		t.partial[f] += other.partial[f]
		t.leechers[f] += other.leechers[f]
	}
	t.completed += other.completed
}

func (t *tally) counts() bittorrent.ScrapeCounts {
	leechers := t.leechers[0] + t.leechers[1]
	return bittorrent.ScrapeCounts{
		Complete: t.seeders[0] + t.seeders[1], Incomplete: leechers + t.partial[0] + t.partial[1],
		Downloaded: t.completed, Downloaders: leechers,
	}
}

func (t *tally) peers() int {
	c := t.counts()
	return int(c.Complete) + int(c.Incomplete)
}
