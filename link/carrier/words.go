package carrier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"waggle/errno"
)

// Refusal is that one side does not want the other, and why. To try again does not help
// before somebody has done something.
type Refusal struct{ Words string }

// Error returns the words.
func (r *Refusal) Error() string { return r.Words }

// errUnknownKey is what a leaf makes of a hub that does not know it.
var errUnknownKey = &Refusal{"the hub does not know this tracker's key: its invitation was revoked, the hub was set up anew, or many trackers use the invitation at once. " +
	"Ask the hub's owner for a new invitation, leave the hub (waggle link leave), and join again"}

// explain puts into words what was in the way of reaching an address.
func explain(err error) error {
	var certificate *CertificateError
	var refusal *Refusal
	var noTLS tls.RecordHeaderError
	var name *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &certificate):
		return &Refusal{certificate.Error()}
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, nats.ErrPermissionViolation):
		return &Refusal{"the NATS does not let this tracker do what links need: see to it that a leaf may publish PREFIX.up.NAME and PREFIX.knock.NAME and " +
			"subscribe PREFIX.down.NAME, and that the hub may do the reverse for all names. It says: " + clean(err.Error())}
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return errUnknownKey
	case errors.Is(err, nats.ErrMaxConnectionsExceeded), errors.As(err, &noTLS) && string(noTLS.RecordHeader[:]) == "-ERR ": // before TLS the NATS has nothing else to say
		return errors.New("the hub has too many connections; it is tried again")
	case errors.As(err, &noTLS), errors.Is(err, nats.ErrNoInfoReceived), errors.Is(err, nats.ErrSecureConnWanted), errors.Is(err, nats.ErrNkeysNotSupported):
		return errors.New("what answers there is no hub of waggle: check the address and the port")
	case errors.As(err, &name):
		return fmt.Errorf("the name %s was not found: check it, and this machine's DNS", cut(name.Name, 253))
	case errno.Is(err, syscall.ECONNREFUSED):
		return errors.New("nothing listens there: is the hub running, and is this its port?")
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("nothing answers there in time: is the hub running, and does a firewall let this through?")
	case errors.Is(err, io.EOF), errno.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed), errors.Is(err, nats.ErrConnectionClosed):
		return errors.New("the connection was closed by the other side, or on the way")
	case errors.Is(err, nats.ErrStaleConnection):
		return ErrSilent
	}
	return err
}

// explainToHub puts into words what the NATS inside a hub reports of a connection.
func explainToHub(report string) string {
	switch {
	case strings.Contains(report, "remote error: tls: bad certificate"):
		return "it did not take this hub's certificate: its invitation is of another hub, or of this one before its key was made anew (invite it again), or the clocks differ by days (set them)"
	case strings.Contains(report, "TLS handshake error: EOF"), strings.Contains(report, "connection reset by peer"):
		return "" // whoever looks for open ports
	case strings.Contains(report, "TLS handshake error"):
		return "it does not speak TLS 1.3 as leaves do: it is no waggle, or something on the way changes what it sends"
	case strings.Contains(report, server.ErrTooManyConnections.Error()):
		return "there are as many connections as a hub takes: where there are few leaves most are of strangers, whom a firewall can keep out"
	case strings.Contains(report, "Violation"), strings.Contains(report, server.ErrMaxPayload.Error()):
		return "it tried what a leaf may not do: it is no waggle, or one that was tampered with; revoke it if you do not know it"
	}
	return ""
}

// said keeps a log from being filled with what is always the same.
type said struct {
	now   func() time.Time
	again time.Duration // when the same may be said again

	mu   sync.Mutex
	when map[string]time.Time
}

// mostSaid is the most different things that are said within the time.
const mostSaid = 256

func newSaid(now func() time.Time, again time.Duration) *said {
	return &said{now: now, again: again, when: make(map[string]time.Time)}
}

// fresh reports whether something was not said lately, and takes it as said.
func (s *said) fresh(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if at, ok := s.when[what]; ok && now.Sub(at) < s.again && !now.Before(at) {
		return false
	}
	if len(s.when) >= mostSaid {
		for k, at := range s.when {
			if now.Sub(at) >= s.again || now.Before(at) {
				delete(s.when, k)
			}
		}
	}
	if len(s.when) >= mostSaid {
		return false
	}
	s.when[what] = now
	return true
}

// forget lets everything be said again.
func (s *said) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.when)
}
