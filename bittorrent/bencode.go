package bittorrent

import (
	"bytes"
	"iter"
	"math"
	"slices"
	"strconv"
)

// MaxBencodeDepth is how many lists and dictionaries may lie within each other.
// Torrents need as many as their folders are deep (BEP 52), tracker responses
// three.
const MaxBencodeDepth = 64

// maxUnsortedKeys bounds the dictionaries that are read although their keys are
// not sorted: finding a key that is there twice then takes a sorted list of
// them, which lies on the stack.
const maxUnsortedKeys = 1024

// Faults of bencoded input.
const (
	ErrBencodeEnd       Error = "bencode: the input ends within a value"
	ErrBencodeTrailing  Error = "bencode: there are bytes after the value"
	ErrBencodeKind      Error = "bencode: a value begins with 'i', 'l', 'd' or a digit, and this one does not"
	ErrBencodeInt       Error = "bencode: integer: want 64 bits in decimal, without leading zeros or a negative zero"
	ErrBencodeLength    Error = "bencode: string: want its length in decimal, without leading zeros, and a colon"
	ErrBencodeKey       Error = "bencode: dictionary: a key is not a string"
	ErrBencodeDuplicate Error = "bencode: dictionary: a key is there twice"
	ErrBencodeUnsorted  Error = "bencode: dictionary: more than 1024 keys, and they are not sorted"
	ErrBencodeDepth     Error = "bencode: more than 64 lists and dictionaries within each other"
)

// Kind says which of the four kinds of BEP 3 a [Value] is.
type Kind uint8

// The kinds of a value.
const (
	KindNone  Kind = iota // the zero Value: nothing is there
	KindBytes             // a string; BEP 3 means UTF-8 where people read it, and any bytes elsewhere
	KindInt               // an integer of 64 bits
	KindList              // values in order
	KindDict              // values under keys
)

// String returns the word of BEP 3 for the kind, and "nothing" for KindNone.
func (k Kind) String() string {
	switch k {
	case KindBytes:
		return "string"
	case KindInt:
		return "integer"
	case KindList:
		return "list"
	case KindDict:
		return "dictionary"
	}
	return "nothing"
}

// Value is a bencoded value (BEP 3) in the bytes that it was read from. Nothing
// is copied: a Value, and all that its methods return, is good for as long as
// those bytes are left alone. Until then any number of goroutines may use it.
//
// A method that does not fit the kind answers false or yields nothing, and so do
// all of them on the zero Value; none panics. A path into optional keys thus
// needs one check, at its end.
//
// Lists and dictionaries are scanned anew by each call: walking a whole tree
// touches each byte once per level, of which there are at most [MaxBencodeDepth].
type Value struct {
	raw []byte // one whole value, validated
}

// ParseBencode reads b, which must be one value and nothing else.
//
// Integers and lengths must be in the only form that BEP 3 allows, and integers
// fit an int64. Keys must be strings, none twice in a dictionary. Keys out of
// order are accepted, against BEP 3, as there are real torrents like that and
// rewriting them would change their info hash; but only in dictionaries of up to
// 1024 keys. The time is linear in len(b), and nothing is allocated. Errors are
// this package's ErrBencode constants.
func ParseBencode(b []byte) (Value, error) {
	v, rest, err := ParseBencodePrefix(b)
	if err != nil {
		return Value{}, err
	}
	if len(rest) > 0 {
		return Value{}, ErrBencodeTrailing
	}
	return v, nil
}

// ParseBencodePrefix reads the value that b begins with, by the rules of
// [ParseBencode], and returns the bytes after it.
func ParseBencodePrefix(b []byte) (v Value, rest []byte, err error) {
	end, err := checkBencode(b, 0, 0)
	if err != nil {
		return Value{}, nil, err
	}
	return Value{raw: b[:end:end]}, b[end:], nil
}

// Raw returns exactly the bytes that the value was read from, nil for the zero
// Value. The SHA-1 of an info dictionary's raw bytes is the info hash.
func (v Value) Raw() []byte { return v.raw }

// Kind returns which kind of value this is, [KindNone] for the zero Value.
func (v Value) Kind() Kind {
	if len(v.raw) == 0 {
		return KindNone
	}
	switch v.raw[0] {
	case 'i':
		return KindInt
	case 'l':
		return KindList
	case 'd':
		return KindDict
	}
	return KindBytes
}

// Bytes returns the contents of a string.
func (v Value) Bytes() ([]byte, bool) {
	if v.Kind() != KindBytes {
		return nil, false
	}
	text, _, err := scanBencodeString(v.raw, 0)
	return text, err == nil
}

// Int returns the number of an integer.
func (v Value) Int() (int64, bool) {
	if v.Kind() != KindInt {
		return 0, false
	}
	n, _, err := scanBencodeInt(v.raw, 0)
	return n, err == nil
}

// List yields the values of a list in their order.
func (v Value) List() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != KindList {
			return
		}
		for b := v.raw[1:]; b[0] != 'e'; {
			end := skipBencode(b)
			if !yield(Value{raw: b[:end:end]}) {
				return
			}
			b = b[end:]
		}
	}
}

// Dict yields the keys and values of a dictionary in the order in which they
// stand there.
func (v Value) Dict() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		if v.Kind() != KindDict {
			return
		}
		for b := v.raw[1:]; b[0] != 'e'; {
			key, at, _ := scanBencodeString(b, 0)
			b = b[at:]
			end := skipBencode(b)
			if !yield(key, Value{raw: b[:end:end]}) {
				return
			}
			b = b[end:]
		}
	}
}

// Get returns the value under a key of a dictionary, and the zero Value and
// false where there is none. It takes the time of a scan of the dictionary.
func (v Value) Get(key string) (Value, bool) {
	for k, value := range v.Dict() {
		if string(k) == key {
			return value, true
		}
	}
	return Value{}, false
}

// AppendString appends s as a bencoded string. Lists and dictionaries have no
// function of their own: append 'l' or 'd', the values, and 'e'; the keys of a
// dictionary must be appended in the order of their bytes.
func AppendString(dst []byte, s string) []byte {
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, ':')
	return append(dst, s...)
}

// AppendBytes appends b as a bencoded string.
func AppendBytes(dst, b []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(b)), 10)
	dst = append(dst, ':')
	return append(dst, b...)
}

// AppendInt appends n as a bencoded integer.
func AppendInt(dst []byte, n int64) []byte {
	dst = append(dst, 'i')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, 'e')
}

// checkBencode validates the value that begins at b[at], within depth lists and
// dictionaries, and returns where it ends.
func checkBencode(b []byte, at, depth int) (end int, err error) {
	if at >= len(b) {
		return 0, ErrBencodeEnd
	}
	switch c := b[at]; {
	case isDigit(c):
		_, end, err = scanBencodeString(b, at)
		return end, err
	case c == 'i':
		_, end, err = scanBencodeInt(b, at)
		return end, err
	case c != 'l' && c != 'd':
		return 0, ErrBencodeKind
	case depth == MaxBencodeDepth:
		return 0, ErrBencodeDepth
	case c == 'l':
		return checkBencodeList(b, at, depth+1)
	default:
		return checkBencodeDict(b, at, depth+1)
	}
}

func checkBencodeList(b []byte, at, depth int) (end int, err error) {
	at++
	for at < len(b) && b[at] != 'e' {
		if at, err = checkBencode(b, at, depth); err != nil {
			return 0, err
		}
	}
	if at >= len(b) {
		return 0, ErrBencodeEnd
	}
	return at + 1, nil
}

func checkBencodeDict(b []byte, at, depth int) (end int, err error) {
	start, sorted := at, true
	var last, key []byte // last is nil before the first key
	at++
	for at < len(b) && b[at] != 'e' {
		if !isDigit(b[at]) {
			return 0, ErrBencodeKey
		}
		if key, at, err = scanBencodeString(b, at); err != nil {
			return 0, err
		}
		if last != nil {
			switch order := bytes.Compare(last, key); {
			case order == 0:
				return 0, ErrBencodeDuplicate
			case order > 0:
				sorted = false
			}
		}
		last = key
		if at, err = checkBencode(b, at, depth); err != nil {
			return 0, err
		}
	}
	if at >= len(b) {
		return 0, ErrBencodeEnd
	}
	if !sorted {
		return at + 1, checkUnsortedKeys(b[start : at+1])
	}
	return at + 1, nil
}

// checkUnsortedKeys looks for a key that is twice in a dictionary that is valid
// otherwise.
func checkUnsortedKeys(dict []byte) error {
	var keys [maxUnsortedKeys][]byte
	n := 0
	for key := range (Value{raw: dict}).Dict() {
		if n == len(keys) {
			return ErrBencodeUnsorted
		}
		keys[n] = key
		n++
	}
	slices.SortFunc(keys[:n], bytes.Compare)
	for i := 1; i < n; i++ {
		if bytes.Equal(keys[i-1], keys[i]) {
			return ErrBencodeDuplicate
		}
	}
	return nil
}

// scanBencodeString reads the string at b[at].
func scanBencodeString(b []byte, at int) (text []byte, end int, err error) {
	var length uint64
	i := at
	for ; i < len(b) && isDigit(b[i]); i++ {
		if i > at && length == 0 {
			return nil, 0, ErrBencodeLength
		}
		length = length*10 + uint64(b[i]-'0')
		if length > uint64(len(b)) {
			return nil, 0, ErrBencodeEnd
		}
	}
	if i == len(b) {
		return nil, 0, ErrBencodeEnd
	}
	if i == at || b[i] != ':' {
		return nil, 0, ErrBencodeLength
	}
	i++
	if length > uint64(len(b)-i) {
		return nil, 0, ErrBencodeEnd
	}
	end = i + int(length)
	return b[i:end:end], end, nil
}

// scanBencodeInt reads the integer whose 'i' is b[at].
func scanBencodeInt(b []byte, at int) (n int64, end int, err error) {
	i, limit := at+1, uint64(math.MaxInt64)
	negative := i < len(b) && b[i] == '-'
	if negative {
		i++
		limit++
	}
	digits := i
	var u uint64
	for ; i < len(b) && isDigit(b[i]); i++ {
		if u > limit/10 {
			return 0, 0, ErrBencodeInt
		}
		u = u*10 + uint64(b[i]-'0')
	}
	if i == len(b) {
		return 0, 0, ErrBencodeEnd
	}
	leadingZero := b[digits] == '0' && (negative || i > digits+1)
	if i == digits || b[i] != 'e' || leadingZero || u > limit {
		return 0, 0, ErrBencodeInt
	}
	if negative {
		return -int64(u), i + 1, nil
	}
	return int64(u), i + 1, nil
}

// skipBencode returns the length of the value that validated bytes begin with.
func skipBencode(b []byte) int {
	for at, depth := 0, 0; ; {
		switch b[at] {
		case 'l', 'd':
			depth++
			at++
		case 'e':
			depth--
			at++
		case 'i':
			at += bytes.IndexByte(b[at:], 'e') + 1
		default:
			_, at, _ = scanBencodeString(b, at)
		}
		if depth == 0 {
			return at
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
