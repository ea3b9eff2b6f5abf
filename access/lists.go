package access

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Refusals of lists, in words for the client's user.
const (
	ErrNetwork bittorrent.Error = "this tracker does not serve your network"
	ErrClient  bittorrent.Error = "this tracker does not allow your client: use another one, or another version of it"
)

// Files are the paths of lists; "" for none.
type Files struct {
	ClientsAllow, ClientsDeny, NetworksAllow, NetworksDeny string
}

func (f *Files) paths() [4]string {
	return [...]string{f.ClientsAllow, f.ClientsDeny, f.NetworksAllow, f.NetworksDeny}
}

// Contents are lists that were read. They are not changed any more.
type Contents struct {
	files    Files
	stamps   stamps
	clients  *clients
	networks *networks
}

// Read reads lists. The error joins one for each line that is wrong, which names key, file
// and line, and says what to write.
func Read(f Files) (*Contents, error) {
	c := &Contents{files: f, stamps: stampsOf(&f)} // before they are read, so that what changes meanwhile is seen
	var wrong [2]error
	c.clients, wrong[0] = readClients(f.ClientsAllow, f.ClientsDeny)
	c.networks, wrong[1] = readNetworks(f.NetworksAllow, f.NetworksDeny)
	if err := errors.Join(wrong[:]...); err != nil {
		return nil, err
	}
	return c, nil
}

// Lists are the lists in force. All methods may be called concurrently.
type Lists struct {
	contents atomic.Pointer[Contents]
	mu       sync.Mutex // while they are replaced
	log      *slog.Logger
	refused  struct{ networks, clients atomic.Uint64 }
}

// NewLists puts lists into force.
func NewLists(c *Contents, log *slog.Logger) *Lists {
	l := &Lists{log: log}
	l.contents.Store(c)
	return l
}

// Put replaces all lists. Who asks meanwhile is answered by the old ones or the new ones.
func (l *Lists) Put(c *Contents) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.contents.Store(c)
}

// Figures count what lists refused.
type Figures struct {
	Networks uint64 // requests, connections over UDP included
	Clients  uint64 // announces
}

// Figures returns the counts as of now.
func (l *Lists) Figures() Figures {
	return Figures{Networks: l.refused.networks.Load(), Clients: l.refused.clients.Load()}
}

// Welcome refuses addresses of networks that may not come, with [ErrNetwork].
func (l *Lists) Welcome(ip netip.Addr) error {
	if l.contents.Load().networks.admit(ip) {
		return nil
	}
	l.refused.networks.Add(1)
	return ErrNetwork
}

// Enter refuses clients that may not announce, with [ErrClient]. Who leaves may.
func (l *Lists) Enter(a *swarm.Announce) error {
	if a.Event == bittorrent.EventStopped || l.contents.Load().clients.admit(&a.PeerID, a.Credentials.Agent) {
		return nil
	}
	l.refused.clients.Add(1)
	return ErrClient
}

// stamps tell whether files have changed.
type stamps [4]os.FileInfo // nil: there is none, or none that can be read

func stampsOf(f *Files) (s stamps) {
	for i, path := range f.paths() {
		if path != "" {
			s[i] = stampOf(path)
		}
	}
	return s
}

// stampOf returns nil where a file cannot be read; reading it says why.
func stampOf(path string) os.FileInfo {
	f, err := open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	info, _ := f.Stat()
	return info
}

func (s *stamps) same(other *stamps) bool {
	for i, a := range s {
		b := other[i]
		if (a == nil) != (b == nil) {
			return false
		}
		if a != nil && (!os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())) {
			return false
		}
	}
	return true
}

// Watch reads lists again when their files change, until ctx ends. It looks at them every so
// often, and reads them when they are the same as when it last looked: what is being written
// is not read by halves. A file that is wrong, or not there, is refused with all that changed
// with it, and the old lists stay.
func (l *Lists) Watch(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last, refused stamps
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := l.contents.Load()
		seen := stampsOf(&now.files)
		settled := seen.same(&last)
		last = seen
		if !settled || seen.same(&now.stamps) || seen.same(&refused) {
			continue
		}
		if !l.reread(now) {
			refused = seen
		}
	}
}

// reread reads the files of lists again, and reports whether they are in force.
func (l *Lists) reread(old *Contents) bool {
	c, err := Read(old.files)
	if err != nil {
		level := slog.LevelError
		if errors.Is(err, fs.ErrNotExist) {
			level = slog.LevelWarn // it may be about to be put in the place of another
		}
		l.log.Log(context.Background(), level, "a list of clients or networks was not read again: the old ones stay in force", "error", err)
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.contents.Load() != old {
		return true // others were put into force meanwhile
	}
	l.contents.Store(c)
	l.log.Info("lists of clients and networks were read again")
	return true
}
