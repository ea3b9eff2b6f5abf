package bench

import (
	"bytes"
	"strings"
	"testing"
)

func TestTableShowsTwoTrackersRoundByRound(t *testing.T) {
	round := func(rate float64) Round {
		return Round{
			AnswersPerSecond: rate, PeersPerAnswer: 21.6, Latency: Latency{P50: 66.047, P90: 999.9, P99: 3039.2, P999: 27934.7, Max: 1.5e6},
			Timeouts: 2, Errors: 1, Failures: map[string]int64{"status 503": 1}, GeneratorCPU: 2.5, ServerCPU: 4, PerServerCPU: rate / 4,
		}
	}
	r := Report{
		Protocol: "udp", Distribution: "rank", Torrents: 100, TorrentsWithPeer: 90, Peers: 2_000, Seeders: 0.25, NumWant: 30,
		Mode: "open loop", Rate: 5_000, UnderWay: 256, Sources: 4, Interrupted: true,
		Results: []Result{
			{
				URL: "udp://127.0.0.1:1", Fill: &Fill{Seconds: 2.04, AnswersPerSecond: 1_000.4, RSSBefore: 1 << 20, RSSAfter: 2 << 20},
				Rounds: []Round{round(1_000), round(3_000), round(2_000)}, Memory: newMemory([]int64{100 << 20, 102 << 20, 101 << 20}),
			},
			{URL: "udp://127.0.0.1:2", Rounds: []Round{round(4_000), round(4_000)}},
		},
	}
	for i := range r.Results {
		r.Results[i].Median = medians(r.Results[i].Rounds)
	}
	r.Ratio = newRatio(&r.Results[0].Median, &r.Results[1].Median)
	want := `rank: 2,000 peers of 90 torrents, 25 % seeders, 30 wanted; open loop at 5,000 announces/s, 256 under way at most from 4 sources
A udp://127.0.0.1:1
  filled in 2.0 s, 1,000 answers/s, 0 errors, 0 timeouts
  memory 1.0 MiB before, 2.0 MiB filled: 1049 B a peer, all in
  memory under churn: min 100 MiB, median 101 MiB, max 102 MiB in 3 samples, spread 2.0 % of 5 %: flat
B udp://127.0.0.1:2

     round  answers/s  peers/answer   p50  p90     p99   p99.9   max  errors  timeouts  unsent  CPU here  CPU there  answers/CPU s there
        A1      1,000          21.6  66µs  1ms  3.04ms  27.9ms  1.5s       1         2       0    2.50 s     4.00 s                  250
        B1      4,000          21.6  66µs  1ms  3.04ms  27.9ms  1.5s       1         2       0    2.50 s     4.00 s                1,000
        A2      3,000          21.6  66µs  1ms  3.04ms  27.9ms  1.5s       1         2       0    2.50 s     4.00 s                  750
        B2      4,000          21.6  66µs  1ms  3.04ms  27.9ms  1.5s       1         2       0    2.50 s     4.00 s                1,000
        A3      2,000          21.6  66µs  1ms  3.04ms  27.9ms  1.5s       1         2       0    2.50 s     4.00 s                  500
  A median      2,000          21.6  66µs  1ms  3.04ms  27.9ms  1.5s       3         6       0    2.50 s     4.00 s                  500
  B median      4,000          21.6  66µs  1ms  3.04ms  27.9ms  1.5s       2         4       0    2.50 s     4.00 s                1,000
     A / B      0.500         1.000                                                                                                0.500
A 3 x "status 503"
B 2 x "status 503"

interrupted: these are the figures so far
`
	var b bytes.Buffer
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

func TestTableShowsWhatBrowsersWereToldOf(t *testing.T) {
	round := func(rate float64) Round {
		return Round{
			AnswersPerSecond: rate / 17, Latency: Latency{P50: 66.047, P90: 999.9, P99: 3039.2, P999: 27934.7, Max: 1.5e6}, GeneratorCPU: 2.5, ServerCPU: 4,
			Signals: &Signals{
				MessagesIn: rate / 3, MessagesOut: rate * 2 / 3, Messages: rate, Offers: rate / 4, Answers: rate / 5,
				Latency: Latency{P50: 1000, P99: 2000}, PerServerCPU: rate / 4,
			},
		}
	}
	r := Report{
		Protocol: "ws", Distribution: "even", Torrents: 100, TorrentsWithPeer: 90, Peers: 1_000, Seeders: 0.25, NumWant: 5, Offers: 3,
		Mode: "closed loop", UnderWay: 32, Sources: 16,
		Results: []Result{
			{
				URL: "ws://127.0.0.1:1", Fill: &Fill{Seconds: 2.04, AnswersPerSecond: 1_000.4},
				Idle:   &Idle{Seconds: 10.04, Connections: 1_000, RSS: 4 << 20, Anonymous: 3 << 20, PerConnection: 4194.3},
				Rounds: []Round{round(90_000), round(30_000), round(60_000)},
			},
			{URL: "ws://127.0.0.1:2", Idle: &Idle{Seconds: 10, Connections: 999}, Rounds: []Round{round(6_000)}},
		},
	}
	for i := range r.Results {
		r.Results[i].Median = medians(r.Results[i].Rounds)
	}
	r.Ratio = newRatio(&r.Results[0].Median, &r.Results[1].Median)
	want := `even: 1,000 peers of 90 torrents, 25 % seeders, 3 offers in an announce; closed loop, 32 under way at most from 16 sources
A ws://127.0.0.1:1
  filled in 2.0 s, 1,000 answers/s, 0 errors, 0 timeouts
  1,000 connections open after 10.0 s in which nobody announced: memory 4.0 MiB (3.0 MiB without pages of files), 4,194 B a connection, all in
B ws://127.0.0.1:2
  999 connections open after 10.0 s in which nobody announced

     round  messages/s    in/s   out/s  announces/s  offers/s  answers/s   p50  p90     p99   p99.9   max  to answer p50  p99  errors  timeouts  unsent  CPU here  CPU there  messages/CPU s there
        A1      90,000  30,000  60,000        5,294    22,500     18,000  66µs  1ms  3.04ms  27.9ms  1.5s            1ms  2ms       0         0       0    2.50 s     4.00 s                22,500
        B1       6,000   2,000   4,000          353     1,500      1,200  66µs  1ms  3.04ms  27.9ms  1.5s            1ms  2ms       0         0       0    2.50 s     4.00 s                 1,500
        A2      30,000  10,000  20,000        1,765     7,500      6,000  66µs  1ms  3.04ms  27.9ms  1.5s            1ms  2ms       0         0       0    2.50 s     4.00 s                 7,500
        A3      60,000  20,000  40,000        3,529    15,000     12,000  66µs  1ms  3.04ms  27.9ms  1.5s            1ms  2ms       0         0       0    2.50 s     4.00 s                15,000
  A median      60,000  20,000  40,000        3,529    15,000     12,000  66µs  1ms  3.04ms  27.9ms  1.5s            1ms  2ms       0         0       0    2.50 s     4.00 s                15,000
  B median       6,000   2,000   4,000          353     1,500      1,200  66µs  1ms  3.04ms  27.9ms  1.5s            1ms  2ms       0         0       0    2.50 s     4.00 s                 1,500
     A / B      10.000                       10.000                                                                                                                                         10.000
`
	var b bytes.Buffer
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	r.Results = r.Results[:1]
	r.Ratio, r.Results[0].Rounds = nil, nil
	if b.Reset(); r.WriteTable(&b) != nil || strings.Contains(b.String(), "messages/s") {
		t.Errorf("without rounds:\n%s", b.String())
	}
}

func TestMedianIsTheOneInTheMiddle(t *testing.T) {
	for want, values := range map[int][]int{3: {9, 1, 3}, 2: {4, 2}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("of %v: %d, want %d", values, got, want)
		}
	}
}

func TestMemoryIsFlatWithinAPartOfTwenty(t *testing.T) {
	for _, test := range []struct {
		samples []int64
		flat    bool
	}{{[]int64{100, 105, 102}, true}, {[]int64{100, 106, 102}, false}, {[]int64{100}, true}, {nil, false}} {
		if m := newMemory(test.samples); m.Flat != test.flat || m.Samples != len(test.samples) {
			t.Errorf("%v: %+v, want flat: %t", test.samples, m, test.flat)
		}
	}
}

func TestKindsOfErrorsAreBounded(t *testing.T) {
	a, b := newTally(0), newTally(0)
	for n := range 100 {
		a.fail(errorNumber(n))
	}
	b.fail(errorNumber(1))
	a.add(b)
	if a.errors != 101 || len(a.failures) != maxKinds+1 || a.failures["error 1"] != 2 || a.failures["other errors"] != 100-maxKinds {
		t.Errorf("%d errors: %v", a.errors, a.failures)
	}
}

type errorNumber int

func (e errorNumber) Error() string {
	return "error " + string(rune('0'+int(e)%10)) + "abcdefghij"[:int(e)/10]
}
