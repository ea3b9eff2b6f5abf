package account

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Cost is what computing one hash by argon2id takes (RFC 9106).
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// DefaultCost is the first that OWASP's Password Storage Cheat Sheet names, with the
// least memory of those with two passes: 19 MiB, some 35 ms of one core.
var DefaultCost = Cost{Memory: 19 << 10, Passes: 2, Threads: 1}

// Bounds of a hash that is read, so that a file cannot take all memory.
const (
	maxMemory  = 1 << 20 // KiB
	maxPasses  = 64
	maxThreads = 64

	saltSize = 16 // of a new one, in bytes
	keySize  = 32
	minSize  = 8 // of one that is read
	maxSize  = 64
)

var errHash = errors.New("no hash by argon2id that waggle can compute")

// hash returns a PHC string
// (https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md).
func hash(secret string, salt []byte, c Cost) string {
	key := argon2.IDKey([]byte(secret), salt, c.Passes, c.Memory, c.Threads, keySize)
	return phc(c, salt, key)
}

func phc(c Cost, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, c.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// dummyHash returns one that no secret has, as far as anybody knows.
func dummyHash(random io.Reader, c Cost) (string, error) {
	var b [saltSize + keySize]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", err
	}
	return phc(c, b[:saltSize], b[saltSize:]), nil
}

// matches computes a hash of secret, and reports whether it is that of the PHC string.
func matches(secret, encoded string) (bool, error) {
	c, salt, key, err := parseHash(encoded)
	if err != nil {
		return false, err
	}
	got := argon2.IDKey([]byte(secret), salt, c.Passes, c.Memory, c.Threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}

// costs reports whether a hash was computed at this cost.
func costs(encoded string, c Cost) bool {
	got, _, key, err := parseHash(encoded)
	return err == nil && got == c && len(key) == keySize
}

func parseHash(encoded string) (c Cost, salt, key []byte, err error) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return Cost{}, nil, nil, errHash
	}
	if c, err = parseCost(parts[3]); err != nil {
		return Cost{}, nil, nil, err
	}
	if salt, err = parseBytes(parts[4]); err != nil {
		return Cost{}, nil, nil, err
	}
	if key, err = parseBytes(parts[5]); err != nil {
		return Cost{}, nil, nil, err
	}
	return c, salt, key, nil
}

// parseCost reads "m=19456,t=2,p=1".
func parseCost(text string) (Cost, error) {
	var numbers [3]uint64
	fields := strings.Split(text, ",")
	if len(fields) != len(numbers) {
		return Cost{}, errHash
	}
	for i, most := range [...]uint64{maxMemory, maxPasses, maxThreads} {
		digits, ok := strings.CutPrefix(fields[i], string("mtp"[i])+"=")
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || n < 1 || n > most || digits[0] == '0' {
			return Cost{}, errHash
		}
		numbers[i] = n
	}
	return Cost{Memory: uint32(numbers[0]), Passes: uint32(numbers[1]), Threads: uint8(numbers[2])}, nil
}

func parseBytes(text string) ([]byte, error) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < minSize || len(b) > maxSize || strings.ContainsAny(text, "\r\n") {
		return nil, errHash
	}
	return b, nil
}

// Hashes under way, and how many wait for that.
const (
	hashesAtOnce  = 2
	hashesWaiting = 64
)

// ErrBusy says that too many log-ins are under way. Nothing was looked at.
var ErrBusy = errors.New("too many are logging in at this moment: try again in some seconds")

// hasher bounds how many hashes are computed at a time, since each takes memory and a
// core.
type hasher struct{ places, running chan struct{} }

func newHasher() hasher {
	return hasher{places: make(chan struct{}, hashesAtOnce+hashesWaiting), running: make(chan struct{}, hashesAtOnce)}
}

// run computes something as soon as others let it. The error is [ErrBusy] or that of
// ctx; then it has not been computed.
func (h hasher) run(ctx context.Context, compute func()) error {
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return ErrBusy
	}
	select {
	case h.running <- struct{}{}:
		defer func() { <-h.running }()
	case <-ctx.Done():
		return ctx.Err()
	}
	compute()
	return nil
}
