package torrent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"waggle/bittorrent"
)

// CreateOptions says what to make a torrent of. Path is all that must be given.
type CreateOptions struct {
	Path         string     // file or folder to share
	Version      Version    // V1, V2 or Hybrid; default: V1
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
	// open; default: runtime.GOMAXPROCS. Each takes 256 KiB of memory, of version 2
	// up to twice that.
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
	if o.Version > Hybrid {
		return fmt.Errorf("version %d is none of 1, 2 and hybrid", o.Version)
	}
	if o.Name != "" {
		if err := checkName(o.Name); err != nil {
			return fmt.Errorf("name: %w", err)
		}
	}
	if n := o.PieceLength; n != 0 && (n < minPieceLength || n > maxPieceLength || n&(n-1) != 0) {
		return fmt.Errorf("piece size: %d bytes is not a power of two from 16 KiB to 128 MiB", n)
	}
	if err := checkTiers(o.Announce); err != nil {
		return err
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

// Create makes a .torrent and returns its bytes, which [Parse] accepts. The same
// files and options give the same bytes, on any system. Every file is read once,
// also for a hybrid.
//
// A folder gives all regular files in it, at any depth, hidden ones too, sorted
// by the parts of their paths. A symbolic link to a file within the folder is
// followed, and the file is shared under the name of the link; links to folders,
// to nowhere, in circles or out of the folder are refused, an absolute target
// being out of it wherever it leads. So are sockets, pipes, devices, and names
// that are not UTF-8 or have a backslash in them. Path itself may be a link.
// Nothing is left out in silence but empty folders, which a torrent cannot hold.
//
// Version 2 and hybrids have files in up to 59 folders within each other, as
// bencode is read that deep; and a folder whose one file is of the torrent's
// name is refused, as it would be read as that file (BEP 52).
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
	if err := o.setDefaults(tree); err != nil {
		return nil, err
	}
	if err := checkPaths(tree, &o); err != nil {
		return nil, err
	}
	pieces := newLayout(tree, &o)
	if err := pieces.check(); err != nil {
		return nil, err
	}
	hashes, err := hashPieces(ctx, pieces, &o)
	if err != nil {
		return nil, err
	}
	if err := tree.checkUnchanged(ctx); err != nil {
		return nil, err
	}
	b := appendMetainfo(nil, &o, pieces, hashes)
	if len(b) > MaxFileSize {
		return nil, fmt.Errorf("%s: its .torrent would be larger than %d MiB; make several of parts of it", o.Path, MaxFileSize>>20)
	}
	return b, nil
}

// setDefaults gives the options that were left out their values.
func (o *CreateOptions) setDefaults(t *tree) (err error) {
	if o.Name == "" {
		if o.Name, err = nameOf(o.Path); err != nil {
			return err
		}
	}
	if o.Version == 0 {
		o.Version = V1
	}
	if o.PieceLength == 0 {
		o.PieceLength = PieceLengthFor(t.total)
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return nil
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

// maxParts is how many parts a path of version 2 may have: each is a dictionary
// within that of the part before, and above the first and below the last are four.
const maxParts = bittorrent.MaxBencodeDepth - 4

// checkPaths refuses, before time goes into hashing, files whose paths Parse
// would refuse.
func checkPaths(t *tree, o *CreateOptions) error {
	list := &fileList{}
	for _, f := range t.files {
		if len(f.path) > maxPathLength {
			return fmt.Errorf("%s: its path in the torrent is longer than %d bytes; shorten it", t.show(f.path), maxPathLength)
		}
		if o.Version != V1 && strings.Count(f.path, "/") >= maxParts {
			return fmt.Errorf("%s: lies in more than %d folders within each other, and version 2 has room for no more; "+
				"move it up, or make a torrent of version 1", t.show(f.path), maxParts-1)
		}
		if err := list.add(f.path, f.stat.Size()); err != nil {
			return fmt.Errorf("%s: %w", t.path, err)
		}
	}
	if o.Version != V1 && t.isFolder() && len(t.files) == 1 && t.files[0].path == o.Name {
		return fmt.Errorf("%s: a torrent %q of version 2 with nothing but a file of that name is read as the file alone; "+
			"share the file itself, or give the torrent another name", t.path, o.Name)
	}
	return nil
}
