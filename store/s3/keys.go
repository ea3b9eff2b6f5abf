package s3

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"waggle/bittorrent"
)

// Keys below the prefix.
const (
	markKey      = "schema"
	probePrefix  = "probe/"
	swarmPrefix  = "t/" // and the info hash: a swarm, or what says where its parts are
	partPrefix   = "p/" // and the info hash, a slash, a name: a part of a swarm
	placesPrefix = "m/" // and the info hash: located peers
	documentsKey = "d/" // and the name of a document
)

func swarmKey(h bittorrent.InfoHash) string  { return swarmPrefix + hex.EncodeToString(h[:]) }
func placesKey(h bittorrent.InfoHash) string { return placesPrefix + hex.EncodeToString(h[:]) }

func partsOf(h bittorrent.InfoHash) string { return partPrefix + hex.EncodeToString(h[:]) + "/" }

// A part's name is its depth, a dash, and 16 hexadecimal digits drawn at random: no name
// comes twice.
const (
	nameRandom = 8
	maxName    = 2 + 1 + 2*nameRandom
)

func newName(depth int) string {
	var random [nameRandom]byte
	_, _ = rand.Read(random[:]) // it never fails
	return strconv.Itoa(depth) + "-" + hex.EncodeToString(random[:])
}

func isName(name string) bool {
	depth, random, found := strings.Cut(name, "-")
	n, err := strconv.Atoi(depth)
	raw, bad := hex.DecodeString(random)
	return found && err == nil && bad == nil && n > 0 && n <= maxDepth && depth[0] != '+' && len(raw) == nameRandom && len(name) <= maxName
}

// depthOf returns how deep an object of a swarm lies; 0: on top.
func depthOf(key string) int {
	if strings.HasPrefix(key, swarmPrefix) {
		return 0
	}
	name := key[strings.LastIndexByte(key, '/')+1:]
	depth, _, _ := strings.Cut(name, "-")
	n, _ := strconv.Atoi(depth)
	return n
}

var errForeign = errors.New("an object in the store's prefix is none of waggle's: keep others out of it")

// hashOf returns whose swarm an object belongs to, else [errForeign].
func hashOf(key string) (h bittorrent.InfoHash, err error) {
	_, rest, _ := strings.Cut(key, "/")
	text, name, _ := strings.Cut(rest, "/")
	raw, err := hex.DecodeString(text)
	if err == nil && len(raw) == len(h) {
		h = bittorrent.InfoHash(raw)
		if key == swarmKey(h) || key == partsOf(h)+name && isName(name) {
			return h, nil
		}
	}
	return h, fmt.Errorf("%w (%.80q)", errForeign, key)
}
