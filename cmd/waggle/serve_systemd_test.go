package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// listenAsSystemd returns the environment of a process that systemd started, and what it
// tells, each time that it does.
func listenAsSystemd(t *testing.T) (environ []string, told func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return []string{"NOTIFY_SOCKET=" + path}, func() string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 256)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestSystemdIsToldOfStartReloadAndStop(t *testing.T) {
	environ, told := listenAsSystemd(t)
	name, socket, _ := strings.Cut(environ[0], "=")
	t.Setenv(name, socket)
	t.Setenv("WATCHDOG_USEC", "20000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	s := startServe(t, "--store", "memory:")
	next := func() string { // but for signs of life
		for {
			if got := told(); got != notifyWatchdog {
				return got
			}
		}
	}
	if got := next(); got != notifyReady {
		t.Fatalf("at first it told %q", got)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if got := next(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("as it reloads it told %q", got)
	}
	if got := next(); got != notifyReady {
		t.Errorf("after it has reloaded it told %q", got)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != notifyStopping {
		t.Errorf("as it stops it told %q", got)
	}
}

func TestSystemdIsToldTwiceInItsTimeThatTheTrackerWorks(t *testing.T) {
	environ, told := listenAsSystemd(t)
	m, err := openManager(t.Context(), append(environ, "WATCHDOG_USEC=2000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if m.watchdog != 2*time.Millisecond {
		t.Errorf("%s", m.watchdog)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	worked := 0
	go func() {
		m.keepAlive(ctx, func() { worked++ })
		close(ended)
	}()
	for range 3 {
		if got := told(); got != notifyWatchdog {
			t.Errorf("told %q", got)
		}
	}
	cancel()
	<-ended
	if worked < 3 {
		t.Errorf("told 3 times that it works, and looked %d times", worked)
	}
	end := m.outlive()
	if got := told(); got != notifyWatchdog {
		t.Errorf("as it closes it told %q", got)
	}
	end()
}

func TestSystemdIsNotToldWhileTheTrackerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer func() { _, _ = ours.Close(), theirs.Close() }()
		m := manager{conn: ours, watchdog: time.Minute}
		ctx, cancel := context.WithCancel(t.Context())
		hang := make(chan struct{})
		ended := make(chan struct{})
		go func() {
			m.keepAlive(ctx, func() { <-hang })
			close(ended)
		}()
		_ = theirs.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := theirs.Read(make([]byte, 100)); err == nil {
			t.Errorf("%d bytes came", n)
		}
		cancel()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		_ = theirs.SetReadDeadline(time.Time{})
		close(hang)
		<-ended
		_ = ours.Close()
	})
}

func TestNobodyIsToldWithoutSystemd(t *testing.T) {
	for _, environ := range [][]string{nil, {"WATCHDOG_USEC=1000000"}} {
		m, err := openManager(t.Context(), environ, nil)
		if err != nil || m.watchdog != 0 {
			t.Errorf("%q: %v, watchdog after %s", environ, err, m.watchdog)
		}
		m.tell(notifyReady)
		m.close()
	}
}

func TestWatchdogOfAnotherProcessIsLeftAlone(t *testing.T) {
	environ, _ := listenAsSystemd(t)
	for _, variables := range [][]string{
		{"WATCHDOG_USEC=1000000", "WATCHDOG_PID=1"}, {"WATCHDOG_USEC=soon"}, {"WATCHDOG_USEC=-1"}, {"WATCHDOG_USEC=0"},
	} {
		m, err := openManager(t.Context(), append(variables, environ...), nil)
		if err != nil || m.watchdog != 0 {
			t.Errorf("%q: %v, watchdog after %s", variables, err, m.watchdog)
		}
		m.close()
	}
}

func TestSocketOfSystemdThatIsNotThereIsNamed(t *testing.T) {
	_, err := openManager(t.Context(), []string{"NOTIFY_SOCKET=/nowhere/notify"}, nil)
	if err == nil || !strings.Contains(err.Error(), "NOTIFY_SOCKET") || !strings.Contains(err.Error(), "/nowhere/notify") {
		t.Error(err)
	}
}
