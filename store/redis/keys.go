package redis

import (
	"encoding/hex"
	"hash/fnv"
	"net/netip"
	"strconv"

	"waggle/bittorrent"
)

// tags is the number of tags.
const tags = 256

func allTags() []byte {
	list := make([]byte, tags)
	for i := range list {
		list[i] = byte(i)
	}
	return list
}

// keys makes the names of keys.
type keys struct {
	prefix string
	tag    [tags]string // "waggle:{00}"
}

func newKeys(prefix string) *keys {
	k := &keys{prefix: prefix}
	for tag := range k.tag {
		k.tag[tag] = prefix + ":{" + hex.EncodeToString([]byte{byte(tag)}) + "}"
	}
	return k
}

// schema is the key of the mark of the schema.
func (k *keys) schema() string { return k.prefix + ":schema" }

// seed is the key of the seed that trackers share.
func (k *keys) seed() string { return k.prefix + ":seed" }

func (k *keys) totals(tag byte) string   { return k.tag[tag] + ":totals" }
func (k *keys) torrents(tag byte) string { return k.tag[tag] + ":torrents" }
func (k *keys) seen(tag byte) string     { return k.tag[tag] + ":seen" }

// host is the key of the host at an address, whose last byte is the tag.
func (k *keys) host(ip netip.Addr) string {
	b := ip.As16()
	return k.tag[b[len(b)-1]] + ":host:" + ip.String()
}

// rack is the key of the hosts at a location.
func (k *keys) rack(path string) string {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(path))
	return k.tag[byte(sum.Sum32())] + ":rack:" + path
}

// racks is the key of all locations that there are hosts at.
func (k *keys) racks() string { return k.tag[0] + ":racks" }

// torrent is the key of a torrent in a tag: of its own, or of another that has a part.
func (k *keys) torrent(tag byte, h *bittorrent.InfoHash) string {
	buf := make([]byte, 0, maxPrefix+50)
	buf = append(append(buf, k.tag[tag]...), ':')
	return string(hex.AppendEncode(buf, h[:]))
}

// place is where a part of a torrent lies.
type place struct {
	tag byte
	key string
}

// part returns where a part of a torrent lies. Part 0 is the torrent's own key.
func (k *keys) part(h *bittorrent.InfoHash, part int) place {
	tag := h[0] + byte(part)
	return place{tag, k.torrent(tag, h)}
}

// parts returns where the parts of a torrent lie.
func (k *keys) parts(h *bittorrent.InfoHash, parts int) []place {
	list := make([]place, parts)
	for i := range list {
		list[i] = k.part(h, i)
	}
	return list
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
