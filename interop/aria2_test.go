//go:build long

package interop

import (
	"syscall"
	"testing"
)

// startAria2 starts aria2, for HTTP trackers. It is for network namespaces, as
// its port is always the same.
func startAria2(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	return runAria2(t, h, torrent, dir, "--enable-dht=false")
}

// startAria2WithDHT starts aria2 so that it talks to UDP trackers: it does so
// over the socket of its DHT only. It knows of no DHT node, and in a namespace
// there is none to be known.
func startAria2WithDHT(t *testing.T, h host, torrent, dir string) *process {
	t.Helper()
	return runAria2(t, h, torrent, dir, "--enable-dht=true", "--dht-listen-port=6990", "--dht-file-path="+t.TempDir()+"/dht.dat")
}

func runAria2(t *testing.T, h host, torrent, dir string, dht ...string) *process {
	t.Helper()
	command := append([]string{
		program(t, "aria2c", makeTestLong), "--no-conf", "--dir=" + dir, "--listen-port=6990",
		"--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
		"--check-integrity=true", // seed what is there
		"--seed-ratio=0.0",       // for ever
		"--file-allocation=none", "--summary-interval=0",
	}, dht...)
	p := start(t, h, "aria2", append(command, torrent)...)
	p.quit = syscall.SIGINT // SIGTERM is to leave without a word to the tracker
	return p
}
