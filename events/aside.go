package events

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waggle/wholefile"
)

// asideFolder is the folder, within that of a spool, of what ends have refused for good: a file each, in the form
// in which it is sent.
const asideFolder = "refused"

// mostAside is how many files of refused events are kept. The oldest make room.
const mostAside = 100

// putAside keeps a piece of a batch that an end does not want, and returns where. Without a folder
// nothing is kept.
func (s *spool) putAside(end string, p *piece, body []byte) (path string, err error) {
	if s.directory == "" {
		return "", nil
	}
	folder := filepath.Join(s.directory, asideFolder)
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", cause(err)
	}
	if err := thin(folder, mostAside-1); err != nil {
		return "", cause(err)
	}
	path = filepath.Join(folder, end+"-"+p.id()+".json")
	return path, wholefile.Write(path, body)
}

// thin removes the oldest files of a folder until there are only so many.
func thin(folder string, most int) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for len(files) > most {
		if err := os.Remove(filepath.Join(folder, files[0].Name())); err != nil {
			return err
		}
		files = files[1:]
	}
	return nil
}
