package locality

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waggle/internal/freeport"
)

// zones are what the name server of the tests serves.
var zones = map[string]string{
	"loc.example": `
1.2.0.192   TXT   "ams1/row3/r12"
2.2.0.192   TXT   "ams1/" "row3/r13"
3.2.0.192   TXT   "a/b/c"
3.2.0.192   TXT   "d/e/f"
4.2.0.192   TXT   "r12"
5.2.0.192   TXT   "a/b/\027[31m"
6.2.0.192   LOC   52 22 23.456 N 4 53 32.000 E -2.50m 1m 10000m 10m
7.2.0.192   CNAME 1.2.0.192
8.2.0.192   A     192.0.2.8
9.2.0.192   TXT   "` + strings.Repeat(`x" "`, 200) + strings.Repeat(strings.Repeat("y", 250)+`" "`, 8) + `"
10.2.0.192  LOC   33 51 35.900 S 151 12 40.000 W 0m
11.2.0.192  TXT   "Zürich/\"3\"/r\\12"
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 TXT "ams1/row3/r6"
`,
	"2.0.192.in-addr.arpa": `
1  PTR  h1.R12-Row3.AMS1.dc.example.
2  PTR  forged.r12-row3.ams1.dc.example.
3  PTR  www.dc.example.
4  PTR  www.dc.example.
4  PTR  h4.r13-row3.ams1.dc.example.
5  PTR  gone.r12-row3.ams1.dc.example.
`,
	"8.b.d.0.1.0.0.2.ip6.arpa": `
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR h6.r12-row3.ams1.dc.example.
`,
	"dc.example": `
h1.r12-row3.ams1      A     192.0.2.77
h1.r12-row3.ams1      A     192.0.2.1
forged.r12-row3.ams1  A     192.0.2.200
h4.r13-row3.ams1      A     192.0.2.4
h6.r12-row3.ams1      AAAA  2001:db8::1
www                   A     192.0.2.3
`,
}

// nameServer starts Debian's nsd on a loopback port, with zones, and returns where it listens.
func nameServer(t *testing.T) (address string) {
	t.Helper()
	address = freeport.Address(t)
	directory := t.TempDir()
	var config strings.Builder
	fmt.Fprintf(&config, "server:\n  ip-address: %s\n  server-count: 1\n  username: \"\"\n  database: \"\"\n  pidfile: \"\"\n  zonesdir: %q\n", strings.Replace(address, ":", "@", 1), directory)
	for _, file := range []string{"xfrdfile", "zonelistfile"} {
		fmt.Fprintf(&config, "  %s: %q\n", file, filepath.Join(directory, file))
	}
	config.WriteString("  xfrdir: \"" + directory + "\"\nremote-control:\n  control-enable: no\n")
	for name, records := range zones {
		fmt.Fprintf(&config, "zone:\n  name: %s\n  zonefile: %s\n", name, name)
		content := "$TTL 60\n@ SOA ns.example. admin.example. 1 1 1 1 1\n@ NS ns.example.\n" + records
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(directory, "nsd.conf")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	nsd, err := exec.LookPath("nsd")
	if err != nil {
		nsd = "/usr/sbin/nsd" // which is not on everybody's PATH
	}
	command := exec.Command(nsd, "-d", "-c", file)
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("%v; install the package nsd", err)
	}
	lines := bufio.NewScanner(log)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "nsd started") {
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				for lines.Scan() { // so that it never waits for us
				}
			}()
			t.Cleanup(func() {
				_ = command.Process.Signal(os.Interrupt)
				<-drained
				_ = command.Wait()
			})
			return address
		}
	}
	t.Fatalf("nsd does not start: %v: %s", command.Wait(), strings.Join(said, "\n"))
	return ""
}
