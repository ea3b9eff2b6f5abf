package dynamodb

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"waggle/locality"
	"waggle/roster"
	"waggle/store/faraway"
)

// Options are the settings of a store. What ParseURL leaves zero has a default.
type Options struct {
	Table    string // its name; required
	Region   string // such as eu-central-1; "": that of the environment or the profile
	Endpoint string // http or https URL of a server that speaks DynamoDB; "": Amazon's, of the region

	// Seed makes selection unpredictable, or repeatable in tests.
	Seed [2]uint64

	// Group returns the innermost group of a path, of a peer that announced at another
	// tracker. Whose path is an error has no role here. nil: no peer has a location.
	Group func(path string) (*locality.Group, error)

	// Budget bounds the importers of each rack over all torrents. nil: no bound.
	Budget *roster.Budget

	// MaxPeers is about how many peers the table is to hold: beyond them a new one is
	// answered, and not recorded. While there are announces they are counted every ten
	// seconds, which reads all torrents' heads, and every ten minutes where there are less
	// than half as many yet; those that this tracker records are added. 0: no limit.
	MaxPeers int

	// MaxTorrents is about how many torrents the table is to hold. Expire gives up those
	// without peers, which are kept for their completed count, where there are more than 15
	// of 16 that it says. An announce of another one beyond it is answered, and not
	// recorded. They are counted with the peers, every ten seconds where they are nearly so
	// many, else every ten minutes, or when they expire. 0: no limit.
	MaxTorrents int

	// Waiting is the most announces and scrapes that are under way at once: one more is
	// refused with swarm.ErrBusy. 0: 1,024.
	Waiting int

	// Attempt bounds how long one request may take, Patience all attempts together, in
	// which time an announce is answered or refused. 0: two and five seconds.
	Attempt, Patience time.Duration

	// HeadAge is how old what is known of a torrent may be: how many shards it has, and
	// the counts that an announce is answered with, where another tracker changed them.
	// Scrapes ask. 0: three seconds. Negative: every announce asks.
	HeadAge time.Duration

	// TotalsAge is how old the answer of Totals may be. 0: Totals counts every time,
	// which reads all torrents' heads.
	TotalsAge time.Duration

	// Whole is up to how many peers a swarm, or what a kind of peers has of it, is read
	// whole, which makes the choice exactly uniform. 0: 256.
	Whole int

	// ShardPeers is how many peers a shard of a swarm may have before the swarm gets
	// twice as many, ShardRate how many announces of it a second this tracker may have.
	// 0: 50,000 and 250. MaxShards, a power of two, is the most that it gets. 0: 16.
	ShardPeers, ShardRate, MaxShards int

	// Heads is over how many partitions the torrents of a new table are spread: a power
	// of two up to 256. A table that is there keeps what it has. 0: 64.
	Heads int

	// Transport is what requests go through. nil: one of the store's own.
	Transport http.RoundTripper

	// Log is told of what fails, and that it works again. nil: nobody is.
	Log *slog.Logger

	// Now is the clock by which the store remembers, and repairs. nil: time.Now.
	Now func() time.Time
}

// Defaults of Options.
const (
	defaultWaiting    = 1024
	defaultAttempt    = 2 * time.Second
	defaultPatience   = 5 * time.Second
	defaultHeadAge    = 3 * time.Second
	defaultWhole      = 256
	defaultShardPeers = 50_000
	defaultShardRate  = 250
	defaultMaxShards  = 16
	defaultHeads      = 64
	mostHeads         = 256
	mostShards        = 128
)

var tableName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`) })

// ParseURL reads dynamodb://TABLE?region=REGION&endpoint=URL, both of which may be
// left out. Credentials are never in it: they come from the environment, a profile or
// a role, as for all programs that use AWS.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Options{}, errors.New("it is no URL: write dynamodb://TABLE?region=REGION")
	case u.Scheme != "dynamodb":
		return Options{}, fmt.Errorf("its scheme is %q: write dynamodb://TABLE?region=REGION", u.Scheme)
	case u.User != nil:
		return Options{}, errors.New("it has a user or a password: take them out, and " + faraway.GiveCredentials)
	case strings.Trim(u.Path, "/") != "" || u.Fragment != "":
		return Options{}, errors.New("it has something after the table: write dynamodb://TABLE?region=REGION")
	}
	o := Options{Table: u.Host}
	if err := faraway.ReadSettings(u.RawQuery, o.settings()...); err != nil {
		return Options{}, err
	}
	return o, o.checkPlace()
}

// settings are what the URL may say.
func (o *Options) settings() []faraway.Setting {
	return []faraway.Setting{{Name: "region", To: &o.Region}, {Name: "endpoint", To: &o.Endpoint}}
}

// checkPlace refuses what can be no table on a server.
func (o *Options) checkPlace() error {
	if !tableName().MatchString(o.Table) {
		return fmt.Errorf("%q is no name of a table: it has 3 to 255 letters, digits, dots, dashes and underlines", o.Table)
	}
	return faraway.CheckPlace(o.Region, o.Endpoint, "http://127.0.0.1:8000")
}

// String is the URL of the store. There is no secret in it.
func (o Options) String() string {
	return "dynamodb://" + o.Table + faraway.WriteSettings(o.settings()...)
}

// withDefaults fills in what is not said.
func (o Options) withDefaults() Options {
	o.Waiting = cmp.Or(o.Waiting, defaultWaiting)
	o.Attempt = cmp.Or(o.Attempt, defaultAttempt)
	o.Patience = cmp.Or(o.Patience, defaultPatience)
	o.HeadAge = cmp.Or(o.HeadAge, defaultHeadAge)
	o.Whole = cmp.Or(o.Whole, defaultWhole)
	o.ShardPeers = cmp.Or(o.ShardPeers, defaultShardPeers)
	o.ShardRate = cmp.Or(o.ShardRate, defaultShardRate)
	o.MaxShards = cmp.Or(o.MaxShards, defaultMaxShards)
	o.Heads = cmp.Or(o.Heads, defaultHeads)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// check refuses what cannot be meant, defaults filled in.
func (o *Options) check() error {
	if err := o.checkPlace(); err != nil {
		return err
	}
	if !isPower(o.MaxShards, mostShards) {
		return fmt.Errorf("a swarm can have 1, 2, 4 ... %d shards at most, not %d", mostShards, o.MaxShards)
	}
	if !isPower(o.Heads, mostHeads) {
		return fmt.Errorf("torrents can be spread over 1, 2, 4 ... %d partitions, not %d", mostHeads, o.Heads)
	}
	return nil
}

func isPower(n, most int) bool { return n > 0 && n <= most && n&(n-1) == 0 }
