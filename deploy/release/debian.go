package main

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what dpkg wants in md5sums, and no secret
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// debian returns the Debian package for a target, in the format that deb(5) describes.
func (s *source) debian(t target, program file, share, docs []file) (file, error) {
	installed, err := s.installed(program, share, docs)
	if err != nil {
		return file{}, err
	}
	control, err := s.control(t, installed)
	if err != nil {
		return file{}, err
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	addToAr(&b, s.time, "debian-binary", []byte("2.0\n"))
	for _, part := range []struct {
		name  string
		files []file
	}{{"control.tar.gz", control}, {"data.tar.gz", withFolders(installed)}} {
		packed, err := tarball(inRoot(part.files), s.time)
		if err != nil {
			return file{}, err
		}
		addToAr(&b, s.time, part.name, packed)
	}
	return file{path: fmt.Sprintf("waggle_%s_%s.deb", s.debianVersion(), t.arch), mode: 0o644, data: b.Bytes()}, nil
}

// debianVersion is the version as dpkg compares it: what comes before a release is lower.
func (s *source) debianVersion() string {
	return strings.Replace(s.version, "-", "~", 1)
}

// installed returns what the package puts where.
func (s *source) installed(program file, share, docs []file) ([]file, error) {
	var files []file
	add := func(path string, mode fs.FileMode, data []byte) {
		files = append(files, file{path: path, mode: mode, data: data})
	}
	add("usr/bin/waggle", 0o755, program.data)
	own, err := s.read("deploy/systemd/waggle.service", "deploy/debian/waggle.yaml", "deploy/debian/copyright", "deploy/debian/lintian-overrides")
	if err != nil {
		return nil, err
	}
	add("usr/lib/systemd/system/waggle.service", 0o644, own[0].data)
	add("etc/waggle/waggle.yaml", 0o640, own[1].data)
	add("usr/share/doc/waggle/copyright", 0o644, own[2].data)
	add("usr/share/lintian/overrides/waggle", 0o644, own[3].data)
	for _, f := range share {
		where, data := f.path, f.data
		switch {
		case strings.HasPrefix(where, "man/"):
			where += ".gz"
			if data, err = gzipped(data); err != nil {
				return nil, err
			}
		case strings.HasPrefix(where, "zsh/"): // Debian's zsh looks there for what packages bring
			where = "zsh/vendor-completions/" + path.Base(where)
		}
		add("usr/share/"+where, 0o644, data)
	}
	for _, f := range append(docs, s.changelog()) {
		name, data := f.path, f.data
		if name == "LICENSE" { // which copyright has
			continue
		}
		if path.Ext(name) != ".md" { // which name each other
			name += ".gz"
			if data, err = gzipped(data); err != nil {
				return nil, err
			}
		}
		add("usr/share/doc/waggle/"+name, 0o644, data)
	}
	return files, nil
}

// changelog says in Debian's form that there is this version.
func (s *source) changelog() file {
	text := fmt.Sprintf("waggle (%s) unstable; urgency=medium\n\n  * What is new is in CHANGELOG.md.\n\n -- %s  %s\n",
		s.debianVersion(), s.maintainer, s.time.Format(time.RFC1123Z))
	return file{path: "changelog", mode: 0o644, data: []byte(text)}
}

// control returns the files that dpkg itself reads.
func (s *source) control(t target, installed []file) ([]file, error) {
	size := 0
	var sums strings.Builder
	var kept []string
	for _, f := range sorted(installed) {
		size += (len(f.data) + 1023) / 1024
		if strings.HasPrefix(f.path, "etc/") {
			kept = append(kept, "/"+f.path)
			continue
		}
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(f.data), f.path)
	}
	control := fmt.Sprintf(`Package: waggle
Version: %s
Section: net
Priority: optional
Architecture: %s
Maintainer: %s
Installed-Size: %d
Depends: adduser, procps
Recommends: ca-certificates
Description: BitTorrent tracker that knows where its peers are
 waggle answers BitTorrent clients over UDP and HTTP, remembers their peers
 over a restart, and shows in a web console what is going on. Of each rack it
 lets a few fetch over the uplink, and the others feed each other.
 .
 The service runs as a user of its own in a sandbox of systemd. Settings are in
 /etc/waggle/waggle.yaml, and each is explained in waggle.yaml(5).
`, s.debianVersion(), t.arch, s.maintainer, size)
	files := []file{
		{path: "control", mode: 0o644, data: []byte(control)},
		{path: "conffiles", mode: 0o644, data: []byte(strings.Join(kept, "\n") + "\n")},
		{path: "md5sums", mode: 0o644, data: []byte(sums.String())},
	}
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		script, err := s.read("deploy/debian/" + name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{path: name, mode: 0o755, data: script[0].data})
	}
	return files, nil
}

// withFolders adds the folders that files are in, which dpkg removes with the package.
func withFolders(files []file) []file {
	all := slices.Clone(files)
	seen := map[string]bool{}
	for _, f := range files {
		for folder := path.Dir(f.path); folder != "." && !seen[folder]; folder = path.Dir(folder) {
			seen[folder] = true
			all = append(all, file{path: folder, mode: fs.ModeDir | 0o755})
		}
	}
	return all
}

// inRoot returns files as dpkg calls them: below "./", which comes first.
func inRoot(files []file) []file {
	all := []file{{path: "./", mode: fs.ModeDir | 0o755}}
	for _, f := range files {
		f.path = "./" + f.path
		if f.mode.IsDir() {
			f.path += "/"
		}
		all = append(all, f)
	}
	return all
}

// addToAr appends a member to an archive in the format of ar(5).
func addToAr(b *bytes.Buffer, modified time.Time, name string, data []byte) {
	fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, modified.Unix(), 0, 0, 0o100644, len(data))
	b.Write(data)
	if len(data)%2 == 1 {
		b.WriteByte('\n')
	}
}
