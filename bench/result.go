package bench

import (
	"cmp"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is what a run has found. Its names in JSON stay.
type Report struct {
	Protocol         string   `json:"protocol"` // "udp", "http" or "ws"
	Distribution     string   `json:"distribution"`
	Torrents         int      `json:"torrents"`
	TorrentsWithPeer int      `json:"torrents_with_peers"`
	Peers            int      `json:"peers"`
	Seeders          float64  `json:"seeders"` // share of the peers
	NumWant          int32    `json:"numwant"`
	ScrapeEach       int      `json:"announces_per_scrape"` // 0: no scrapes
	Seed             uint64   `json:"seed"`
	Mode             string   `json:"mode"`      // "closed loop" or "open loop"
	Rate             float64  `json:"rate"`      // announces a second meant to be sent; 0 in a closed loop
	Workers          int      `json:"workers"`   // threads of the generator
	Sources          int      `json:"sources"`   // groups of peers: source addresses, where there are several
	UnderWay         int      `json:"under_way"` // requests at a time at most
	Connections      string   `json:"connections,omitempty"`
	Offers           int      `json:"offers,omitempty"` // WebSocket: in an announce
	Idle             int      `json:"idle,omitempty"`   // WebSocket: of the peers, those that announced once
	Spoofed          float64  `json:"spoofed"`          // packets a second meant to be sent beside, with bad connection ids
	Churn            float64  `json:"churn"`
	Results          []Result `json:"results"`         // of each target
	Ratio            *Ratio   `json:"ratio,omitempty"` // of the first target to the second
	Interrupted      bool     `json:"interrupted"`     // ended early: the figures are those so far
}

// Result is what was found of one target.
type Result struct {
	URL    string  `json:"url"`
	Fill   *Fill   `json:"fill,omitempty"`
	Idle   *Idle   `json:"idle,omitempty"`
	Rounds []Round `json:"rounds"`
	Median Round   `json:"median"` // of each figure on its own; counts are sums
	Memory *Memory `json:"memory,omitempty"`
}

// Fill is how long it took to let each peer announce once.
type Fill struct {
	Seconds          float64 `json:"seconds"`
	Announces        int64   `json:"announces"`
	AnswersPerSecond float64 `json:"answers_per_second"`
	Errors           int64   `json:"errors"`
	Timeouts         int64   `json:"timeouts"` // announced again
	RSSBefore        int64   `json:"server_rss_before_bytes,omitempty"`
	RSSAfter         int64   `json:"server_rss_after_bytes,omitempty"`
}

// Idle is what it takes a server to hold connections on which nothing happens, after so
// many seconds of that.
type Idle struct {
	Seconds       float64 `json:"seconds"`
	Connections   int     `json:"connections"` // that the server has left open
	RSS           int64   `json:"server_rss_bytes,omitempty"`
	Anonymous     int64   `json:"server_rss_anonymous_bytes,omitempty"`      // of these, without the pages of files
	PerConnection float64 `json:"server_rss_bytes_per_connection,omitempty"` // all in
}

// Round is what was measured in one go.
type Round struct {
	Seconds          float64          `json:"seconds"`
	Sent             int64            `json:"sent"`      // announces and scrapes
	Announces        int64            `json:"announces"` // answered
	Scrapes          int64            `json:"scrapes"`   // answered
	AnswersPerSecond float64          `json:"answers_per_second"`
	PeersPerAnswer   float64          `json:"peers_per_answer"` // to an announce; over WebSocket, offers relayed
	Latency          Latency          `json:"latency_us"`
	Errors           int64            `json:"errors"`   // answers that are none, and connections that broke
	Timeouts         int64            `json:"timeouts"` // requests that were not answered in time
	Late             int64            `json:"late"`     // answers after that, or to nothing
	Unsent           int64            `json:"unsent"`   // announces of an open loop that were due and never sent
	Spoofed          int64            `json:"spoofed,omitempty"`
	Failures         map[string]int64 `json:"failures,omitempty"`
	GeneratorCPU     float64          `json:"generator_cpu_seconds"`
	ServerCPU        float64          `json:"server_cpu_seconds,omitempty"`
	PerServerCPU     float64          `json:"answers_per_server_cpu_second,omitempty"`
	ServerRSS        int64            `json:"server_rss_bytes,omitempty"`
	ServerAnonymous  int64            `json:"server_rss_anonymous_bytes,omitempty"` // of these, without the pages of files
	Signals          *Signals         `json:"signals,omitempty"`                    // WebSocket only
}

// Signals is what a tracker has relayed between browsers.
type Signals struct {
	MessagesIn   float64 `json:"messages_in_per_second"`  // to the tracker: announces and answers to offers
	MessagesOut  float64 `json:"messages_out_per_second"` // of the tracker: replies, offers, answers to offers
	Messages     float64 `json:"messages_per_second"`     // both
	Offers       float64 `json:"offers_relayed_per_second"`
	Answers      float64 `json:"answers_relayed_per_second"`
	Latency      Latency `json:"offer_to_answer_us"` // from an announce, to the answer to one of its offers
	PerServerCPU float64 `json:"messages_per_server_cpu_second,omitempty"`
}

// Latency is how long answers took, in microseconds: in a closed loop from when a
// request was sent, in an open loop from when it was meant to be.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// Ratio is how the medians of two targets compare: the first by the second. A figure
// that either lacks is 0.
type Ratio struct {
	AnswersPerSecond float64 `json:"answers_per_second"`
	PerServerCPU     float64 `json:"answers_per_server_cpu_second,omitempty"`
	PeersPerAnswer   float64 `json:"peers_per_answer"`

	Messages             float64 `json:"messages_per_second,omitempty"` // WebSocket only
	MessagesPerServerCPU float64 `json:"messages_per_server_cpu_second,omitempty"`
}

// Memory is the resident memory of a server while peers come and go, after warming
// up. Sizes are in bytes.
type Memory struct {
	Samples int     `json:"samples"`
	Min     int64   `json:"min_bytes"`
	Median  int64   `json:"median_bytes"`
	Max     int64   `json:"max_bytes"`
	Spread  float64 `json:"spread"` // from min to max, by the median
	Flat    bool    `json:"flat"`   // the spread is within 0.05, and there were samples
}

// flat is within which part of its median memory must stay.
const flat = 0.05

func newMemory(samples []int64) *Memory {
	m := &Memory{Samples: len(samples)}
	if len(samples) > 0 {
		m.Min, m.Median, m.Max = slices.Min(samples), median(samples), slices.Max(samples)
		m.Spread = per(float64(m.Max-m.Min), float64(m.Median))
		m.Flat = m.Spread <= flat
	}
	return m
}

// round makes figures of what was counted.
func (t *tally) round(u used) Round {
	seconds := time.Duration(max(t.heard, t.ended) - t.began).Seconds()
	answers := t.announces + t.scrapes
	r := Round{
		Seconds:          seconds,
		Sent:             t.sent,
		Announces:        t.announces,
		Scrapes:          t.scrapes,
		AnswersPerSecond: per(float64(answers), seconds),
		PeersPerAnswer:   per(float64(t.peers), float64(t.announces)),
		Latency:          latency(t.latency),
		Errors:           t.errors,
		Timeouts:         t.timeouts,
		Late:             t.late,
		Unsent:           t.unsent,
		Spoofed:          t.spoofed,
		Failures:         t.failures,
		GeneratorCPU:     u.generator.Seconds(),
	}
	if u.serverKnown {
		r.ServerCPU, r.ServerRSS, r.ServerAnonymous = u.server.Seconds(), u.rss, u.anonymous
		r.PerServerCPU = per(float64(answers), r.ServerCPU)
	}
	if messages := float64(t.messagesIn + t.messagesOut); messages > 0 {
		r.Signals = &Signals{
			MessagesIn:   per(float64(t.messagesIn), seconds),
			MessagesOut:  per(float64(t.messagesOut), seconds),
			Messages:     per(float64(t.messagesIn), seconds) + per(float64(t.messagesOut), seconds),
			Offers:       per(float64(t.peers), seconds),
			Answers:      per(float64(t.relayed), seconds),
			Latency:      latency(t.meeting),
			PerServerCPU: per(messages, r.ServerCPU),
		}
	}
	return r
}

func latency(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) float64 { return float64(h.ValueAtPercentile(percent)) / 1e3 }
	return Latency{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1e3}
}

// per divides, and gives 0 for what has no measure.
func per(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// median returns the one in the middle, or the lower of the two there.
func median[T cmp.Ordered](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// medians returns the median of each figure, and the sums of the counts.
func medians(rounds []Round) (m Round) {
	if len(rounds) == 0 {
		return m
	}
	m.Failures = map[string]int64{}
	for _, r := range rounds {
		m.Sent += r.Sent
		m.Announces += r.Announces
		m.Scrapes += r.Scrapes
		m.Errors += r.Errors
		m.Timeouts += r.Timeouts
		m.Late += r.Late
		m.Unsent += r.Unsent
		m.Spoofed += r.Spoofed
		for said, n := range r.Failures {
			m.Failures[said] += n
		}
	}
	setMedians(&m, rounds, figures)
	var signals []Signals
	for _, r := range rounds {
		if r.Signals != nil {
			signals = append(signals, *r.Signals)
		}
	}
	if len(signals) > 0 {
		m.Signals = &Signals{}
		setMedians(m.Signals, signals, signalFigures)
	}
	m.ServerRSS, m.ServerAnonymous = rounds[len(rounds)-1].ServerRSS, rounds[len(rounds)-1].ServerAnonymous
	return m
}

// setMedians sets figures to the medians of those of all rounds.
func setMedians[T any](m *T, rounds []T, figures []func(*T) *float64) {
	for _, figure := range figures {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = *figure(&rounds[i])
		}
		*figure(m) = median(values)
	}
}

// figures are those of a round of which there is a median.
var figures = []func(*Round) *float64{
	func(r *Round) *float64 { return &r.Seconds },
	func(r *Round) *float64 { return &r.AnswersPerSecond },
	func(r *Round) *float64 { return &r.PeersPerAnswer },
	func(r *Round) *float64 { return &r.Latency.P50 },
	func(r *Round) *float64 { return &r.Latency.P90 },
	func(r *Round) *float64 { return &r.Latency.P99 },
	func(r *Round) *float64 { return &r.Latency.P999 },
	func(r *Round) *float64 { return &r.Latency.Max },
	func(r *Round) *float64 { return &r.GeneratorCPU },
	func(r *Round) *float64 { return &r.ServerCPU },
	func(r *Round) *float64 { return &r.PerServerCPU },
}

// signalFigures are the same of what was relayed.
var signalFigures = []func(*Signals) *float64{
	func(s *Signals) *float64 { return &s.MessagesIn },
	func(s *Signals) *float64 { return &s.MessagesOut },
	func(s *Signals) *float64 { return &s.Messages },
	func(s *Signals) *float64 { return &s.Offers },
	func(s *Signals) *float64 { return &s.Answers },
	func(s *Signals) *float64 { return &s.Latency.P50 },
	func(s *Signals) *float64 { return &s.Latency.P90 },
	func(s *Signals) *float64 { return &s.Latency.P99 },
	func(s *Signals) *float64 { return &s.Latency.P999 },
	func(s *Signals) *float64 { return &s.Latency.Max },
	func(s *Signals) *float64 { return &s.PerServerCPU },
}

func newRatio(a, b *Round) *Ratio {
	r := &Ratio{
		AnswersPerSecond: per(a.AnswersPerSecond, b.AnswersPerSecond),
		PerServerCPU:     per(a.PerServerCPU, b.PerServerCPU),
		PeersPerAnswer:   per(a.PeersPerAnswer, b.PeersPerAnswer),
	}
	if a.Signals != nil && b.Signals != nil {
		r.Messages = per(a.Signals.Messages, b.Signals.Messages)
		r.MessagesPerServerCPU = per(a.Signals.PerServerCPU, b.Signals.PerServerCPU)
	}
	return r
}
