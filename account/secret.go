package account

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of names and passwords.
const (
	maxName     = 64   // characters
	minPassword = 10   // characters
	maxSecret   = 1024 // bytes, of what is shown at a log-in too
)

// Parts of a token, in bytes. The id finds the account; the key is what proves it.
const (
	tokenPrefix = "waggle_"
	tokenID     = 8  // 16 hexadecimal digits
	tokenKey    = 32 // 43 characters of base64url
)

// makeToken returns a new token and its id.
func makeToken(random io.Reader) (id, token string, err error) {
	var b [tokenID + tokenKey]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", "", err
	}
	id = hex.EncodeToString(b[:tokenID])
	return id, tokenPrefix + id + "_" + base64.RawURLEncoding.EncodeToString(b[tokenID:]), nil
}

// idOf returns the id of what may be a token of waggle's.
func idOf(token string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(rest) != hex.EncodedLen(tokenID)+1+base64.RawURLEncoding.EncodedLen(tokenKey) {
		return "", false
	}
	id = rest[:hex.EncodedLen(tokenID)]
	_, err := hex.DecodeString(id)
	return id, err == nil && rest[len(id)] == '_'
}

// check is [ErrInvalid] where an account may not be so.
func (r *Record) check(now time.Time) error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	if r.Role < Viewer || r.Role > Admin {
		return fmt.Errorf("%v is no role: give viewer, operator or admin (%w)", r.Role, ErrInvalid)
	}
	if !r.Expires.IsZero() && !r.Expires.After(now) {
		return fmt.Errorf("it would have expired at %s already (%w)", r.Expires.UTC().Format(time.RFC3339), ErrInvalid)
	}
	if r.Expires.Year() > 2200 {
		return fmt.Errorf("it may expire in the year 2200 at the latest, or never (%w)", ErrInvalid)
	}
	return nil
}

func checkName(name string) error {
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("a name has printable characters only (%w)", ErrInvalid)
	case name == "" || utf8.RuneCountInString(name) > maxName:
		return fmt.Errorf("a name has 1 to %d characters (%w)", maxName, ErrInvalid)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("a name has no spaces at its ends (%w)", ErrInvalid)
	case strings.EqualFold(name, NameLoopback) || strings.EqualFold(name, NameTokenFile):
		return fmt.Errorf("%q is what the audit log calls somebody else: take another name (%w)", name, ErrInvalid)
	case name == "." || name == "..":
		return fmt.Errorf("%q means something else in the path of a URL: take another name (%w)", name, ErrInvalid)
	}
	return nil
}

// checkPassword never repeats the password.
func checkPassword(password, name string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Errorf("a password has at least %d characters (%w)", minPassword, ErrInvalid)
	case len(password) > maxSecret:
		return fmt.Errorf("a password has at most %d bytes (%w)", maxSecret, ErrInvalid)
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return fmt.Errorf("a password is text of one line (%w)", ErrInvalid)
	case strings.EqualFold(password, name):
		return fmt.Errorf("a password is not the name (%w)", ErrInvalid)
	}
	return nil
}
