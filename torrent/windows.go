package torrent

import (
	"fmt"
	"strings"
	"unicode"
)

// ForWindows returns nil if Windows can have files of all the names in a torrent, as they are
// there. It would open a device for aux.c, a hidden part of a for a:b, and a for "a." and for A.
func (m *Metainfo) ForWindows() error {
	seen := map[string]string{} // by the name in one case, a file or a folder
	check := func(path string) error {
		from := 0
		for to, r := range path + "/" {
			if r != '/' {
				continue
			}
			if err := checkWindowsName(path[from:to]); err != nil {
				return fmt.Errorf("file %.80q: Windows has none of that name: %w", path, err)
			}
			folded := strings.ToUpper(path[:to])
			if before, ok := seen[folded]; ok && before != path[:to] {
				return fmt.Errorf("file %.80q: to Windows it is the same as %.80q", path, before)
			}
			seen[folded] = path[:to]
			from = to + 1
		}
		return nil
	}
	if err := check(m.Name); err != nil {
		return err
	}
	clear(seen) // what is within is in a folder of its own
	for i := range m.Files {
		if err := check(m.Files[i].Path); err != nil {
			return err
		}
	}
	return nil
}

func checkWindowsName(name string) error {
	switch {
	case IsDevice(name):
		return fmt.Errorf("%.80q is a device", name)
	case strings.ContainsAny(name, `<>:"|?*\`) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf(`%.80q has one of <>:"|?*\ in it, or a control character`, name)
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		return fmt.Errorf("%.80q ends in a dot or a space", name)
	}
	return nil
}

// IsDevice reports whether Windows takes a name, whatever its extension, for a device.
func IsDevice(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	number, found := strings.CutPrefix(stem, "COM")
	if !found {
		number, found = strings.CutPrefix(stem, "LPT")
	}
	switch number {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
		return found
	}
	return false
}
