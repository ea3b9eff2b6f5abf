package bench

import (
	"bytes"
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
