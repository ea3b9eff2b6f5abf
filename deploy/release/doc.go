// Command release makes a release of waggle from a checkout: static binaries for Linux,
// macOS and Windows in archives with manual pages and completions, Debian packages, a
// list of what is in each binary (SBOM), and checksums of all. make release runs it.
//
//	release [-dist FOLDER] [-targets linux/amd64,...] [-version VERSION] [-maintainer 'NAME <ADDRESS>']
//
// The same commit makes the same bytes, whoever makes them and where, with the same
// version of Go: times are those of the commit, owners are root, modes do not follow the
// umask, and everything is in order.
//
// The version is that of the tag at the commit (v1.2.3); without a tag it comes before
// the next release: 1.2.3-dev., the time of the commit, and its hash.
package main
