package http

import (
	"strings"

	"waggle/bittorrent"
)

// request is a plain announce or scrape, in the bytes that it was read from: its
// strings are good for as long as those are left alone. Its memory is used again
// by the next parse.
type request struct {
	action    action
	passkey   string   // of the path; "": it has none
	query     string   // what follows the question mark
	forwarded []string // the values of X-Forwarded-For, in their order
	agent     string   // the first value of User-Agent
	http10    bool
	close     bool // the client wants no other answer on this connection

	passkeys bool // paths with a passkey are taken, too
}

// parsed is what came of reading a request.
type parsed uint8

const (
	whole   parsed = iota
	partial        // its end is not there yet
	foreign        // not one to be answered here
)

// enoughToJudge is how many bytes there must be before anything is said of them,
// as in net/http: some clients end a request with one line break too many.
const enoughToJudge = 4

// parse reads the request that in begins with, and returns its length in bytes if
// it is whole.
//
// It takes only what it understands to the last byte, and calls all else foreign,
// net/http's to answer or refuse: another method, path or version, the form
// http://host/path, a line that does not end in CR LF or that continues the one
// before, a control character, a header that can change where the request ends or
// what follows it (Content-Length, Transfer-Encoding, Expect, Upgrade, and
// Connection with anything but one of close and keep-alive), a Host that is not
// there exactly once. What it takes, net/http would take for the same.
func (r *request) parse(in string) (length int, is parsed) {
	if len(in) < enoughToJudge {
		return 0, partial
	}
	line, rest, is := cutLine(in)
	if is != whole {
		return 0, is
	}
	if !r.parseRequestLine(line) {
		return 0, foreign
	}
	r.forwarded, r.agent = r.forwarded[:0], ""
	var seen headers
	for {
		line, rest, is = cutLine(rest)
		if is != whole {
			return 0, is
		}
		if line == "" {
			break
		}
		if !r.parseHeader(line, &seen) {
			return 0, foreign
		}
	}
	if seen.hosts > 1 || seen.hosts == 0 && !r.http10 || seen.close && seen.keepAlive {
		return 0, foreign
	}
	r.close = seen.close || r.http10 && !seen.keepAlive
	return len(in) - len(rest), whole
}

// cutLine cuts the first line off, without its CR LF.
func cutLine(in string) (line, rest string, is parsed) {
	switch i := strings.IndexByte(in, '\n'); {
	case i < 0:
		return "", "", partial
	case i == 0 || in[i-1] != '\r':
		return "", "", foreign
	default:
		return in[:i-1], in[i+1:], whole
	}
}

func (r *request) parseRequestLine(line string) (ok bool) {
	const version = " HTTP/1.1"
	target, ok := strings.CutPrefix(line, "GET ")
	if !ok || !strings.HasPrefix(target, "/") || len(target) < len(version) {
		return false
	}
	target, end := target[:len(target)-len(version)], target[len(target)-len(version):]
	switch end {
	case version:
		r.http10 = false
	case " HTTP/1.0":
		r.http10 = true
	default:
		return false
	}
	path, query, _ := strings.Cut(target, "?")
	if !r.parsePath(path) {
		return false
	}
	r.query = query
	return all(query, inQuery)
}

func (r *request) parsePath(path string) (ok bool) {
	r.passkey = ""
	switch path {
	case "/announce":
		r.action = announce
	case "/scrape":
		r.action = scrape
	default:
		r.passkey, r.action, ok = passkeyPath(path)
		return ok && r.passkeys
	}
	return true
}

// passkeyPath returns what a path with a passkey asks for.
func passkeyPath(path string) (passkey string, what action, ok bool) {
	passkey, resource, ok := bittorrent.PasskeyPath(path)
	if resource == "scrape" {
		what = scrape
	}
	return passkey, what, ok
}

// headers is what those of one request say that are looked at.
type headers struct {
	hosts            int
	close, keepAlive bool
	agent            bool
}

// parseHeader reads a header line. ok is false if the request is foreign by it.
func (r *request) parseHeader(line string, seen *headers) (ok bool) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || !all(name, inToken) || !all(value, inValue) {
		return false
	}
	switch {
	case is(name, "Host"):
		seen.hosts++
		return all(trim(value), inHost)
	case is(name, "Connection"):
		value = trim(value)
		seen.close = seen.close || is(value, "close")
		seen.keepAlive = seen.keepAlive || is(value, "keep-alive")
		return is(value, "close") || is(value, "keep-alive")
	case is(name, "X-Forwarded-For"):
		r.forwarded = append(r.forwarded, trim(value))
	case is(name, "User-Agent"):
		if !seen.agent {
			r.agent, seen.agent = trim(value), true
		}
	case is(name, "Content-Length"), is(name, "Transfer-Encoding"), is(name, "Expect"), is(name, "Upgrade"):
		return false
	}
	return true
}

// is compares as header names are: without regard to case.
func is(s, want string) bool { return len(s) == len(want) && strings.EqualFold(s, want) }

func trim(value string) string { return strings.Trim(value, " \t") }

// class is a set of kinds of bytes.
type class uint8

const (
	inQuery class = 1 << iota // of a request's target: no space, no control character
	inToken                   // of a header's name (RFC 9110, 5.6.2)
	inValue                   // of a header's value: no control character but tab
	inHost                    // of a Host header: a name or an address, and a port
)

var classes = func() (table [256]class) {
	for c := range table {
		if c > ' ' && c != 0x7f {
			table[c] |= inQuery | inValue
		}
	}
	table[' '] |= inValue
	table['\t'] |= inValue
	const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, c := range []byte(alphanumeric) {
		table[c] |= inToken | inHost
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		table[c] |= inToken
	}
	for _, c := range []byte("-._:[]") {
		table[c] |= inHost
	}
	return table
}()

// all tells whether every byte of s is of the class.
func all(s string, of class) bool {
	for i := range len(s) {
		if classes[s[i]]&of == 0 {
			return false
		}
	}
	return true
}
