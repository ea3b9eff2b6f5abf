//go:build !function

package main

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"waggle/console/client"
	"waggle/internal/clustertest"
)

// TestClusterByANATSOutlivesItsMaster has another cluster at the same NATS, which it does not meet.
func TestClusterByANATSOutlivesItsMaster(t *testing.T) {
	program := buildProgram(t)
	nats, _ := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT})
	flags := []string{
		"--cluster-nats", "nats://" + nats.Addr().String(), "--cluster-peers", "off",
		"--cluster-secret-file", secretFile(t, "0123456789abcdef0123456789abcdef"),
	}
	all := []*member{startMember(t, program, flags), startMember(t, program, flags)}
	elsewhere := startMember(t, program, append(flags, "--cluster-nats-prefix", "elsewhere.cluster"))
	master, slave := agree(t, all...)
	agree(t, elsewhere)
	if r := (&serving{lines: slave.lines}).announce(t, ""); r.Incomplete != 1 {
		t.Errorf("%+v", r)
	}
	for _, m := range all {
		if n := incomplete(t, m.url(t, "http")); n != "1" {
			t.Errorf("%s counts %s peers, want 1", m.url(t, "http"), n)
		}
	}
	if n := incomplete(t, elsewhere.url(t, "http")); n != "0" && n != "" {
		t.Errorf("another cluster counts %s peers of this one", n)
	}
	if v := elsewhere.cluster(t); v.Totals.Forged > 0 {
		t.Errorf("another cluster heard this one: %+v", v.Totals)
	}
	if err := master.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = master.process.Wait()
	eventually(t, "the other one is master", func() bool {
		v := slave.cluster(t)
		return v.Role == client.ClusterMaster && v.Serving
	})
	if n := incomplete(t, slave.url(t, "http")); n != "1" {
		t.Errorf("%s peers are left, want 1", n)
	}
}
