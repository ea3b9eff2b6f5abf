package torrent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"waggle/bittorrent"
)

// CreateOptions says what to make a torrent of. Path is all that must be given.
type CreateOptions struct {
	Path         string     // file or folder to share
	Name         string     // what the torrent is called; default: the last part of Path
	PieceLength  int64      // bytes: a power of two, 16 KiB to 128 MiB; default: PieceLengthFor all files
	Announce     [][]string // tracker URLs, in tiers (BEP 12)
	WebSeeds     []string   // URLs that serve the same files (BEP 19); for a folder, that of the folder above it, ending in "/"
	Private      bool       // peers come from the trackers alone (BEP 27)
	Source       string     // makes it another torrent than one of the same files with another Source
	Comment      string
	CreatedBy    string
	CreationDate time.Time // told to the second; zero: not told

	// Workers is how many pieces are hashed at a time, and how many files may be
	// open; default: runtime.GOMAXPROCS. Each takes 256 KiB of memory.
	Workers int

	// Progress, if not nil, is told the bytes hashed so far and the bytes of all
	// files: once at the start, then after each 256 KiB or less. It is never
	// called twice at a time, and hashing waits for it.
	Progress func(hashed, total int64)
}

// Check returns what is wrong with the options as they stand, without a look at
// the files. [Create] begins with it.
func (o *CreateOptions) Check() error {
	if o.Path == "" {
		return errors.New("no path: name the file or folder to share")
	}
	if o.Name != "" {
		if err := checkName(o.Name); err != nil {
			return fmt.Errorf("name: %w", err)
		}
	}
	if n := o.PieceLength; n != 0 && (n < minPieceLength || n > maxPieceLength || n&(n-1) != 0) {
		return fmt.Errorf("piece size: %d bytes is not a power of two from 16 KiB to 128 MiB", n)
	}
	for _, tier := range o.Announce {
		if len(tier) == 0 {
			return errors.New("announce: a tier names no tracker")
		}
		for _, u := range tier {
			if err := CheckTrackerURL(u); err != nil {
				return err
			}
		}
	}
	for _, u := range o.WebSeeds {
		if err := checkURL(u, "http", "https", "ftp"); err != nil {
			return fmt.Errorf("web seed: %w", err)
		}
	}
	for _, s := range []string{o.Comment, o.CreatedBy, o.Source} {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%q is not UTF-8", s)
		}
	}
	return nil
}

// CheckTrackerURL returns nil if u can be announced to: an absolute URL with a
// host and one of the schemes udp (BEP 15), http, https (BEP 3), ws and wss (as
// WebTorrent does). UDP has no default port, so it needs one.
func CheckTrackerURL(u string) error {
	if err := checkURL(u, "udp", "http", "https", "ws", "wss"); err != nil {
		return fmt.Errorf("tracker: %w", err)
	}
	if parsed, _ := url.Parse(u); parsed.Scheme == "udp" && parsed.Port() == "" {
		return fmt.Errorf("tracker: %q: a udp tracker needs a port, such as udp://%s:6969", u, parsed.Host)
	}
	return nil
}

func checkURL(u string, schemes ...string) error {
	parsed, err := url.Parse(u)
	if err != nil {
		return fmt.Errorf("%q is not a URL: %w", u, errors.Unwrap(err))
	}
	known := false
	for _, scheme := range schemes {
		known = known || parsed.Scheme == scheme
	}
	if !known {
		return fmt.Errorf("%q: want a URL that begins with one of %s", u, strings.Join(schemes, "://, ")+"://")
	}
	if parsed.Hostname() == "" {
		return fmt.Errorf("%q names no host", u)
	}
	if port := parsed.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q: port %s is not one of 1 to 65535", u, port)
		}
	}
	if strings.ContainsAny(u, " \t") {
		return fmt.Errorf("%q has a space in it; write %%20", u)
	}
	return nil
}

// checkName refuses a name that other systems could not give a file. BEP 3 wants
// UTF-8.
func checkName(name string) error {
	if !utf8.ValidString(name) {
		return fmt.Errorf("%q is not UTF-8; rename it", name)
	}
	if err := checkPart(name); err != nil {
		return fmt.Errorf("%w; rename it", err)
	}
	return nil
}

// Create makes a .torrent of version 1 and returns its bytes, which [Parse]
// accepts. The same files and options give the same bytes, on any system.
//
// A folder gives all regular files in it, at any depth, hidden ones too, sorted
// by the parts of their paths. A symbolic link to a file within the folder is
// followed, and the file is shared under the name of the link; links to folders,
// to nowhere, in circles or out of the folder are refused, an absolute target
// being out of it wherever it leads. So are sockets, pipes, devices, and names
// that are not UTF-8 or have a backslash in them. Path itself may be a link.
// Nothing is left out in silence but empty folders, which a torrent cannot hold.
//
// A file that changes its size or time of modification, or is replaced, before
// Create returns is an error that names it. When ctx is cancelled Create returns
// its error within the time of reading 256 KiB, and leaves no goroutine behind.
// Errors name the file that they are about.
func Create(ctx context.Context, o CreateOptions) ([]byte, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	tree, err := openTree(ctx, o.Path)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	if o.Name == "" {
		if o.Name, err = nameOf(o.Path); err != nil {
			return nil, err
		}
	}
	if o.PieceLength == 0 {
		o.PieceLength = PieceLengthFor(tree.total)
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	pieces, err := hashPieces(ctx, tree, &o)
	if err != nil {
		return nil, err
	}
	if err := tree.checkUnchanged(ctx); err != nil {
		return nil, err
	}
	b := appendMetainfo(nil, &o, appendInfo(nil, &o, tree, pieces))
	if len(b) > MaxFileSize {
		return nil, fmt.Errorf("%s: its .torrent would be larger than %d MiB; make several of parts of it", o.Path, MaxFileSize>>20)
	}
	return b, nil
}

// nameOf returns the last part of a path, which may be ".".
func nameOf(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s: no name for the torrent: %w", path, err)
	}
	name := filepath.Base(absolute)
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("%s: no name for the torrent, give one: %w", path, err)
	}
	return name, nil
}

// appendMetainfo appends the dictionary around info, with sorted keys.
func appendMetainfo(dst []byte, o *CreateOptions, info []byte) []byte {
	dst = append(dst, 'd')
	if len(o.Announce) > 0 {
		dst = appendField(dst, "announce", o.Announce[0][0])
	}
	if len(o.Announce) > 1 || len(o.Announce) == 1 && len(o.Announce[0]) > 1 {
		dst = bittorrent.AppendString(dst, "announce-list")
		dst = append(dst, 'l')
		for _, tier := range o.Announce {
			dst = appendList(dst, tier)
		}
		dst = append(dst, 'e')
	}
	dst = appendField(dst, "comment", o.Comment)
	dst = appendField(dst, "created by", o.CreatedBy)
	if !o.CreationDate.IsZero() {
		dst = bittorrent.AppendString(dst, "creation date")
		dst = bittorrent.AppendInt(dst, o.CreationDate.Unix())
	}
	dst = bittorrent.AppendString(dst, "info")
	dst = append(dst, info...)
	if len(o.WebSeeds) > 0 {
		dst = bittorrent.AppendString(dst, "url-list")
		dst = appendList(dst, o.WebSeeds)
	}
	return append(dst, 'e')
}

// appendInfo appends the info dictionary, with sorted keys.
func appendInfo(dst []byte, o *CreateOptions, t *tree, pieces []byte) []byte {
	dst = append(dst, 'd')
	if t.isFolder() {
		dst = bittorrent.AppendString(dst, "files")
		dst = append(dst, 'l')
		for _, f := range t.files {
			dst = append(dst, 'd')
			dst = bittorrent.AppendString(dst, "length")
			dst = bittorrent.AppendInt(dst, f.stat.Size())
			dst = bittorrent.AppendString(dst, "path")
			dst = appendList(dst, strings.Split(f.path, "/"))
			dst = append(dst, 'e')
		}
		dst = append(dst, 'e')
	} else {
		dst = bittorrent.AppendString(dst, "length")
		dst = bittorrent.AppendInt(dst, t.total)
	}
	dst = appendField(dst, "name", o.Name)
	dst = bittorrent.AppendString(dst, "piece length")
	dst = bittorrent.AppendInt(dst, o.PieceLength)
	dst = bittorrent.AppendString(dst, "pieces")
	dst = bittorrent.AppendBytes(dst, pieces)
	if o.Private {
		dst = bittorrent.AppendString(dst, "private")
		dst = bittorrent.AppendInt(dst, 1)
	}
	dst = appendField(dst, "source", o.Source)
	return append(dst, 'e')
}

// appendField appends a key and a string, nothing if the string is empty.
func appendField(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return bittorrent.AppendString(bittorrent.AppendString(dst, key), value)
}

func appendList(dst []byte, list []string) []byte {
	dst = append(dst, 'l')
	for _, s := range list {
		dst = bittorrent.AppendString(dst, s)
	}
	return append(dst, 'e')
}
