package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/frontend/lambda/lambdatest"
)

var (
	environments = flag.Int("lambda.environments", 1, "processes of the function")
	concurrency  = flag.Int("lambda.concurrency", 1, "events that each has at a time (AWS_LAMBDA_MAX_CONCURRENCY)")
)

// BenchmarkFunctionAnnounces measures announce events through the real binary and the
// runtime API: bench/lambda.sh runs it. The server of the API takes part of the machine.
func BenchmarkFunctionAnnounces(b *testing.B) {
	api := lambdatest.New()
	b.Cleanup(api.Close)
	var processes []*process
	for range *environments {
		processes = append(processes, startFunction(b, api, "WAGGLE_STORE=memory:", "WAGGLE_LIMITS_ANNOUNCES_PER_SECOND_PER_ADDRESS=0", "WAGGLE_LOG_LEVEL=error",
			"AWS_LAMBDA_MAX_CONCURRENCY="+strconv.Itoa(*concurrency)))
	}
	events := announceEvents(b)
	for range 100 * len(processes) { // all are awake
		invoke(b, api, events[0])
	}
	before, harness := cpuTimes(b, processes), ownTime(b)
	var next atomic.Int64
	var loads sync.WaitGroup
	b.ResetTimer()
	for range 2 * *environments * *concurrency {
		loads.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				invoke(b, api, events[n%int64(len(events))])
			}
		})
	}
	loads.Wait()
	b.StopTimer()
	used := cpuTimes(b, processes) - before
	harness = ownTime(b) - harness
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "function-us/event")
	b.ReportMetric(float64(harness.Microseconds())/float64(b.N), "api-us/event")
}

// ownTime returns what this process has used of processors.
func ownTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func invoke(b *testing.B, api *lambdatest.Server, event []byte) {
	answer, err := api.Invoke(context.Background(), event)
	if err != nil || !bytes.Contains(answer, []byte(`"statusCode":200`)) {
		b.Errorf("%s is answered %s, %v", event, answer, err)
	}
}

// announceEvents are of 10,000 peers of 1,000 torrents that come from everywhere and want
// 30 peers, with what clients have of headers.
func announceEvents(b *testing.B) [][]byte {
	events := make([][]byte, 10_000)
	for n := range events {
		target := fmt.Sprintf("/announce?info_hash=%%%02x%%%02x%%fe%%ff0123456789abcdef&peer_id=-qB4500-%012d&port=%d&uploaded=0&downloaded=0&left=%d&corrupt=0&key=%08X&"+
			"event=started&numwant=30&compact=1&no_peer_id=1&supportcrypto=1&redundant=0", n%256, n%1000/256, n, 1024+n%60000, n%3, n)
		r := httptest.NewRequest("GET", "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"+target, nil)
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", n>>16&0xff, n>>8&0xff, n&0xff)
		for name, value := range map[string]string{
			"User-Agent": "qBittorrent/4.5.2", "Accept-Encoding": "gzip", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https",
			"X-Amzn-Trace-Id": "Root=1-5e9f0c65-1de4d666d4dd26aced652b6c", "X-Amzn-Tls-Version": "TLSv1.3", "X-Amzn-Tls-Cipher-Suite": "TLS_AES_128_GCM_SHA256",
		} {
			r.Header.Set(name, value)
		}
		event, err := lambdatest.Event(r)
		if err != nil {
			b.Fatal(err)
		}
		events[n] = event
	}
	return events
}

// clockTick is the unit of times in /proc, which Linux fixes at a hundredth of a second.
const clockTick = 10 * time.Millisecond

// cpuTimes returns what processes have used of processors, as the kernel counts it.
func cpuTimes(b *testing.B, processes []*process) (used time.Duration) {
	for _, p := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // from the third on, see proc(5)
		for _, field := range fields[11:13] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			used += time.Duration(ticks) * clockTick
		}
	}
	return used
}

// TestFunctionAnswersAtAColdStart prints how long it takes from the start of the process
// to its first answer, and what memory it has then: the figures of docs/serverless.md.
func TestFunctionAnswersAtAColdStart(t *testing.T) {
	api := lambdatest.New()
	t.Cleanup(api.Close)
	r := httptest.NewRequest("GET", "https://example.lambda-url.us-east-1.on.aws"+functionQuery(1), nil)
	event, err := lambdatest.Event(r)
	if err != nil {
		t.Fatal(err)
	}
	waggle(t) // is built
	began := time.Now()
	p := startFunction(t, api, "WAGGLE_STORE=memory:")
	answer, err := api.Invoke(t.Context(), event)
	took := time.Since(began)
	if err != nil || !json.Valid(answer) {
		t.Fatalf("%s, %v", answer, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "\n")
	t.Logf("first answer after %v, with %s of memory at most", took.Round(time.Millisecond), strings.TrimSpace(peak))
	if took > 10*time.Second {
		t.Errorf("a client would not wait for %v", took)
	}
}
