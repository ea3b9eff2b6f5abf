package websocket

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// maxDepth is how deep values may lie in each other. A message of the protocol needs
// four.
const maxDepth = 16

// scanner reads JSON (RFC 8259) from the front of what is left, and copies nothing. What
// it returns is well-formed, and UTF-8.
type scanner struct{ left []byte }

// next skips white space, and returns the byte that follows; 0: there is none.
func (s *scanner) next() byte {
	for i, c := range s.left {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			s.left = s.left[i:]
			return c
		}
	}
	s.left = nil
	return 0
}

// take skips white space and a byte, if that is next.
func (s *scanner) take(c byte) (ok bool) {
	if s.next() != c {
		return false
	}
	s.left = s.left[1:]
	return true
}

// value skips a value and returns it as it stands.
func (s *scanner) value() (raw []byte, ok bool) {
	s.next()
	whole := s.left
	if !s.skip(maxDepth) {
		return nil, false
	}
	return whole[:len(whole)-len(s.left)], true
}

func (s *scanner) skip(depth int) (ok bool) {
	switch c := s.next(); c {
	case '{':
		return depth > 0 && s.members(func([]byte) bool { return s.skip(depth - 1) })
	case '[':
		return depth > 0 && s.elements(func() bool { return s.skip(depth - 1) })
	case '"':
		_, ok := s.text()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

// members reads an object: see is told each name as it stands, and takes the value.
func (s *scanner) members(see func(name []byte) (ok bool)) (ok bool) {
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		s.next()
		name, ok := s.text()
		if !ok || !s.take(':') || !see(name) {
			return false
		}
		if !s.take(',') {
			return s.take('}')
		}
	}
}

// elements reads an array: see takes each value.
func (s *scanner) elements(see func() (ok bool)) (ok bool) {
	if !s.take('[') {
		return false
	}
	if s.take(']') {
		return true
	}
	for {
		if !see() {
			return false
		}
		if !s.take(',') {
			return s.take(']')
		}
	}
}

// text reads a string, and returns it without its quotes, escapes as they stand.
func (s *scanner) text() (raw []byte, ok bool) {
	in := s.left
	if len(in) == 0 || in[0] != '"' {
		return nil, false
	}
	for i := 1; ; {
		i += ordinary(in[i:])
		if i == len(in) {
			return nil, false
		}
		n := 0
		switch c := in[i]; {
		case c == '"':
			s.left = in[i+1:]
			return in[1:i], true
		case c == '\\':
			n = escapes(in[i:])
		case c >= utf8.RuneSelf:
			n = beyond(in[i:])
		}
		if n == 0 {
			return nil, false
		}
		i += n
	}
}

// ordinary returns how many bytes of ASCII in begins with that stand for themselves in a
// string.
func ordinary(in []byte) (n int) {
	for ; len(in)-n >= 16; n += 16 {
		first, second := others(binary.LittleEndian.Uint64(in[n:])), others(binary.LittleEndian.Uint64(in[n+8:]))
		switch {
		case first != 0:
			return n + bits.TrailingZeros64(first)/8
		case second != 0:
			return n + 8 + bits.TrailingZeros64(second)/8
		}
	}
	for n < len(in) && others(uint64(in[n])|spaces&^0xff) == 0 {
		n++
	}
	return n
}

const spaces = 0x2020202020202020

// others returns the highest bit of each byte that does not stand for itself. Bytes above
// the lowest of these may be among them though they do.
func others(eight uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quotes, escapes := eight^ones*'"', eight^ones*'\\'
	return ((quotes - ones) | (escapes - ones) | (eight - spaces) | eight) & tops
}

// beyond returns the length of the characters beyond ASCII that in begins with, one behind the
// other where they are of two bytes; 0: there is one that is none.
func beyond(in []byte) (n int) {
	for n+1 < len(in) && in[n] >= 0xc2 && in[n] < 0xe0 && in[n+1]&0xc0 == 0x80 {
		n += 2
	}
	if n > 0 {
		return n
	}
	if _, n := utf8.DecodeRune(in); n > 1 {
		return n
	}
	return 0
}

// lineEnd is the end of a line of a session description, of which each has a dozen.
const lineEnd = '\\' | 'r'<<8 | '\\'<<16 | 'n'<<24

// escapes returns the length of the escapes that in begins with, one behind the other as
// the ends of lines are; 0: there is one that is none.
func escapes(in []byte) (n int) {
	for len(in)-n >= 4 && binary.LittleEndian.Uint32(in[n:]) == lineEnd {
		n += 4
	}
	for n < len(in) && in[n] == '\\' {
		size := escape(in[n:])
		if size == 0 {
			return 0
		}
		n += size
	}
	return n
}

// escape returns the length of the escape that in begins with; 0: it is none.
func escape(in []byte) int {
	if len(in) < 2 {
		return 0
	}
	switch in[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(in[2:]); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads the four digits that in begins with.
func hex4(in []byte) (n rune, ok bool) {
	if len(in) < 4 {
		return 0, false
	}
	for _, c := range in[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | rune(c)
	}
	return n, true
}

func (s *scanner) word(w string) (ok bool) {
	if len(s.left) < len(w) || string(s.left[:len(w)]) != w {
		return false
	}
	s.left = s.left[len(w):]
	return true
}

func (s *scanner) number() (ok bool) {
	in := s.left
	i := 0
	if i < len(in) && in[i] == '-' {
		i++
	}
	whole := digits(in[i:])
	if whole == 0 || whole > 1 && in[i] == '0' {
		return false
	}
	i += whole
	if i < len(in) && in[i] == '.' {
		n := digits(in[i+1:])
		if n == 0 {
			return false
		}
		i += 1 + n
	}
	if i < len(in) && (in[i] == 'e' || in[i] == 'E') {
		i++
		if i < len(in) && (in[i] == '+' || in[i] == '-') {
			i++
		}
		n := digits(in[i:])
		if n == 0 {
			return false
		}
		i += n
	}
	s.left = in[i:]
	return true
}

func digits(in []byte) (n int) {
	for n < len(in) && '0' <= in[n] && in[n] <= '9' {
		n++
	}
	return n
}

// whole returns the whole number that a well-formed value is, at most [math.MaxInt64].
// A browser writes numbers of 22 digits and more with an exponent.
func whole(raw []byte) (n int64, ok bool) {
	if len(raw) > 0 && digits(raw) == len(raw) && len(raw) <= 18 {
		for _, c := range raw {
			n = n*10 + int64(c-'0')
		}
		return n, true
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case f >= math.MaxInt64: // also where it is out of range
		return math.MaxInt64, true
	case err != nil && f == 0, f < math.MinInt64, f != math.Trunc(f):
		return 0, false
	}
	return int64(f), true
}

// decode decodes a well-formed string of as many characters as dst has bytes, each of which
// stands for one: that is how browsers write bytes in JSON.
func decode(dst []byte, raw []byte) (ok bool) {
	n := 0
	for i := 0; i < len(raw); n++ {
		if n == len(dst) {
			return false
		}
		switch c := raw[i]; {
		case c == '\\':
			r, size := unescape(raw[i:])
			if r > math.MaxUint8 {
				return false
			}
			dst[n] = byte(r)
			i += size
		case c < utf8.RuneSelf:
			dst[n] = c
			i++
		case c > 0xc3: // more than a byte stands for
			return false
		default:
			dst[n] = c<<6 | raw[i+1]&0x3f
			i += 2
		}
	}
	return n == len(dst)
}

// unescape returns what a well-formed escape stands for, and its length.
func unescape(in []byte) (r rune, size int) {
	switch c := in[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, _ = hex4(in[2:])
		return r, 6
	default:
		return rune(c), 2
	}
}

// plain returns a string without its escapes, which nobody has where this is asked. It is
// good for as long as raw is.
func plain(raw []byte) string {
	for _, c := range raw {
		if c == '\\' {
			var s string
			_ = json.Unmarshal(append(append([]byte{'"'}, raw...), '"'), &s) // it is well-formed
			return s
		}
	}
	return unsafe.String(unsafe.SliceData(raw), len(raw))
}

const hexDigits = "0123456789abcdef"

// appendBinary appends bytes as a string of as many characters.
func appendBinary(b, bytes []byte) []byte {
	b = append(b, '"')
	for _, c := range bytes {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			b = append(b, 0xc0|c>>6, 0x80|c&0x3f)
		}
	}
	return append(b, '"')
}

// appendText appends a string of words of ours, which are well-formed.
func appendText(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // never fails for a string
	return append(b, quoted...)
}
