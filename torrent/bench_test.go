package torrent

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// sparseFile returns the path of a file of zeros that takes no room on disk.
func sparseFile(b *testing.B, size int64) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "sparse")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		b.Fatal(err)
	}
	return path
}

func BenchmarkCreate(b *testing.B) {
	const size = 256 << 20
	path := sparseFile(b, size)
	for _, version := range []Version{V1, V2, Hybrid} {
		b.Run(version.String(), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				if _, err := Create(b.Context(), CreateOptions{Path: path, Version: version}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCreateAgainstSha1sum hashes a file of 10 GB with each version in turn
// with sha1sum, which has one core: GB/s by the clock, how many times as fast as
// sha1sum that is (x-sha1sum), and the processor time for a GB of both, which
// other work on the machine does not change.
func BenchmarkCreateAgainstSha1sum(b *testing.B) {
	const size = 10_000_000_000
	path := sparseFile(b, size)
	readAll(b, path) // whoever comes first would fill the cache for the others
	for _, version := range []Version{V1, V2, Hybrid} {
		b.Run(version.String(), func(b *testing.B) {
			var ours, theirs, oursCPU, theirsCPU time.Duration
			for b.Loop() {
				start, startCPU := time.Now(), processorTime(b)
				if _, err := Create(b.Context(), CreateOptions{Path: path, Version: version}); err != nil {
					b.Fatal(err)
				}
				ours += time.Since(start)
				oursCPU += processorTime(b) - startCPU

				start = time.Now()
				cmd := exec.CommandContext(b.Context(), "sha1sum", path)
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("sha1sum: %v\n%s", err, out)
				}
				theirs += time.Since(start)
				theirsCPU += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			}
			gigabytes := size * float64(b.N) / 1e9
			b.ReportMetric(gigabytes/ours.Seconds(), "GB/s")
			b.ReportMetric(gigabytes/theirs.Seconds(), "sha1sum-GB/s")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-sha1sum")
			b.ReportMetric(oursCPU.Seconds()/gigabytes, "cpu-s/GB")
			b.ReportMetric(theirsCPU.Seconds()/gigabytes, "sha1sum-cpu-s/GB")
		})
	}
}

// readAll has the system read a file into its cache.
func readAll(b *testing.B, path string) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, f); err != nil {
		b.Fatal(err)
	}
	_ = f.Close()
}

// processorTime returns what this process has had so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
