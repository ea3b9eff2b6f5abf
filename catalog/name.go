package catalog

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"waggle/torrent"
)

// extension is that of .torrent files, in letters of any case.
const extension = ".torrent"

// maxNameLength in bytes is that of most file systems.
const maxNameLength = 255

// CheckName returns nil if name can be that of an uploaded .torrent, on whatever
// system it is saved later: UTF-8 of at most 255 bytes, that ends in ".torrent", does
// not begin with a dot or a space, and has no separator of folders, no control
// character, none of the characters <>:"|?* in it, and is none of the devices of
// Windows, such as nul.torrent. The error is [ErrName] and says what is wrong.
func CheckName(name string) error {
	var wrong string
	switch {
	case len(name) > maxNameLength:
		return fmt.Errorf("%.40q...: %w: it is longer than %d bytes", name, ErrName, maxNameLength)
	case !utf8.ValidString(name):
		wrong = "is not UTF-8"
	case strings.ContainsAny(name, `/\`):
		wrong = "has a separator of folders in it"
	case strings.HasPrefix(name, ".") || strings.HasPrefix(name, " "):
		wrong = "begins with a dot or a space"
	case !hasExtension(name):
		wrong = "does not end in " + extension
	case strings.ContainsFunc(name, unprintable):
		wrong = "has a character in it that cannot be seen"
	case strings.ContainsAny(name, `<>:"|?*`):
		wrong = `has one of <>:"|?* in it`
	case torrent.IsDevice(name):
		wrong = "is that of a device on Windows"
	default:
		return nil
	}
	return fmt.Errorf("%q: %w: it %s; give another name", name, ErrName, wrong)
}

func hasExtension(name string) bool {
	n := len(name) - len(extension)
	return n > 0 && strings.EqualFold(name[n:], extension)
}

// unprintable is also true of marks that change the direction of text, by which
// one name looks like another.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// isTorrentFile reports whether a file in the directory is looked at. Its name is
// the operator's: what is not a name for an upload may be one here.
func isTorrentFile(name string) bool {
	return hasExtension(name) && !strings.HasPrefix(name, ".") && utf8.ValidString(name)
}
