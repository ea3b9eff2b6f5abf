package dynamodb

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/dchest/siphash"

	"waggle/bittorrent"
	"waggle/swarm"
)

// item is an item of the table, or its key.
type item = map[string]types.AttributeValue

// Names of attributes; docs/dynamodb.md has them all.
const (
	partition = "p" // the partition key, binary
	place     = "s" // the sort key, binary
	order     = "o" // the sort key of the index, binary
	shown     = "v" // what the index has beside keys, binary
	indexName = "order"
	expiry    = "x" // when the service may delete an item by itself, in Unix seconds
)

// The first byte of a partition key says what is in the partition.
const (
	headPartition     = 'h' // then a byte: the heads of torrents
	peerPartition     = 'p' // then an info hash and a shard: its peers
	mapPartition      = 'm' // then an info hash: what is shared about its located peers
	documentPartition = 'd'
)

func binaryValue(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }
func numberValue[N int | int64 | uint32](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func key(p, s []byte) item {
	return item{partition: binaryValue(p), place: binaryValue(s)}
}

// bytesOf returns a binary attribute, or nil.
func bytesOf(i item, name string) []byte {
	if b, is := i[name].(*types.AttributeValueMemberB); is {
		return b.Value
	}
	return nil
}

// numberOf returns a number, or 0.
func numberOf(i item, name string) int64 {
	if n, is := i[name].(*types.AttributeValueMemberN); is {
		if value, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return value
		}
	}
	return 0
}

// markKey is where the mark of the table lies.
var markKey = key([]byte("waggle"), []byte("mark"))

// hasher places peers. All trackers of a table have the same one, which its mark keys:
// nobody outside can choose addresses that lie together.
type hasher struct{ k0, k1 uint64 }

func newHasher(k []byte) hasher {
	return hasher{binary.LittleEndian.Uint64(k), binary.LittleEndian.Uint64(k[8:])}
}

// of returns where a peer lies among those of its torrent: uniform over all numbers.
func (h hasher) of(hash bittorrent.InfoHash, addr netip.AddrPort) uint64 {
	b := append(make([]byte, 0, 40), hash[:]...)
	return siphash.Hash(h.k0, h.k1, appendAddr(b, addr))
}

// shardOf returns the shard of a hash, of so many.
func shardOf(hash uint64, shards int) int { return int(hash & uint64(shards-1)) }

// appendAddr appends an address and port: 6 or 18 bytes.
func appendAddr(b []byte, addr netip.AddrPort) []byte {
	if ip := addr.Addr().Unmap(); ip.Is4() {
		four := ip.As4()
		b = append(b, four[:]...)
	} else {
		sixteen := ip.As16()
		b = append(b, sixteen[:]...)
	}
	return binary.BigEndian.AppendUint16(b, addr.Port())
}

// addrOf reads what appendAddr wrote.
func addrOf(b []byte) (netip.AddrPort, bool) {
	if len(b) != 6 && len(b) != 18 {
		return netip.AddrPort{}, false
	}
	ip, ok := netip.AddrFromSlice(b[:len(b)-2])
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[len(b)-2:])), ok
}

func peersOf(hash bittorrent.InfoHash, shard int) []byte {
	b := append(make([]byte, 0, 22), peerPartition)
	return append(append(b, hash[:]...), byte(shard))
}

// placeOf is the sort key of a peer: its hash, and its address.
func placeOf(hash uint64, addr netip.AddrPort) []byte {
	return appendAddr(binary.BigEndian.AppendUint64(make([]byte, 0, 26), hash), addr)
}

const hashLen = 8

// peerOfPlace returns whose sort key one is.
func peerOfPlace(s []byte) (addr netip.AddrPort, ok bool) {
	if len(s) < hashLen {
		return addr, false
	}
	return addrOf(s[hashLen:])
}

// group is a run of the index: peers that selection treats alike. They lie so that
// those whom an asker may be told of are neighbours.
type group byte

const (
	seeds4 group = 1 + iota
	leechers4
	leechers6
	seeds6
	groups = 4
)

func groupOf(kind swarm.Kind, addr netip.AddrPort) group {
	four := swarm.FamilyOf(addr.Addr()) == swarm.IPv4
	switch {
	case kind == swarm.Leecher && four:
		return leechers4
	case kind == swarm.Leecher:
		return leechers6
	case four:
		return seeds4
	}
	return seeds6
}

func isSeeds(g group) bool { return g == seeds4 || g == seeds6 }

// orderLen is the length of an order: group, hash, kind.
const orderLen = 1 + hashLen + 1

// orderOf is the sort key of a peer in the index.
func orderOf(kind swarm.Kind, hash uint64, addr netip.AddrPort) []byte {
	b := append(make([]byte, 0, orderLen), byte(groupOf(kind, addr)))
	return append(binary.BigEndian.AppendUint64(b, hash), byte(kind))
}

// kindOfOrder returns what a peer is; false: there is none.
func kindOfOrder(o []byte) (swarm.Kind, bool) {
	if len(o) != orderLen || o[orderLen-1] > byte(swarm.Leecher) {
		return 0, false
	}
	return swarm.Kind(o[orderLen-1]), true
}
