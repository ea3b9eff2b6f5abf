package carrier

import (
	"crypto/subtle"
	"encoding/base64"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// porter says who may connect to the NATS inside a hub, and what they may do there.
type porter struct{ h *Hub }

// Check is what the NATS asks of each connection, once it has said who it is.
func (p *porter) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.CLIENT {
		return false
	}
	options := c.GetOpts()
	if p.isDesk(c, options) {
		c.RegisterUser(&server.User{Permissions: deskMay(options.Name)})
		return true
	}
	address := "somewhere"
	if a := c.RemoteAddress(); a != nil {
		address = a.String()
	}
	leaf, words := p.recognise(c, options)
	if words == "" && !p.h.inside.add(leaf.Name, c.GetID(), visitor{key: leaf.Key, address: address, since: time.Now()}) {
		words = "too many connections use the invitation of this leaf: it is used by several trackers, or by somebody who should not have it; then revoke it"
	}
	if words != "" {
		p.h.turnedAway(leaf.Name, address, words)
		return false
	}
	c.RegisterUser(&server.User{Permissions: leafMay(leaf.Name)})
	p.h.attend(leaf.Name)
	return true
}

// isDesk reports whether a connection is one of the hub's own.
func (p *porter) isDesk(c server.ClientAuthentication, options *server.ClientOpts) bool {
	a := c.RemoteAddress()
	return a != nil && a.Network() == "pipe" && CheckName(options.Name) == nil &&
		subtle.ConstantTimeCompare([]byte(options.Token), []byte(p.h.inside.token)) == 1
}

// recognise returns which leaf has signed the number that this connection was given, or
// why it is none, in words.
func (p *porter) recognise(c server.ClientAuthentication, options *server.ClientOpts) (leaf Invited, words string) {
	if options.Nkey == "" || options.Sig == "" {
		return leaf, "it shows no key, as every leaf does: it is no waggle"
	}
	signature, err := base64.RawURLEncoding.DecodeString(options.Sig)
	if err != nil {
		return leaf, "its signature cannot be read"
	}
	key, err := nkeys.FromPublicKey(options.Nkey)
	if err != nil || key.Verify(c.GetNonce(), signature) != nil {
		return leaf, "its signature is wrong: it does not have the key that it shows"
	}
	leaf, known := p.h.o.Book.withKey(options.Nkey)
	if !known {
		_ = p.h.o.Book.Refresh() // it may just have been invited; what is wrong with the file is said elsewhere
		leaf, known = p.h.o.Book.withKey(options.Nkey)
	}
	if !known {
		return leaf, "its key is not in the book of this hub: the invitation was revoked, or is of another hub; invite it again if it may come"
	}
	return leaf, ""
}

// leafMay is what a leaf may do in the NATS.
func leafMay(name string) *server.Permissions {
	return may(
		[]string{ownPrefix + ".up." + name, ownPrefix + ".knock." + name},
		[]string{ownPrefix + ".down." + name},
	)
}

// deskMay is what the hub itself may do, as the other end of a leaf.
func deskMay(name string) *server.Permissions {
	return may(
		[]string{ownPrefix + ".down." + name},
		[]string{ownPrefix + ".up." + name, ownPrefix + ".knock." + name},
	)
}

func may(publish, subscribe []string) *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: subscribe},
	}
}
