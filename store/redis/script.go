package redis

import (
	"crypto/sha1"
	_ "embed" // the scripts
	"encoding/hex"
	"strings"

	"github.com/redis/rueidis"
)

// script is a script of the server's.
type script struct{ text, sha string }

func newScript(pieces ...string) *script {
	text := ""
	for _, piece := range pieces {
		text += piece
	}
	sum := sha1.Sum([]byte(text))
	return &script{text, hex.EncodeToString(sum[:])}
}

var (
	//go:embed scripts/sample.lua
	sampleLua string
	//go:embed scripts/counts.lua
	countsLua string
	//go:embed scripts/groups.lua
	groupsLua string
	//go:embed scripts/put.lua
	putLua string
	//go:embed scripts/remove.lua
	removeLua string
	//go:embed scripts/announce.lua
	announceLua string
	//go:embed scripts/look.lua
	lookLua string
	//go:embed scripts/stop.lua
	stopLua string
	//go:embed scripts/expire.lua
	expireLua string
	//go:embed scripts/restore.lua
	restoreLua string
	//go:embed scripts/split.lua
	splitLua string
	//go:embed scripts/forget.lua
	forgetLua string
	//go:embed scripts/giveup.lua
	giveUpLua string
	//go:embed scripts/sweep.lua
	sweepLua string
	//go:embed scripts/probe.lua
	probeLua string
	//go:embed scripts/located.lua
	locatedLua string
	//go:embed scripts/document.lua
	documentLua string

	announceScript = newScript(countsLua, groupsLua, sampleLua, putLua, announceLua)
	lookScript     = newScript(countsLua, sampleLua, lookLua)
	stopScript     = newScript(countsLua, groupsLua, removeLua, stopLua)
	expireScript   = newScript(groupsLua, removeLua, expireLua)
	restoreScript  = newScript(countsLua, groupsLua, putLua, restoreLua)
	splitScript    = newScript(splitLua)
	forgetScript   = newScript(forgetLua)
	giveUpScript   = newScript(giveUpLua)
	sweepScript    = newScript(sweepLua)
	probeScript    = newScript(probeLua)
	locatedScript  = newScript(locatedLua)
	documentScript = newScript(documentLua)
)

// Each call names a second key, which is never there, in the slot of the first. While a
// cluster moves a slot, the keys of a torrent are on two nodes; then a call with a key
// that is missing is refused (TRYAGAIN), where one without might find half of them.

// command calls a script that the server has, by a key that says where.
func (s *script) command(b rueidis.Builder, at place, args []string) rueidis.Completed {
	return b.Evalsha().Sha1(s.sha).Numkeys(2).Key(at.key, at.never()).Arg(args...).Build()
}

// whole calls a script that the server does not have yet: it keeps it.
func (s *script) whole(b rueidis.Builder, at place, args []string) rueidis.Completed {
	return b.Eval().Script(s.text).Numkeys(2).Key(at.key, at.never()).Arg(args...).Build()
}

// never is a key that is never there, in the slot of the place: what is in braces.
func (p place) never() string {
	open := strings.IndexByte(p.key, '{')
	return p.key[:open+4] + ":never"
}
