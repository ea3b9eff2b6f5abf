package redis

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// errAnswer is an answer that is not understood.
var errAnswer = errors.New("the server's answer is not understood: is something else than waggle writing to these keys?")

func late(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// full reports whether a server has no memory left for what it was asked to write.
func full(err error) bool { return word(err.Error()) == "OOM" }

// transient reports whether the server, or the way to it, is at fault for now.
func transient(err error) bool {
	if _, ok := rueidis.IsRedisErr(err); ok {
		return passing(err.Error())
	}
	return !errors.Is(err, errAnswer) && !errors.Is(err, errForeign) && !errors.Is(err, errNewer)
}

// passingWords begin what a server says that cannot do its work now, and may soon: the
// last two when a connection is made, to a server whose password has been changed.
var passingWords = []string{"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "READONLY", "NOREPLICAS", "OOM", "MISCONF", "BUSY", "UNKILLABLE", "MOVED", "ASK", "NOAUTH", "WRONGPASS"}

func passing(text string) bool {
	return slices.Contains(passingWords, word(text)) || strings.HasPrefix(text, "ERR max number of clients")
}

// word returns what an error of the server begins with. Redis 6 tells what a script met
// behind which script it was.
func word(text string) string {
	if strings.HasPrefix(text, "ERR Error running script") {
		if _, met, ok := strings.Cut(text, ": -"); ok {
			text = met
		}
	}
	word, _, _ := strings.Cut(text, " ")
	return word
}

// explain says what is wrong, and of some faults the remedy.
func explain(err error) string {
	text := err.Error()
	switch word := word(text); {
	case late(err):
		return "it does not answer"
	case word == "OOM":
		return "its memory is full: raise maxmemory, or lower limits of peers"
	case word == "MISCONF":
		return "it cannot save to its disk (" + text + ")"
	case word == "READONLY":
		return "it is a replica: name the address of its master"
	case word == "TRYAGAIN":
		return "the cluster is moving keys"
	case word == "NOAUTH" || word == "WRONGPASS":
		return "it wants another user or password than the URL has"
	}
	return text
}

// faults are what went wrong with requests that were sent together.
type faults struct {
	at  []byte // the tags whose node is at fault
	err error  // the first of a node, or else the first
}

func (f *faults) add(tag byte, err error) {
	switch {
	case err == nil:
	case transient(err):
		if len(f.at) == 0 {
			f.err = err
		}
		f.at = append(f.at, tag)
	case f.err == nil:
		f.err = err
	}
}
