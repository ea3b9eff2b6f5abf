package carrier

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/nats-io/nkeys"
)

// linePrefix begins a line that invites; the number is the version of what follows.
const linePrefix = "waggle-link-1."

// Bounds of an invitation: its length in bytes, and the addresses in it.
const (
	maxLine      = 8192
	MaxAddresses = 16
)

// Invitation is what a leaf needs to join a hub. It holds the leaf's secret: only
// Line and Join let it out.
type Invitation struct {
	Name      string   // of the leaf
	Hub       string   // its name; "": the line does not say
	Addresses []string // host:port of the hub, to be tried in this order
	Pin       string   // SHA-256 of the hub's public key, in hexadecimal

	seed secret
}

// onLine is the shape of an invitation in a line and in a file.
type onLine struct {
	Addresses []string `json:"addresses"`
	Pin       string   `json:"pin"`
	Name      string   `json:"name"`
	Hub       string   `json:"hub,omitempty"`
	Seed      string   `json:"seed"`
}

// Line returns the one line that [ParseInvitation] reads. It is a secret.
func (i *Invitation) Line() string {
	b, _ := json.Marshal(i.onLine()) // strings can always be written
	return linePrefix + base64.RawURLEncoding.EncodeToString(b)
}

func (i *Invitation) onLine() *onLine {
	return &onLine{Addresses: i.Addresses, Pin: i.Pin, Name: i.Name, Hub: i.Hub, Seed: i.seed.reveal()}
}

// ErrInvitation is that a line is no invitation, or not all of one.
var ErrInvitation = errors.New("this is not a whole invitation: copy all of the line that begins with " + linePrefix + " and that \"waggle link invite\" printed")

// ParseInvitation reads a line that [Invitation.Line] made, with white space around it.
// Errors are [ErrInvitation], or say that the line is of a newer waggle; they do not
// hold what they were given.
func ParseInvitation(line string) (*Invitation, error) {
	line = strings.TrimSpace(line)
	rest, ok := strings.CutPrefix(line, linePrefix)
	if !ok && strings.HasPrefix(line, "waggle-link-") && strings.Contains(line, ".") {
		return nil, errors.New("this invitation is of another version of waggle: update the older of the two")
	}
	if !ok || len(line) > maxLine {
		return nil, ErrInvitation
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err != nil {
		return nil, ErrInvitation
	}
	var in onLine
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&in) != nil || decoder.Decode(new(any)) != io.EOF {
		return nil, ErrInvitation
	}
	return in.check()
}

// check returns the invitation, or an error if something about it is wrong.
func (in *onLine) check() (*Invitation, error) {
	if CheckName(in.Name) != nil || in.Hub != "" && CheckName(in.Hub) != nil || CheckAddresses(in.Addresses) != nil || len(in.Seed) > 128 {
		return nil, ErrInvitation
	}
	if pin, err := hex.DecodeString(in.Pin); err != nil || len(pin) != 32 || strings.ToLower(in.Pin) != in.Pin {
		return nil, ErrInvitation
	}
	pair, err := nkeys.FromSeed([]byte(in.Seed))
	if err != nil {
		return nil, ErrInvitation
	}
	defer pair.Wipe()
	if public, err := pair.PublicKey(); err != nil || !nkeys.IsValidPublicUserKey(public) {
		return nil, ErrInvitation
	}
	return &Invitation{Name: in.Name, Hub: in.Hub, Addresses: in.Addresses, Pin: in.Pin, seed: newSecret(in.Seed)}, nil
}

// CheckAddresses returns what is wrong with the addresses of a hub: there are 1 to
// [MaxAddresses], each a host and a port.
func CheckAddresses(addresses []string) error {
	if len(addresses) == 0 || len(addresses) > MaxAddresses {
		return fmt.Errorf("an invitation has 1 to %d addresses where leaves reach the hub, and not %d", MaxAddresses, len(addresses))
	}
	for _, a := range addresses {
		if err := checkAddress(a); err != nil {
			return err
		}
	}
	return nil
}

func checkAddress(a string) error {
	host, port, err := net.SplitHostPort(a)
	n, err2 := strconv.ParseUint(port, 10, 16)
	strange := strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/\@?#%[]"<>`, r)
	})
	if err != nil || err2 != nil || n == 0 || host == "" || len(host) > 253 || strange {
		return fmt.Errorf("%q is no address of a hub: it is a host and a port, as in hub.example.org:6970 or [2001:db8::1]:6970", cut(a, 80))
	}
	return nil
}
