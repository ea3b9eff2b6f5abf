//go:build unix

package access

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatIsNoFileIsNoList(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "is a folder; give the path of a file", pipe: "is a pipe or a socket; give the path of a file"} {
		if _, err := Read(Files{NetworksDeny: path}); err == nil || !strings.HasPrefix(err.Error(), "access.networks_deny: "+path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := Read(Files{NetworksDeny: os.DevNull}); err != nil {
		t.Errorf("nobody is denied: %v", err)
	}
}

func TestListWhoseFileIsAFolderForAWhileStays(t *testing.T) {
	networks := file(t, "networks", "10.0.0.0/8\n")
	l := watched(t, Files{NetworksDeny: networks})
	refuses := func(ip string) bool { return l.Welcome(netip.MustParseAddr(ip)) != nil }
	if err := os.Remove(networks); err != nil {
		t.Fatal(err)
	}
	for _, put := range []func(string, uint32) error{syscall.Mkdir, syscall.Mkfifo} {
		if err := put(networks, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // what must not be done would be done by then
		if !refuses("10.0.0.1") {
			t.Error("a list ends with its file")
		}
		if err := os.Remove(networks); err != nil {
			t.Fatal(err)
		}
	}
	write(t, networks, "192.0.2.0/24\n")
	until(t, "the new list is in force", func() bool { return refuses("192.0.2.1") && !refuses("10.0.0.1") })
}

func TestAllListsThatAreWrongAreNamed(t *testing.T) {
	wrong := file(t, "wrong", "x y\n")
	_, err := Read(Files{ClientsAllow: wrong, ClientsDeny: wrong, NetworksAllow: wrong, NetworksDeny: wrong})
	for _, key := range []string{"clients_allow", "clients_deny", "networks_allow", "networks_deny"} {
		if err == nil || !strings.Contains(err.Error(), "access."+key+": "+wrong+":1: ") {
			t.Errorf("access.%s is not named in %v", key, err)
		}
	}
}
