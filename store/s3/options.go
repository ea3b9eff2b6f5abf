package s3

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
	Bucket   string // its name; required
	Prefix   string // of all keys, before a slash. "": waggle
	Region   string // such as eu-central-1; "": that of the environment or the profile
	Endpoint string // http or https URL of a server that speaks S3; "": Amazon's, of the region

	// Deletes says whether the endpoint removes an object on condition in one step, so
	// that empty swarms can go. Otherwise they stay, some 13 bytes each.
	Deletes Deletes

	// Seed makes selection unpredictable, or repeatable in tests.
	Seed [2]uint64

	// Group returns the innermost group of a path, of a peer that announced at another
	// tracker. nil: no peer has a location.
	Group func(path string) (*locality.Group, error)

	// Budget bounds the importers of each rack over all torrents. nil: no bound.
	Budget *roster.Budget

	// MaxPeers is about how many peers the store is to hold: beyond them a new one is
	// answered, and not recorded. While there are announces they are counted every ten
	// seconds, which lists all torrents, and every ten minutes where they are far from so
	// many; those that this tracker records are added. 0: no limit.
	MaxPeers int

	// MaxTorrents is about how many torrents the store is to hold. Expire gives up those
	// without peers, which are kept for their completed count, where there are more than 15
	// of 16 that it says. An announce of another one beyond it is answered, and not
	// recorded. They are counted with the peers, every ten seconds where they are nearly so
	// many, else every ten minutes, or when they expire. 0: no limit.
	MaxTorrents int

	// Waiting is the most announces and scrapes that are under way at once: one more is
	// refused with swarm.ErrBusy. 0: 4,096. As many changes again may be under way for
	// those who did not wait for an answer. Requests is the most requests. 0: 256.
	Waiting, Requests int

	// Attempt bounds how long one request may take, Patience all attempts together, in
	// which time an announce is answered or refused. 0: two and five seconds.
	Attempt, Patience time.Duration

	// SplitBytes is beyond which size an object of a swarm is split in 8: about 5,500
	// peers. 0: 256 KiB. SplitConflicts is after how many writes in a row that were lost
	// to others it is split though it is smaller. 0: 10.
	SplitBytes, SplitConflicts int

	// PartAge is how old what an announce is told of other parts of a swarm that is split
	// may be, where it has up to 8; with more, as much older as it has more. Scrapes
	// ask. 0: three seconds. Negative: every announce asks.
	PartAge time.Duration

	// TotalsAge is how old the answer of Totals may be. 0: Totals counts every time,
	// which lists all torrents, and reads those that others changed.
	TotalsAge time.Duration

	// CacheBytes is about how much memory what was read is kept in: a third for peers, one
	// for located ones, and one for what torrents have, which spares reading them when all
	// are listed. 0: 96 MiB, of some 300,000 peers and 100,000 torrents.
	CacheBytes int

	// Transport is what requests go through. nil: one of the store's own.
	Transport http.RoundTripper

	// Log is told of what fails, and that it works again. nil: nobody is.
	Log *slog.Logger

	// Now is the clock by which the store repairs. nil: time.Now.
	Now func() time.Time
}

// Deletes is what an endpoint makes of removals on condition.
type Deletes string

// The kinds. Open looks whether the endpoint refuses a removal that it must refuse; that
// it looks and removes in one step only its makers can say, as Amazon does of S3.
const (
	DeletesAuto        Deletes = ""            // conditional on Amazon's S3, never elsewhere
	DeletesConditional Deletes = "conditional" // empty swarms are removed on condition
	DeletesNever       Deletes = "never"       // empty swarms stay
)

// Defaults of Options.
const (
	defaultPrefix         = "waggle"
	defaultWaiting        = 4096
	defaultRequests       = 256
	defaultAttempt        = 2 * time.Second
	defaultPatience       = 5 * time.Second
	defaultSplitBytes     = 256 << 10
	defaultSplitConflicts = 10
	defaultPartAge        = 3 * time.Second
	defaultCacheBytes     = 96 << 20
)

var (
	bucketName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`) })
	prefixName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}){0,3}$`)
	})
)

const usage = "write s3://BUCKET/PREFIX?region=REGION"

// ParseURL reads s3://BUCKET/PREFIX?region=REGION&endpoint=URL&deletes=conditional, of
// which all but the bucket may be left out. Credentials are never in it: they come from
// the environment, a profile or a role, as for all programs that use AWS.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"): // nothing else has one; a password may be cut up by its characters
		return Options{}, errors.New("it has a user or a password: take them out, and " + faraway.GiveCredentials)
	case err != nil:
		return Options{}, errors.New("it is no URL: " + usage)
	case u.Scheme != "s3":
		return Options{}, fmt.Errorf("its scheme is %q: %s", u.Scheme, usage)
	case u.Fragment != "":
		return Options{}, errors.New("it has a #: " + usage)
	}
	o := Options{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	if err := faraway.ReadSettings(u.RawQuery, o.settings()...); err != nil {
		return Options{}, err
	}
	return o, o.check()
}

// check refuses what cannot be meant.
func (o *Options) check() error {
	switch {
	case !bucketName().MatchString(o.Bucket):
		return fmt.Errorf("%q is no name of a bucket: it has 3 to 63 small letters, digits, dots and dashes", o.Bucket)
	case o.Prefix != "" && !prefixName().MatchString(o.Prefix):
		return fmt.Errorf("%.100q is no prefix: it has up to 4 parts of letters, digits, dots, dashes and underlines, with slashes between", o.Prefix)
	case o.Deletes != DeletesAuto && o.Deletes != DeletesConditional && o.Deletes != DeletesNever:
		return fmt.Errorf("deletes=%.40s is not understood: it is %s or %s", o.Deletes, DeletesConditional, DeletesNever)
	}
	return faraway.CheckPlace(o.Region, o.Endpoint, "http://127.0.0.1:7070")
}

// settings are what the URL may say.
func (o *Options) settings() []faraway.Setting {
	return []faraway.Setting{{Name: "region", To: &o.Region}, {Name: "endpoint", To: &o.Endpoint}, {Name: "deletes", To: (*string)(&o.Deletes)}}
}

// String is the URL of the store. There is no secret in it.
func (o Options) String() string {
	text := "s3://" + o.Bucket
	if o.Prefix != "" {
		text += "/" + o.Prefix
	}
	return text + faraway.WriteSettings(o.settings()...)
}

// withDefaults fills in what is not said.
func (o Options) withDefaults() Options {
	o.Prefix = cmp.Or(o.Prefix, defaultPrefix)
	o.Waiting = cmp.Or(o.Waiting, defaultWaiting)
	o.Requests = cmp.Or(o.Requests, defaultRequests)
	o.Attempt = cmp.Or(o.Attempt, defaultAttempt)
	o.Patience = cmp.Or(o.Patience, defaultPatience)
	o.SplitBytes = cmp.Or(o.SplitBytes, defaultSplitBytes)
	o.SplitConflicts = cmp.Or(o.SplitConflicts, defaultSplitConflicts)
	o.PartAge = cmp.Or(o.PartAge, defaultPartAge)
	o.CacheBytes = cmp.Or(o.CacheBytes, defaultCacheBytes)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// trustsRemovals reports whether blank objects are removed.
func (o *Options) trustsRemovals() bool {
	return o.Deletes == DeletesConditional || o.Deletes == DeletesAuto && o.Endpoint == ""
}
