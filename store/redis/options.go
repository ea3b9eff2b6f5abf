package redis

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"waggle/locality"
	"waggle/roster"
)

// Options are the settings of a store. Addresses must be given; of the rest the zero
// value stands for the default.
type Options struct {
	Addresses []string // host:port; of a cluster any of its nodes
	Cluster   bool
	TLS       bool
	CA        string // a file of certificates to trust instead of the system's; "": the system's
	User      string
	Password  string
	DB        int    // 0 to 15 or what the server has; 0 in a cluster
	Prefix    string // of all keys, before a colon; default "waggle"

	Timeout time.Duration // of one attempt; default 2 s
	Pending int           // most requests under way at once; default 4,096

	// SplitPeers and SplitRate are when a swarm's parts are doubled: they have more peers
	// each, or this tracker hears more announces a second for each, of as many peers. 0
	// means 250,000 and 5,000 in a cluster, and never without one, where a split gains
	// nothing; negative: never. Swarms with located peers are not split.
	SplitPeers, SplitRate int

	// MaxPeers is the most peers of the store, which are counted every two seconds. A new
	// peer beyond it is answered and not recorded. 0: no limit.
	MaxPeers int

	// MaxTorrents is the most torrents of the store, which are counted likewise. Peers of
	// others are answered and not recorded beyond it. From 15/16 of it on Expire gives up
	// torrents without peers. 0: no limit.
	MaxTorrents int

	Seed   [2]uint64      // the choice of unlocated peers follows from it; of located ones all trackers share a seed
	Budget *roster.Budget // of the importers of racks; nil: no bound

	// Group returns the group of a path, for what other trackers wrote of located peers.
	// nil: locality is off.
	Group func(string) (*locality.Group, error)

	// Host returns what the host at an address is called, "" where that is not known. It does
	// not wait. nil: no names are kept of hosts.
	Host func(netip.Addr) string

	Log *slog.Logger     // nil: none
	Now func() time.Time // nil: time.Now
}

// Defaults and bounds of options.
const (
	DefaultPrefix     = "waggle"
	DefaultTimeout    = 2 * time.Second
	DefaultPending    = 4096
	DefaultSplitPeers = 250000
	DefaultSplitRate  = 5000
	maxPrefix         = 64
	maxNodes          = 64
)

const usage = "write redis://[user:password@]host:port/db?prefix=waggle, rediss:// for TLS, or redis+cluster://host:port,host:port"

func bad(what string) error { return errors.New(what + ": " + usage) }

// ParseURL reads redis://[user:password@]host:port/db, rediss:// for TLS, and
// redis+cluster://host:port,host:port, rediss+cluster:// for clusters. The query may have
// prefix, timeout (such as 2s) and, with TLS, ca. An error never holds a password.
func ParseURL(text string) (o Options, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	switch scheme {
	case "redis":
	case "rediss":
		o.TLS = true
	case "redis+cluster":
		o.Cluster = true
	case "rediss+cluster":
		o.Cluster, o.TLS = true, true
	default:
		return o, bad("the URL is not of Redis")
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, path, _ := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		if err := o.credentials(hosts[:at]); err != nil {
			return o, err
		}
		hosts = hosts[at+1:]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := addressOf(host)
		if err != nil {
			return o, err
		}
		o.Addresses = append(o.Addresses, address)
	}
	if err := o.database(path); err != nil {
		return o, err
	}
	if err := o.query(query); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o *Options) credentials(text string) (err error) {
	user, password, has := strings.Cut(text, ":")
	if o.User, err = url.PathUnescape(user); err == nil {
		o.Password, err = url.PathUnescape(password)
	}
	switch {
	case err != nil:
		return bad("the user or password has a broken escape (a % in it is written %25)")
	case !has:
		return bad("there is a user without a password")
	}
	return nil
}

func addressOf(host string) (string, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil { // there is no port
		name, port = host, "6379"
		if inner, ok := strings.CutPrefix(host, "["); ok {
			name = strings.TrimSuffix(inner, "]")
		}
	}
	address, notAddress := netip.ParseAddr(name)
	switch n, ok := number(port); {
	case name == "":
		return "", bad("a host is missing")
	case !ok || n == 0 || n > 65535:
		return "", bad("a port is not a number from 1 to 65535")
	case notAddress != nil && strings.ContainsFunc(name, notOfHosts), strings.ContainsFunc(address.Zone(), notOfHosts):
		return "", bad("a host is not understood (an @ in a password is written %40, a / %2F)")
	}
	return net.JoinHostPort(name, port), nil
}

// notOfHosts reports whether names of hosts do not have a character.
func notOfHosts(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
		return false
	}
	return true
}

func (o *Options) database(path string) error {
	if path == "" {
		return nil
	}
	n, ok := number(path)
	if !ok {
		return bad("the database is not a number")
	}
	o.DB = n
	return nil
}

// number reads a number of at most six digits.
func number(text string) (n int, ok bool) {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' || len(text) > 6 {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, text != ""
}

func (o *Options) query(text string) error {
	values, err := url.ParseQuery(text)
	if err != nil {
		return bad("what follows the ? is not understood")
	}
	for key, value := range values {
		switch key {
		case "prefix":
			if o.Prefix = value[0]; o.Prefix == "" {
				return bad("the prefix is empty")
			}
		case "timeout":
			if o.Timeout, err = time.ParseDuration(value[0]); err != nil || o.Timeout < 10*time.Millisecond || o.Timeout > time.Minute {
				return bad("timeout is not a time from 10ms to 1m")
			}
		case "ca":
			if o.CA = value[0]; !o.TLS {
				return bad("ca is for TLS")
			}
		default:
			return bad("the URL has an unknown setting; there are prefix, timeout and ca")
		}
	}
	return nil
}

// check fills in defaults, and says what is wrong.
func (o *Options) check() error {
	o.defaults()
	switch {
	case len(o.Addresses) == 0:
		return bad("a host is missing")
	case len(o.Addresses) > maxNodes:
		return bad("there are more than 64 hosts: some nodes of the cluster are enough")
	case len(o.Addresses) > 1 && !o.Cluster:
		return bad("there are several hosts, which is for redis+cluster://")
	case o.Cluster && o.DB != 0:
		return bad("a cluster has no databases but 0")
	case o.DB < 0:
		return bad("the database is not a number")
	case len(o.Prefix) > maxPrefix || strings.ContainsFunc(o.Prefix, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`{}*?[]\`, r) }):
		return bad("the prefix is longer than 64 bytes, or is not of printable ASCII without spaces, {}, [], *, ? and \\")
	}
	return nil
}

func (o *Options) defaults() {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Pending <= 0 {
		o.Pending = DefaultPending
	}
	if o.Cluster && o.SplitPeers == 0 {
		o.SplitPeers = DefaultSplitPeers
	}
	if o.Cluster && o.SplitRate == 0 {
		o.SplitRate = DefaultSplitRate
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Addresses = slices.Clone(o.Addresses)
}

// String returns the URL with what is secret hidden.
func (o Options) String() string {
	var b strings.Builder
	b.WriteString("redis")
	if o.TLS {
		b.WriteByte('s')
	}
	if o.Cluster {
		b.WriteString("+cluster")
	}
	b.WriteString("://")
	if o.User != "" || o.Password != "" {
		b.WriteString(url.PathEscape(o.User) + ":***@")
	}
	b.WriteString(strings.Join(o.Addresses, ","))
	if o.DB != 0 {
		b.WriteString("/" + decimal(int64(o.DB)))
	}
	query := url.Values{}
	if o.Prefix != "" && o.Prefix != DefaultPrefix {
		query.Set("prefix", o.Prefix)
	}
	if o.Timeout > 0 && o.Timeout != DefaultTimeout {
		query.Set("timeout", o.Timeout.String())
	}
	if o.CA != "" {
		query.Set("ca", o.CA)
	}
	if len(query) > 0 {
		b.WriteString("?" + query.Encode())
	}
	return b.String()
}

// trust reads the certificates of a file.
func trust(file string) ([]byte, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the file of ca= in the URL cannot be read: %w", err)
	}
	return pem, nil
}
