package torrent

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"waggle/bittorrent"
)

// MaxFileSize is the size in bytes, 64 MiB, above which a .torrent file is
// neither read nor made. It has room for three million pieces.
const MaxFileSize = 64 << 20

// ErrMalformed is in every error of [Parse] that is the torrent's fault.
var ErrMalformed = errors.New("broken .torrent file")

// Version tells the format of a torrent's info dictionary.
type Version uint8

// The versions of a torrent.
const (
	V1     Version = iota + 1 // BEP 3: one list of pieces over all files, SHA-1
	V2                        // BEP 52: a hash tree for each file, SHA-256
	Hybrid                    // BEP 52: both in one info dictionary, with two info hashes
)

// String returns "1", "2" or "hybrid".
func (v Version) String() string {
	switch v {
	case V1:
		return "1"
	case V2:
		return "2"
	case Hybrid:
		return "hybrid"
	}
	return "unknown"
}

// Metainfo is what a .torrent file says. It shares no memory with the bytes that
// it was read from. Strings are as they stand in the file: usually UTF-8, but
// nothing makes them so, and they may hold control characters.
type Metainfo struct {
	Version    Version
	InfoHashV1 bittorrent.InfoHash   // SHA-1 of the info dictionary; zero if Version is V2
	InfoHashV2 bittorrent.InfoHashV2 // SHA-256 of the info dictionary; zero if Version is V1

	Name        string // of the folder that holds the files, or of the only file
	Folder      bool   // Name is a folder; else it is the one file in Files
	Files       []File // in the torrent's order, at least one; without padding (BEP 47)
	Length      int64  // bytes of all Files together, at least 1
	PieceLength int64  // bytes per piece
	PieceCount  int64
	Private     bool   // peers come from the trackers alone (BEP 27)
	Source      string // by which private trackers make the same files another torrent

	Announce     string     // URL of the first tracker
	AnnounceList [][]string // tiers of tracker URLs (BEP 12); see Trackers
	WebSeeds     []string   // URLs that serve the files over HTTP or FTP (BEP 19)
	Comment      string
	CreatedBy    string
	CreationDate time.Time // UTC, to the second; zero if not told, or not within the years 1970 to 9999

	info []byte
}

// File is one file of a torrent.
type File struct {
	Path   string // parts joined by "/", below the folder Metainfo.Name; where that is no folder, Metainfo.Name
	Length int64  // bytes
}

// InfoHash returns the hash by which trackers know the torrent: that of version
// 1 where it has one, else that of version 2, truncated.
func (m *Metainfo) InfoHash() bittorrent.InfoHash { return m.InfoHashes()[0] }

// InfoHashes returns each hash under which the torrent has a swarm: two for a
// hybrid, version 1 first, else one.
func (m *Metainfo) InfoHashes() []bittorrent.InfoHash {
	switch m.Version {
	case V2:
		return []bittorrent.InfoHash{m.InfoHashV2.Truncated()}
	case Hybrid:
		return []bittorrent.InfoHash{m.InfoHashV1, m.InfoHashV2.Truncated()}
	}
	return []bittorrent.InfoHash{m.InfoHashV1}
}

// Info returns the bytes of the info dictionary exactly as they stood in the
// file. They must not be changed.
func (m *Metainfo) Info() []byte { return m.info }

// Trackers returns the tiers of trackers that a client asks: the announce list
// where there is one, which then replaces Announce (BEP 12), else Announce
// alone, else none.
func (m *Metainfo) Trackers() [][]string {
	if len(m.AnnounceList) > 0 {
		return m.AnnounceList
	}
	if m.Announce != "" {
		return [][]string{{m.Announce}}
	}
	return nil
}

// Read reads the .torrent file at path. It refuses folders, devices and what is
// larger than [MaxFileSize]. Errors begin with the path.
func Read(path string) (*Metainfo, error) {
	b, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ReadFile returns the bytes of the .torrent file at path, without a look at what
// they say. It refuses what [Read] refuses. Errors begin with the path.
func ReadFile(path string) ([]byte, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

func readFile(path string) ([]byte, error) {
	// Opening a named pipe would wait for its writer, so look first.
	stat, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if stat.IsDir() {
		return nil, errors.New("is a folder; name a .torrent file")
	}
	if !stat.Mode().IsRegular() {
		return nil, errors.New("is not a regular file; name a .torrent file")
	}
	if stat.Size() > MaxFileSize {
		return nil, fmt.Errorf("is larger than %d MiB, too large for a .torrent file", MaxFileSize>>20)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	// A file that grows meanwhile is cut off, and then no torrent.
	b, err := io.ReadAll(io.LimitReader(f, MaxFileSize))
	if err != nil {
		return nil, withoutPath(err)
	}
	return b, nil
}

// Parse reads a .torrent file. Every error is [ErrMalformed] and says what is
// wrong with it. The time is linear in len(b) but for a sort of the files.
func Parse(b []byte) (*Metainfo, error) {
	root, err := bittorrent.ParseBencode(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	info, _ := root.Get("info")
	if info.Kind() != bittorrent.KindDict {
		return nil, fmt.Errorf("%w: it has no info dictionary", ErrMalformed)
	}
	m := &Metainfo{info: bytes.Clone(info.Raw())}
	if err := m.readInfo(info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	m.readAround(root)
	return m, nil
}

// readInfo reads the info dictionary, in which every key that is known must have
// the right form.
func (m *Metainfo) readInfo(info bittorrent.Value) (err error) {
	if m.Version, err = versionOf(info); err != nil {
		return err
	}
	if m.Name, err = text(info, "name"); err != nil {
		return err
	}
	if err := checkPart(m.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if m.PieceLength, err = number(info, "piece length"); err != nil {
		return err
	}
	if m.Version == V1 || m.Version == Hybrid {
		m.InfoHashV1 = sha1.Sum(m.info)
		if err := m.readFilesV1(info); err != nil {
			return err
		}
	}
	if m.Version == V2 || m.Version == Hybrid {
		m.InfoHashV2 = sha256.Sum256(m.info)
		if err := m.readFilesV2(info); err != nil {
			return err
		}
	}
	if m.Length == 0 {
		return errors.New("there is nothing in it: all files are empty")
	}
	private, _ := info.Get("private")
	flag, _ := private.Int()
	m.Private = flag != 0
	m.Source = optionalText(info, "source")
	return nil
}

// versionOf tells the version by "meta version" (BEP 52), which version 1 does
// not have, and by the "pieces" of version 1.
func versionOf(info bittorrent.Value) (Version, error) {
	_, hasPieces := info.Get("pieces")
	meta, ok := info.Get("meta version")
	if !ok {
		return V1, nil
	}
	switch n, _ := meta.Int(); {
	case n == 1:
		return V1, nil
	case n == 2 && hasPieces:
		return Hybrid, nil
	case n == 2:
		return V2, nil
	}
	return 0, fmt.Errorf("meta version is %q, and only 1 and 2 are known", meta.Raw())
}

// readAround reads what stands beside the info dictionary.
func (m *Metainfo) readAround(root bittorrent.Value) {
	m.Announce = optionalText(root, "announce")
	m.Comment = optionalText(root, "comment")
	m.CreatedBy = optionalText(root, "created by")
	tiers, _ := root.Get("announce-list")
	for tier := range tiers.List() {
		if urls := textList(tier); len(urls) > 0 {
			m.AnnounceList = append(m.AnnounceList, urls)
		}
	}
	m.WebSeeds = textList(child(root, "url-list"))
	if url := optionalText(root, "url-list"); url != "" {
		m.WebSeeds = []string{url}
	}
	const endOf9999 = 253402300799 // later years have no form in RFC 3339
	if seconds, _ := child(root, "creation date").Int(); seconds > 0 && seconds <= endOf9999 {
		m.CreationDate = time.Unix(seconds, 0).UTC()
	}
}

func child(dict bittorrent.Value, key string) bittorrent.Value {
	v, _ := dict.Get(key)
	return v
}

func text(dict bittorrent.Value, key string) (string, error) {
	b, ok := child(dict, key).Bytes()
	if !ok {
		return "", fmt.Errorf("%s: want a string, have %s", key, child(dict, key).Kind())
	}
	return string(b), nil
}

func number(dict bittorrent.Value, key string) (int64, error) {
	n, ok := child(dict, key).Int()
	if !ok {
		return 0, fmt.Errorf("%s: want an integer, have %s", key, child(dict, key).Kind())
	}
	return n, nil
}

func optionalText(dict bittorrent.Value, key string) string {
	b, _ := child(dict, key).Bytes()
	return string(b)
}

// textList returns the strings of a list that are not empty.
func textList(list bittorrent.Value) []string {
	var texts []string
	for item := range list.List() {
		if b, _ := item.Bytes(); len(b) > 0 {
			texts = append(texts, string(b))
		}
	}
	return texts
}
