package bench

import (
	"fmt"
	"sync/atomic"
	"time"

	"waggle/bench/population"
	"waggle/bittorrent"
)

// worker is a thread that loads a target with groups of its own.
type worker interface {
	// run does a phase. The error says why it ended before its time.
	run(p *phase) (*tally, error)

	// count returns how many answers have come, in all phases. It may be called while
	// run runs.
	count() int64

	close() error
}

// common is what workers of all protocols have.
type common struct {
	endpoint *endpoint
	options  Options
	epoch    time.Time
	groups   []*population.Group
	tally    *tally
	pace     pace
	answers  atomic.Int64
	before   int64 // answers of earlier phases
	waiting  int   // requests that are not answered yet, of all kinds
	broke    bool  // the latest news was a broken connection
	looked   int64 // when requests were last looked through for lost ones

	announce bittorrent.AnnounceRequest
	response bittorrent.AnnounceResponse
	hashes   []bittorrent.InfoHash
	counts   []bittorrent.ScrapeCounts
}

// now returns nanoseconds since the epoch.
func (c *common) now() int64 { return int64(time.Since(c.epoch)) }

func (c *common) count() int64 { return c.answers.Load() }

func (c *common) begin(p *phase) {
	now := c.now()
	c.tally, c.pace = newTally(now), p.begin(now)
}

// publish lets others see how many answers have come.
func (c *common) publish() { c.answers.Store(c.before + c.tally.announces + c.tally.scrapes) }

// end completes the tally.
func (c *common) end() *tally {
	c.publish()
	c.before = c.answers.Load()
	c.tally.unsent = c.pace.unsent(c.tally.ended)
	return c.tally
}

// sending notes that a phase still sends.
func (c *common) sending(now int64) {
	if !c.pace.over(now) {
		c.tally.ended = now
	}
}

// silence is how long a tracker may say nothing, beyond the time after which a
// request is lost.
const silence = 5 * time.Second

// silent returns an error where requests wait and nothing has come for long.
func (c *common) silent(now int64) error {
	if (c.waiting > 0 || c.broke) && now-c.tally.heard > int64(silence+c.options.Timeout) {
		return SilentError{c.endpoint.target.URL}
	}
	return nil
}

// timeToLook tells, some times within a time-out, to look for lost requests.
func (c *common) timeToLook(now int64) bool {
	if now-c.looked < int64(c.options.Timeout/8) {
		return false
	}
	c.looked = now
	return true
}

// checkPeers counts the peers that c.response tells of.
func (c *common) checkPeers() error {
	n, wanted := c.response.Peers.Len(), c.announce.NumWant
	if wanted >= 0 && n > int(wanted) {
		return fmt.Errorf("%d peers in an answer where %d were wanted", n, wanted)
	}
	c.tally.peers += int64(n)
	return nil
}

// done reports whether all scripts are.
func done(scripts []population.Script) bool {
	for _, s := range scripts {
		if !s.Done() {
			return false
		}
	}
	return true
}
