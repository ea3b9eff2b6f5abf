package tracker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"waggle/bittorrent"
)

// Denied is a set of torrents that are refused.
type Denied map[bittorrent.InfoHash]struct{}

// Bounds of a list of denied torrents, which take some 50 bytes each.
const (
	maxDenied     = 1_000_000
	maxDeniedLine = 4096
)

// ReadDenied reads a list of info hashes, one on each line, as
// [bittorrent.ParseInfoHash] takes them. What follows # is a comment; empty lines
// are left out. It takes at most a million hashes. An error names the first line
// that is wrong.
func ReadDenied(r io.Reader) (Denied, error) {
	set := Denied{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxDeniedLine)
	n := 0
	for lines.Scan() {
		n++
		text, _, _ := strings.Cut(lines.Text(), "#")
		text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
		if text == "" {
			continue
		}
		h, err := bittorrent.ParseInfoHash(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w; have %.64q", n, err, text)
		}
		if set[h] = struct{}{}; len(set) > maxDenied {
			return nil, fmt.Errorf("line %d: more than %d info hashes; deny fewer, or set torrents.mode to listed", n, maxDenied)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d: longer than %d bytes; is this a list of info hashes?", n+1, maxDeniedLine)
	} else if err != nil {
		return nil, err
	}
	return set, nil
}
