// Package signature signs batches of events, and checks signatures.
//
//	header := signature.Sign(secrets, time.Now(), body)
//	at, err := signature.Verify(secrets, header, body, time.Now(), signature.Window)
//
// docs/events.md shows how receivers in other languages check them.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Header is the header of a batch's signature, over HTTP and in a message of NATS.
const Header = "Waggle-Signature"

// Window is how old or how far ahead a signature may be, as a rule.
const Window = 5 * time.Minute

// Sign returns the signature of a body as it is sent, at a time: t=SECONDS, and v1=DIGEST for each
// secret, with commas between them. The digest is HMAC-SHA256 of the seconds, a full stop and the body,
// in hexadecimal digits.
func Sign(secrets [][]byte, at time.Time, body []byte) string {
	var b strings.Builder
	seconds := strconv.FormatInt(at.Unix(), 10)
	b.WriteString("t=" + seconds)
	for _, secret := range secrets {
		b.WriteString(",v1=" + hex.EncodeToString(digest(secret, seconds, body)))
	}
	return b.String()
}

func digest(secret []byte, seconds string, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(seconds))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}

// Errors of signatures.
var (
	ErrSignature = errors.New("the signature is not of this body by any of the secrets")
	ErrWindow    = errors.New("the signature is too old, or of a time to come")
	errMalformed = errors.New("this is no signature: it has t=SECONDS and v1=DIGEST, with a comma between them")
)

// maxSignatures is how many digests of a signature are looked at.
const maxSignatures = 8

// Verify checks that a body, as it came, was signed with one of the secrets, and when: not
// earlier or later than a window around now. The error is [ErrSignature], [ErrWindow], or says
// that the header is no signature.
func Verify(secrets [][]byte, header string, body []byte, now time.Time, window time.Duration) (at time.Time, err error) {
	seconds, digests, err := parseSignature(header)
	if err != nil {
		return time.Time{}, err
	}
	good := 0
	for _, secret := range secrets {
		want := digest(secret, seconds, body)
		for _, d := range digests {
			good |= subtle.ConstantTimeCompare(want, d)
		}
	}
	if good == 0 {
		return time.Time{}, ErrSignature
	}
	n, _ := strconv.ParseInt(seconds, 10, 64) // parseSignature has
	at = time.Unix(n, 0)
	if age := now.Sub(at); age > window || age < -window {
		return at, fmt.Errorf("%w: it is of %s", ErrWindow, at.UTC().Format(time.RFC3339))
	}
	return at, nil
}

func parseSignature(header string) (seconds string, digests [][]byte, err error) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if _, err := strconv.ParseUint(value, 10, 62); err != nil || seconds != "" {
				return "", nil, errMalformed
			}
			seconds = value
		case "v1":
			d, err := hex.DecodeString(value)
			if err != nil || len(d) != sha256.Size || len(digests) == maxSignatures {
				return "", nil, errMalformed
			}
			digests = append(digests, d)
		}
	}
	if seconds == "" || len(digests) == 0 {
		return "", nil, errMalformed
	}
	return seconds, digests, nil
}
