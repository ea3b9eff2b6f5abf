package torrent

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"waggle/bittorrent"
)

// maxPathLength is the longest path in bytes, as most systems have it, and
// maxPathsLength the sum over all paths of a torrent: in version 2 they share
// their beginnings, and a small file could ask for very much memory.
const (
	maxPathLength  = 4096
	maxPathsLength = MaxFileSize
)

// minPieceLength is the smallest piece of version 2 (BEP 52), and the smallest
// that Create makes. Peers ask for no less at a time.
const minPieceLength = 16 << 10

// fileList gathers files and checks what is true of each alone.
type fileList struct {
	files       []File
	length      int64 // bytes of the files
	padding     int64 // bytes of padding between them (BEP 47)
	pathsLength int   // bytes of all paths
}

func (l *fileList) add(path string, length int64) error {
	if length < 0 {
		return fmt.Errorf("file %q: its length %d is negative", path, length)
	}
	if length > math.MaxInt64-l.length-l.padding {
		return fmt.Errorf("file %q: the lengths of all files together do not fit 64 bits", path)
	}
	if l.pathsLength += len(path); l.pathsLength > maxPathsLength {
		return errors.New("the paths of its files are too long to be kept in memory")
	}
	l.files = append(l.files, File{Path: path, Length: length})
	l.length += length
	return nil
}

func (l *fileList) addPadding(length int64) error {
	if length < 0 || length > math.MaxInt64-l.length-l.padding {
		return fmt.Errorf("padding of %d bytes: want one that is not negative and fits 64 bits with all files", length)
	}
	l.padding += length
	return nil
}

// readFilesV1 reads "length" or "files", and checks "pieces" against them.
func (m *Metainfo) readFilesV1(info bittorrent.Value) error {
	list := &fileList{}
	var err error
	switch files, length := child(info, "files"), child(info, "length"); {
	case files.Kind() != bittorrent.KindNone && length.Kind() != bittorrent.KindNone:
		return errors.New("it has files and length, and only one of them can be true")
	case files.Kind() == bittorrent.KindNone:
		err = list.addSingle(info, m.Name)
	case files.Kind() == bittorrent.KindList:
		err = list.addFiles(files)
	default:
		err = fmt.Errorf("files: want a list, have %s", files.Kind())
	}
	if err != nil {
		return err
	}
	if err := checkDistinct(list.files); err != nil {
		return err
	}
	m.Files, m.Length = list.files, list.length
	m.Folder = child(info, "files").Kind() != bittorrent.KindNone
	return m.checkPieces(info, list.length+list.padding)
}

func (m *Metainfo) checkPieces(info bittorrent.Value, total int64) error {
	pieces, ok := child(info, "pieces").Bytes()
	if !ok {
		return fmt.Errorf("pieces: want a string, have %s", child(info, "pieces").Kind())
	}
	if len(pieces)%sha1.Size != 0 {
		return fmt.Errorf("pieces: %d bytes are not a whole number of hashes of %d bytes", len(pieces), sha1.Size)
	}
	if m.PieceLength <= 0 {
		return fmt.Errorf("piece length: %d is not above 0", m.PieceLength)
	}
	m.PieceCount = int64(len(pieces) / sha1.Size)
	if want := pieceCount(total, m.PieceLength); m.PieceCount != want {
		return fmt.Errorf("pieces: there are %d hashes, and %d bytes in pieces of %d need %d",
			m.PieceCount, total, m.PieceLength, want)
	}
	return nil
}

func (l *fileList) addSingle(info bittorrent.Value, name string) error {
	length, err := number(info, "length")
	if err != nil {
		return err
	}
	return l.add(name, length)
}

func (l *fileList) addFiles(files bittorrent.Value) error {
	for file := range files.List() {
		path, err := joinPath(child(file, "path"))
		if err != nil {
			return fmt.Errorf("files: %w", err)
		}
		length, err := number(file, "length")
		if err != nil {
			return fmt.Errorf("file %q: %w", path, err)
		}
		if strings.Contains(optionalText(file, "attr"), "p") {
			err = l.addPadding(length)
		} else {
			err = l.add(path, length)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readFilesV2 reads "file tree". The files of a hybrid must be those of version
// 1, else the two swarms would make different files of one name.
func (m *Metainfo) readFilesV2(info bittorrent.Value) error {
	if m.PieceLength < minPieceLength || m.PieceLength&(m.PieceLength-1) != 0 {
		return fmt.Errorf("piece length: %d is not a power of two from %d", m.PieceLength, minPieceLength)
	}
	root := child(info, "file tree")
	if root.Kind() != bittorrent.KindDict {
		return fmt.Errorf("file tree: want a dictionary, have %s", root.Kind())
	}
	list := &fileList{}
	if err := list.addTree(root, ""); err != nil {
		return fmt.Errorf("file tree: %w", err)
	}
	if m.Version == Hybrid {
		if !slices.Equal(list.files, m.Files) {
			return errors.New("it is hybrid, and its two lists of files differ")
		}
		return nil
	}
	if err := checkDistinct(list.files); err != nil {
		return err
	}
	m.Files, m.Length = list.files, list.length
	m.Folder = len(m.Files) != 1 || m.Files[0].Path != m.Name
	for _, f := range m.Files {
		m.PieceCount += pieceCount(f.Length, m.PieceLength)
	}
	return nil
}

// addTree adds the files of a dictionary of names. A name leads to a dictionary
// of names in turn, or to one whose only key is empty: a file. The depth is
// bounded by that of bencode.
func (l *fileList) addTree(dict bittorrent.Value, parent string) error {
	for key, node := range dict.Dict() {
		name := string(key)
		if err := checkPart(name); err != nil {
			return err
		}
		path := parent + name
		if len(path) > maxPathLength {
			return fmt.Errorf("path %.40q...: is longer than %d bytes", path, maxPathLength)
		}
		file, isFile := node.Get("")
		var err error
		switch {
		case node.Kind() != bittorrent.KindDict:
			err = fmt.Errorf("%q: want a dictionary, have %s", path, node.Kind())
		case isFile:
			err = l.addLeaf(node, file, path)
		default:
			err = l.addTree(node, path+"/")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *fileList) addLeaf(node, file bittorrent.Value, path string) error {
	for key := range node.Dict() {
		if len(key) > 0 {
			return fmt.Errorf("%q is a file and a folder", path)
		}
	}
	length, err := number(file, "length")
	if err != nil {
		return fmt.Errorf("file %q: %w", path, err)
	}
	if root, _ := child(file, "pieces root").Bytes(); length > 0 && len(root) != sha256.Size {
		return fmt.Errorf("file %q: pieces root: want %d bytes, have %d", path, sha256.Size, len(root))
	}
	return l.add(path, length)
}

// joinPath checks a list of names and joins them by "/".
func joinPath(list bittorrent.Value) (string, error) {
	if list.Kind() != bittorrent.KindList {
		return "", fmt.Errorf("path: want a list, have %s", list.Kind())
	}
	var path []byte
	for part := range list.List() {
		name, ok := part.Bytes()
		if !ok {
			return "", fmt.Errorf("path: want a list of strings, and %s is in it", part.Kind())
		}
		if err := checkPart(string(name)); err != nil {
			return "", fmt.Errorf("path: %w", err)
		}
		if len(path) > 0 {
			path = append(path, '/')
		}
		if path = append(path, name...); len(path) > maxPathLength {
			return "", fmt.Errorf("path %.40q...: is longer than %d bytes", path, maxPathLength)
		}
	}
	if len(path) == 0 {
		return "", errors.New("path: is an empty list")
	}
	return string(path), nil
}

// checkPart refuses a name that is no plain name of one file or folder,
// whichever system it is stored on.
func checkPart(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case name == "." || name == "..":
		return fmt.Errorf("%q would lead to another folder", name)
	case strings.ContainsAny(name, "/\\"):
		return fmt.Errorf("%.80q has a separator of folders in it", name)
	case strings.IndexByte(name, 0) >= 0:
		return fmt.Errorf("%.80q has a zero byte in it", name)
	case len(name) > maxPathLength:
		return fmt.Errorf("%.40q... is longer than %d bytes", name, maxPathLength)
	}
	return nil
}

// checkDistinct refuses a path that is there twice, or that is a file and the
// folder of another. Sorted by parts, both would be neighbours.
func checkDistinct(files []File) error {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.Path
	}
	slices.SortFunc(paths, comparePaths)
	for i := 1; i < len(paths); i++ {
		rest, within := strings.CutPrefix(paths[i], paths[i-1])
		if within && rest == "" {
			return fmt.Errorf("file %q is there twice", paths[i])
		}
		if within && rest[0] == '/' {
			return fmt.Errorf("%q is a file and a folder", paths[i-1])
		}
	}
	return nil
}

// comparePaths compares paths part by part, as the dictionaries of BEP 52 sort:
// "a/b" comes before "a.b", though '.' comes before '/'.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		if a[i] == '/' || b[i] != '/' && a[i] < b[i] {
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}
