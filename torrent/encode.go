package torrent

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"waggle/bittorrent"
)

// appendMetainfo appends the .torrent, with sorted keys as everywhere below.
func appendMetainfo(dst []byte, o *CreateOptions, l *layout, h *pieceHashes) []byte {
	files := l.fileHashes(h)
	dst = append(dst, 'd')
	dst = appendTrackers(dst, "announce", o.Announce)
	dst = appendTrackers(dst, "announce-list", o.Announce)
	dst = appendField(dst, "comment", o.Comment)
	dst = appendField(dst, "created by", o.CreatedBy)
	if !o.CreationDate.IsZero() {
		dst = bittorrent.AppendString(dst, "creation date")
		dst = bittorrent.AppendInt(dst, o.CreationDate.Unix())
	}
	dst = bittorrent.AppendString(dst, "info")
	dst = appendInfo(dst, o, l, h.v1, files)
	if o.Version != V1 {
		dst = bittorrent.AppendString(dst, "piece layers")
		dst = appendLayers(dst, files)
	}
	if len(o.WebSeeds) > 0 {
		dst = bittorrent.AppendString(dst, "url-list")
		dst = appendList(dst, o.WebSeeds)
	}
	return append(dst, 'e')
}

// appendTrackers appends "announce" or "announce-list" with its value, nothing
// where the tiers do not need it.
func appendTrackers(dst []byte, key string, tiers [][]string) []byte {
	switch {
	case len(tiers) == 0:
		return dst
	case key == "announce":
		return appendField(dst, key, tiers[0][0])
	case len(tiers) == 1 && len(tiers[0]) == 1:
		return dst
	}
	dst = bittorrent.AppendString(dst, key)
	dst = append(dst, 'l')
	for _, tier := range tiers {
		dst = appendList(dst, tier)
	}
	return append(dst, 'e')
}

// appendInfo appends the info dictionary.
func appendInfo(dst []byte, o *CreateOptions, l *layout, pieces []byte, files []fileHash) []byte {
	dst = append(dst, 'd')
	if o.Version != V1 {
		dst = bittorrent.AppendString(dst, "file tree")
		if l.tree.isFolder() {
			dst = appendFileTree(dst, files, 0)
		} else {
			dst = append(dst, 'd')
			dst = appendLeaf(bittorrent.AppendString(dst, o.Name), files[0])
			dst = append(dst, 'e')
		}
	}
	if o.Version != V2 {
		dst = appendFilesV1(dst, l)
	}
	if o.Version != V1 {
		dst = bittorrent.AppendString(dst, "meta version")
		dst = bittorrent.AppendInt(dst, 2)
	}
	dst = appendField(dst, "name", o.Name)
	dst = bittorrent.AppendString(dst, "piece length")
	dst = bittorrent.AppendInt(dst, o.PieceLength)
	if o.Version != V2 {
		dst = bittorrent.AppendString(dst, "pieces")
		dst = bittorrent.AppendBytes(dst, pieces)
	}
	if o.Private {
		dst = bittorrent.AppendString(dst, "private")
		dst = bittorrent.AppendInt(dst, 1)
	}
	dst = appendField(dst, "source", o.Source)
	return append(dst, 'e')
}

// appendFilesV1 appends "length" or "files".
func appendFilesV1(dst []byte, l *layout) []byte {
	if !l.tree.isFolder() {
		dst = bittorrent.AppendString(dst, "length")
		return bittorrent.AppendInt(dst, l.tree.total)
	}
	dst = bittorrent.AppendString(dst, "files")
	dst = append(dst, 'l')
	for i, f := range l.tree.files {
		dst = append(dst, 'd')
		dst = appendFileV1(dst, f.stat.Size(), strings.Split(f.path, "/"))
		if n := l.padding(i); n > 0 {
			// The names of padding are a convention of BEP 47; nobody stores it.
			dst = appendField(append(dst, 'd'), "attr", "p")
			dst = appendFileV1(dst, n, []string{".pad", strconv.FormatInt(n, 10)})
		}
	}
	return append(dst, 'e')
}

// appendFileV1 appends the rest of a dictionary that was begun.
func appendFileV1(dst []byte, length int64, path []string) []byte {
	dst = bittorrent.AppendString(dst, "length")
	dst = bittorrent.AppendInt(dst, length)
	dst = bittorrent.AppendString(dst, "path")
	return append(appendList(dst, path), 'e')
}

// appendFileTree appends the dictionary of names of files that lie, at any depth,
// in one folder, whose name with its last "/" is the first skip bytes of their
// paths. They are sorted by comparePaths.
func appendFileTree(dst []byte, files []fileHash, skip int) []byte {
	dst = append(dst, 'd')
	for len(files) > 0 {
		name, _, isFolder := strings.Cut(files[0].path[skip:], "/")
		dst = bittorrent.AppendString(dst, name)
		if !isFolder {
			dst = appendLeaf(dst, files[0])
			files = files[1:]
			continue
		}
		folder := files[0].path[:skip+len(name)+1]
		n := slices.IndexFunc(files, func(f fileHash) bool { return !strings.HasPrefix(f.path, folder) })
		if n < 0 {
			n = len(files)
		}
		dst = appendFileTree(dst, files[:n], len(folder))
		files = files[n:]
	}
	return append(dst, 'e')
}

func appendLeaf(dst []byte, f fileHash) []byte {
	dst = append(dst, "d0:d"...)
	dst = bittorrent.AppendString(dst, "length")
	dst = bittorrent.AppendInt(dst, f.length)
	if f.length > 0 {
		dst = bittorrent.AppendString(dst, "pieces root")
		dst = bittorrent.AppendBytes(dst, f.root[:])
	}
	return append(dst, "ee"...)
}

// appendLayers appends, for each file that is longer than a piece, the roots of
// its pieces under that of the file. Files with the same contents share them.
func appendLayers(dst []byte, files []fileHash) []byte {
	layers := slices.DeleteFunc(slices.Clone(files), func(f fileHash) bool { return len(f.layer) == 0 })
	slices.SortFunc(layers, func(a, b fileHash) int { return bytes.Compare(a.root[:], b.root[:]) })
	layers = slices.CompactFunc(layers, func(a, b fileHash) bool { return a.root == b.root })
	dst = append(dst, 'd')
	for _, f := range layers {
		dst = bittorrent.AppendBytes(dst, f.root[:])
		dst = strconv.AppendInt(dst, int64(len(f.layer)*len(node{})), 10)
		dst = append(dst, ':')
		for _, root := range f.layer {
			dst = append(dst, root[:]...)
		}
	}
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
