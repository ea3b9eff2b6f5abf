package passkey

import (
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Errors of passkeys. They come wrapped, in words that say what to do.
var (
	ErrNone    = errors.New("there is no such passkey")
	ErrExists  = errors.New("the passkey is there already")
	ErrInvalid = errors.New("not allowed for a passkey")
	ErrFull    = errors.New("there are as many passkeys as there may be")
	ErrMany    = errors.New("too many passkeys at a time")
	ErrCursor  = errors.New("not a cursor of this list")
)

// Bounds of passkeys.
const (
	MaxName = 100 // characters
	MaxNote = 300 // characters
	MaxMany = 100 // that are made at a time

	shortKey, longKey = 32, 40 // characters of a passkey
	madeKey           = 20     // bytes of chance, which are 32 characters of base32
	idBytes           = 8      // which are 16 hexadecimal digits
)

// Record is a passkey as a store keeps it. Times are UTC, to the nanosecond.
type Record struct {
	ID      string // 16 hexadecimal digits; no secret
	Key     string // the secret: 32 or 40 of the characters a to z and 0 to 9
	Name    string // whose it is
	Note    string
	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: it is not
}

// State is what a passkey is good for.
type State string

// The states. A passkey that is both is revoked.
const (
	Active  State = "active"
	Revoked State = "revoked"
	Expired State = "expired"
)

// State returns the state at a time.
func (r *Record) State(now time.Time) State {
	switch {
	case !r.Revoked.IsZero():
		return Revoked
	case !r.Expires.IsZero() && !now.Before(r.Expires):
		return Expired
	}
	return Active
}

// Totals are what was counted for a passkey.
type Totals struct {
	Uploaded    int64 // bytes
	Downloaded  int64 // bytes
	Implausible int64 // announces that told of more than can be, and were not counted
	Torrents    int64 // that peers with it were at when it was seen last
	Seen        time.Time
}

// Passkey is a passkey with what was counted for it.
type Passkey struct {
	Record
	Totals
}

// check is [ErrInvalid] where a record may not be so.
func (r *Record) check() error {
	if !IsKey(r.Key) {
		return fmt.Errorf("a passkey is 32 or 40 characters, each a to z or 0 to 9 (%w)", ErrInvalid)
	}
	if err := checkText("name", r.Name, MaxName); err != nil {
		return err
	}
	if err := checkText("note", r.Note, MaxNote); err != nil {
		return err
	}
	if r.Expires.Year() > 2200 {
		return fmt.Errorf("it may expire in the year 2200 at the latest, or never (%w)", ErrInvalid)
	}
	return nil
}

func checkText(what, text string, most int) error {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("a %s has printable characters only (%w)", what, ErrInvalid)
	case utf8.RuneCountInString(text) > most:
		return fmt.Errorf("a %s has at most %d characters (%w)", what, most, ErrInvalid)
	case strings.TrimSpace(text) != text:
		return fmt.Errorf("a %s has no spaces at its ends (%w)", what, ErrInvalid)
	}
	return nil
}

// IsKey reports whether a text can be a passkey.
func IsKey(text string) bool {
	if len(text) != shortKey && len(text) != longKey {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// letters are those of base32 (RFC 4648), in lower case.
var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func makeKey(random io.Reader) (string, error) {
	var b [madeKey]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	return letters.EncodeToString(b[:]), nil
}

func makeID(random io.Reader) (string, error) {
	var b [idBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}

func isID(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == idBytes && strings.ToLower(text) == text
}
