package process

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestStatIsReadBehindANameWithParenthesesAndSpaces(t *testing.T) {
	stat := "7 (a ) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 150 25 9 9 20 0 5 0 1 2 3\n"
	if cpu, ok := parseStat(stat); !ok || cpu != 1750*time.Millisecond {
		t.Errorf("%v, %t, want 1.75 s", cpu, ok)
	}
	for _, bad := range []string{"", "7 a S", "7 (a) S 1 2", "7 (a) S 1 7 7 0 -1 4194560 1 2 3 4 x 25 9"} {
		if _, ok := parseStat(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestStatusTellsResidentMemoryInBytes(t *testing.T) {
	if rss, anonymous, ok := parseStatus("Name:\tx\nVmHWM:\t  9 kB\nVmRSS:\t    2048 kB\nRssAnon:\t       1 kB\n"); !ok || rss != 2<<20 || anonymous != 1<<10 {
		t.Errorf("%d, %d, %t, want 2 MiB, of which 1 KiB is in no file", rss, anonymous, ok)
	}
	if rss, anonymous, ok := parseStatus("Name:\tx\nState:\tZ (zombie)\n"); !ok || rss+anonymous != 0 {
		t.Errorf("of a zombie: %d, %d, %t", rss, anonymous, ok)
	}
	for _, bad := range []string{"Name:\tx\n", "VmRSS:\t2048 kB\n", "VmRSS:\tx kB\nRssAnon:\t1 kB\n"} {
		if _, _, ok := parseStatus(bad); ok {
			t.Errorf("%q was taken for an answer", bad)
		}
	}
}

func TestThisProcessUsesMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		if _, err := Of(os.Getpid()); err == nil || !strings.Contains(err.Error(), "Linux only") {
			t.Errorf("got %v, want what it takes", err)
		}
		return
	}
	if u, err := Of(os.Getpid()); err != nil || u.RSS <= 0 {
		t.Errorf("%+v, %v", u, err)
	}
	if _, ok := Self(); !ok {
		t.Error("Self does not tell")
	}
}

func TestProcessThatHasEndedIsNamed(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := Of(gone.Process.Pid); err == nil || !strings.Contains(err.Error(), "process") {
		t.Errorf("got %v, want an error that says which", err)
	}
}
