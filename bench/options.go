package bench

import (
	"errors"
	"fmt"
	"math"
	"time"

	"waggle/bench/population"
)

// Target is a tracker under load.
type Target struct {
	URL string // as in a torrent: udp://host:port, http://host:port/announce
	PID int    // the process whose CPU time and memory are read; 0: none
}

// Options are the settings of a run. Those whose zero value stands for a default
// say so.
type Options struct {
	Distribution population.Distribution
	Seed         uint64

	Fill      bool          // let each peer announce once before anything is measured
	Duration  time.Duration // of a round; 0: until Announces
	Announces int64         // in a round at most; 0: until Duration
	Rounds    int           // of each target, in turn; 0: one
	Rate      float64       // announces a second; 0: a closed loop, as fast as answers come
	Spoofed   float64       // UDP: announces a second, beside these, whose connection id nobody has been given; 0: none

	Workers int           // threads that load; 0: one
	Sockets int           // source addresses of a worker, at least; over UDP a socket each; 0: four
	Window  int           // requests under way on a UDP socket, or announces on all WebSocket connections of a worker, to 65,535; 0: 32, and 4,096 at a rate
	Timeout time.Duration // after which a request counts as lost; 0: a second

	Offers  int           // WebSocket: in an announce, 1 to 64; 0: five
	Idle    int           // WebSocket: of the peers, those that announce once and then only answer offers
	IdleFor time.Duration // WebSocket: how long nobody announces before anything is measured, for the tracker's memory; 0: not at all

	Connections int            // HTTP: of a worker; 0: 64
	Pipeline    int            // HTTP: requests under way on a connection; 0: one
	Connection  ConnectionKind // HTTP

	Churn  float64       // share of announces that end a peer's stay, 0 to 1; 0: peers stay
	WarmUp time.Duration // with Churn: how long memory is not yet looked at

	Remote bool // load a tracker that is not on this machine

	Progress func(Progress) // called once a second from another goroutine; nil: not
}

// ConnectionKind is how long an HTTP connection lives.
type ConnectionKind int

// The kinds of HTTP connections.
const (
	KeepAlive   ConnectionKind = iota // as long as the server lets it
	OneAnnounce                       // a connection for each announce
)

// Progress is what a run has come to.
type Progress struct {
	URL     string
	Phase   string        // "filling", "idle" or "measuring"
	Round   int           // 1 to Rounds; 0 before
	Rounds  int           // of each target
	Elapsed time.Duration // of the phase
	Answers int64         // of the phase
	Rate    float64       // answers a second, since the last Progress
}

// Most threads and connections that make sense on one machine.
const (
	maxWorkers     = 1024
	maxWindow      = math.MaxUint16
	maxConnections = 1 << 20
	maxOffers      = 64
)

// Check returns what is wrong with the options, in words for whoever set them.
func (o Options) Check() error {
	switch {
	case o.Duration <= 0 && o.Announces <= 0:
		return errors.New("neither a duration nor a number of announces ends the run: give one")
	case o.Duration < 0 || o.Announces < 0 || o.Timeout < 0 || o.WarmUp < 0 || o.IdleFor < 0:
		return errors.New("durations and numbers of announces must not be negative")
	case !(o.Rate >= 0) || o.Rate > 1e9:
		return fmt.Errorf("a rate of %v announces a second: want 0 to 1e9", o.Rate)
	case !(o.Spoofed >= 0) || o.Spoofed > 1e9:
		return fmt.Errorf("a rate of %v spoofed packets a second: want 0 to 1e9", o.Spoofed)
	case !(o.Churn >= 0 && o.Churn <= 1):
		return fmt.Errorf("a churn of %v: want 0 to 1", o.Churn)
	}
	for _, number := range []struct {
		name     string
		n, limit int
	}{
		{"rounds", o.Rounds, math.MaxInt32},
		{"workers", o.Workers, maxWorkers},
		{"sockets", o.Sockets, maxWindow},
		{"requests in a window", o.Window, maxWindow},
		{"connections", o.Connections, maxConnections},
		{"requests in a pipeline", o.Pipeline, maxWindow},
		{"offers in an announce", o.Offers, maxOffers},
		{"idle peers", o.Idle, o.Distribution.Peers},
	} {
		if number.n < 0 || number.n > number.limit {
			return fmt.Errorf("%d %s: want 0, for the default, to %d", number.n, number.name, number.limit)
		}
	}
	return o.Distribution.Check()
}

// withDefaults returns the options with their zero values replaced.
func (o Options) withDefaults() Options {
	orElse := func(n *int, usual int) {
		if *n == 0 {
			*n = usual
		}
	}
	orElse(&o.Rounds, 1)
	orElse(&o.Workers, 1)
	orElse(&o.Sockets, 4)
	orElse(&o.Connections, 64)
	orElse(&o.Pipeline, 1)
	orElse(&o.Offers, 5)
	if o.Rate > 0 {
		orElse(&o.Window, 4096)
	}
	orElse(&o.Window, window)
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return o
}
