package lambda

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// errMangled is for the client's user, whom the operator will hear of.
var errMangled = errors.New("the gateway before this tracker has damaged info_hash or peer_id, which are bytes and no text: " +
	"its operator must use a Function URL or an HTTP API with payload 2.0 (docs/serverless.md)")

// ids are the parameters whose values are bytes and no text.
var ids = []string{"info_hash", "peer_id"}

// joined returns the query of parameters whose names and values are as the client
// escaped them. What has no place in a query is escaped.
func joined(lists map[string][]string, single map[string]string) string {
	return join(lists, single, func(query []byte, name, value string) []byte {
		return appendRaw(append(appendRaw(query, name), '='), value)
	})
}

// encoded returns the query of parameters that were unescaped on their way. The error
// is errMangled.
func encoded(lists map[string][]string, single map[string]string) (string, error) {
	for _, name := range ids {
		if isMangled(single[name]) || slices.ContainsFunc(lists[name], isMangled) {
			return "", errMangled
		}
	}
	return join(lists, single, func(query []byte, name, value string) []byte {
		query = append(appendEscaped(query, name), '=')
		if slices.Contains(ids, name) && isLatin(value) {
			return appendLatin(query, value)
		}
		return appendEscaped(query, value)
	}), nil
}

// isMangled reports whether bytes were replaced that are no UTF-8. One of 900,000 info
// hashes has the three bytes of U+FFFD of its own.
func isMangled(value string) bool { return strings.ContainsRune(value, utf8.RuneError) }

// join puts parameters together in the order of their names; lists have them all, where
// there are lists.
func join(lists map[string][]string, single map[string]string, write func(query []byte, name, value string) []byte) string {
	var query []byte
	add := func(name, value string) {
		if len(query) > 0 {
			query = append(query, '&')
		}
		query = write(query, name, value)
	}
	if lists != nil {
		for _, name := range slices.Sorted(maps.Keys(lists)) {
			for _, value := range lists[name] {
				add(name, value)
			}
		}
		return string(query)
	}
	for _, name := range slices.Sorted(maps.Keys(single)) {
		add(name, single[name])
	}
	return string(query)
}

const hexDigits = "0123456789ABCDEF"

func appendByte(query []byte, c byte) []byte {
	return append(query, '%', hexDigits[c>>4], hexDigits[c&15])
}

// appendRaw appends what is escaped already.
func appendRaw(query []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c <= ' ' || c >= 0x7f || c == '&' || c == '#':
			query = appendByte(query, c)
		default:
			query = append(query, c)
		}
	}
	return query
}

// appendLatin appends bytes of which each has become a character.
func appendLatin(query []byte, text string) []byte {
	for _, r := range text {
		query = appendByte(query, byte(r))
	}
	return query
}

// appendEscaped appends text, and escapes all but what RFC 3986 calls unreserved.
func appendEscaped(query []byte, text string) []byte {
	for i := range len(text) {
		c := text[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			query = append(query, c)
		default:
			query = appendByte(query, c)
		}
	}
	return query
}

// idLength is of each of ids, in bytes.
const idLength = 20

// isLatin reports whether a text is 20 bytes, each of which has become the character of
// its number. One that is 20 bytes as it is cannot be such, unless it is ASCII.
func isLatin(text string) bool {
	if len(text) <= idLength || len(text) > 2*idLength || utf8.RuneCountInString(text) != idLength {
		return false
	}
	for _, r := range text {
		if r > 0xff {
			return false
		}
	}
	return true
}
