package account

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Role is what somebody may do. Each may do what those below it may. In JSON it is
// its name.
type Role uint8

// The roles, in their order.
const (
	Nobody   Role = iota // nothing
	Viewer               // read
	Operator             // upload, delete, activate, deactivate and edit torrents
	Admin                // manage accounts, read audit log and settings, take profiles
)

var roleNames = [...]string{Nobody: "nobody", Viewer: "viewer", Operator: "operator", Admin: "admin"}

// String returns the name of a role, in lower case.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// ParseRole returns the role of a name: viewer, operator or admin. The error is
// [ErrInvalid]; nobody is no role that an account could have.
func ParseRole(name string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if name == roleNames[r] {
			return r, nil
		}
	}
	return Nobody, fmt.Errorf("%.40q is no role: give viewer, operator or admin (%w)", name, ErrInvalid)
}

// MarshalText returns the name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is [ParseRole], but that it knows nobody too.
func (r *Role) UnmarshalText(text []byte) (err error) {
	if string(text) == roleNames[Nobody] {
		*r = Nobody
		return nil
	}
	*r, err = ParseRole(string(text))
	return err
}

// Via is how somebody was identified.
type Via string

// The ways of being identified.
const (
	ViaLoopback  Via = "loopback"   // by being on this machine, without a credential
	ViaSession   Via = "session"    // by the cookie of a log-in
	ViaToken     Via = "token"      // by the token of an account
	ViaTokenFile Via = "token file" // by the token of console.token_file
)

// Names of those who have no account. No account may have them.
const (
	NameLoopback  = "this machine"
	NameTokenFile = "token file"
)

// Identity is who makes a request. The zero one is nobody.
type Identity struct {
	Name string // of the account, or one of those above
	Role Role
	Via  Via

	// Address is that of the client; not valid where it is not known.
	Address netip.Addr

	// CSRF is what a request that changes something must carry, as the form field csrf
	// or the header X-CSRF-Token, where Via is ViaSession. Else "", and none is needed.
	CSRF string

	entry   *entry
	session *session
}

// Ended reports whether what somebody was identified by has ended since: the session,
// or the account, by its expiry, a change or its deletion. Whoever goes on for long
// after a request has begun asks now and then.
func (i Identity) Ended() bool {
	switch {
	case i.session != nil:
		i.session.confirm(context.Background(), i.entry.now(), time.Unix(0, i.session.used.Load()))
		return !i.session.lasts(i.entry.now())
	case i.entry != nil:
		return !i.entry.lasts(i.entry.now())
	}
	return false
}

type identityKey struct{}

// With returns a context that says who makes a request.
func With(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// From returns who makes a request: nobody, where the context does not say.
func From(ctx context.Context) Identity {
	i, _ := ctx.Value(identityKey{}).(Identity)
	return i
}
