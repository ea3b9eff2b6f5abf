package cluster

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	first  = flag.Uint64("first", 0, "the first of the random schedules")
	count  = flag.Uint64("schedules", schedules, "how many random schedules are tried")
	shrunk = flag.String("shrunk", "", "the `file` that a schedule that fails is written to, as a scenario")
)

// TestRandomSchedulesConverge lets all go wrong that can, and looks whether all is well in the
// end. A schedule is a scenario that nobody has written; one that fails is made as short as it can
// be.
func TestRandomSchedulesConverge(t *testing.T) {
	lanes := uint64(runtime.GOMAXPROCS(0))
	for lane := range lanes {
		t.Run(strconv.FormatUint(lane, 10), func(t *testing.T) {
			t.Parallel()
			for seed := *first + lane; seed < *first+*count; seed += lanes {
				lines := schedule(seed)
				if try(lines, true) == "" {
					continue
				}
				lines = shrink(lines)
				failure := try(lines, false)
				text := strings.Join(lines, "\n") + "\n"
				if *shrunk != "" {
					if err := os.WriteFile(*shrunk, []byte(text), 0o600); err != nil {
						t.Error(err)
					}
				}
				t.Fatalf("schedule %d fails; what is left of it does so:\n%s\nAs a scenario:\n%s", seed, failure, text)
			}
		})
	}
}

// A schedule ends with a time without losses, first in parts if the network is cut, and then
// whole: in each part there is one master soon, and after a while all tables are equal.
const (
	troubles = 130 * time.Second
	calm     = 35 * time.Second
)

// timed is a line of a schedule.
type timed struct {
	at   time.Duration
	line string
}

// schedule makes a scenario at random.
func schedule(seed uint64) (lines []string) {
	rng := rand.New(rand.NewPCG(seed, 2))
	size := 2 + rng.IntN(4)
	lines = append(lines, fmt.Sprintf("seed %d", seed), fmt.Sprintf("instances %d", size), fmt.Sprintf("delay %dms", 1+rng.IntN(100)))
	if rng.IntN(4) > 0 {
		lines = append(lines, fmt.Sprintf("loss %d%%", rng.IntN(31)))
	}
	if rng.IntN(4) > 0 {
		lines = append(lines, fmt.Sprintf("double %d%%", rng.IntN(20)))
	}
	var list []timed
	add := func(at time.Duration, format string, args ...any) {
		list = append(list, timed{at, fmt.Sprintf(format, args...)})
	}
	within := func(from, to time.Duration) time.Duration { // in milliseconds
		return from + time.Duration(rng.Int64N(int64((to-from)/time.Millisecond)))*time.Millisecond
	}
	for i := range size {
		lines = append(lines, fmt.Sprintf("clock %d %v", i+1, time.Duration(rng.IntN(7200)-3600)*time.Second))
		add(within(0, 8*time.Second), "start %d", i+1)
	}
	for c := range 10 + rng.IntN(30) {
		if rng.IntN(4) == 0 {
			lines = append(lines, fmt.Sprintf("unicast %d", c+1))
		}
		at := within(0, time.Minute)
		for _, e := range []string{"started", "none", "completed", "stopped"}[:1+rng.IntN(4)] {
			add(at, "ask %d %s", c+1, e)
			at += within(5*time.Second, 35*time.Second)
		}
	}
	for range rng.IntN(9) {
		trouble(rng, size, within(5*time.Second, 95*time.Second), within(500*time.Millisecond, 20*time.Second), add)
	}
	if rng.IntN(2) == 0 {
		add(within(95*time.Second, troubles), "cut %s", some(rng, size))
	}
	slices.SortStableFunc(list, func(a, b timed) int { return cmp.Compare(a.at, b.at) })
	for _, x := range list {
		lines = append(lines, fmt.Sprintf("at %v %s", x.at, x.line))
	}
	return append(lines, fmt.Sprintf("at %v calm", troubles), fmt.Sprintf("watch %v", calm), "expect settled",
		"heal", fmt.Sprintf("watch %v", calm), "expect settled")
}

// trouble adds one that begins at a time, and is over after another.
func trouble(rng *rand.Rand, size int, at, during time.Duration, add func(time.Duration, string, ...any)) {
	i := 1 + rng.IntN(size)
	switch rng.IntN(7) {
	case 0:
		add(at, "cut %s", some(rng, size))
		add(at+during, "heal")
	case 1:
		add(at, "freeze %d", i)
		add(at+during, "thaw %d", i)
	case 2:
		add(at, "kill %d", i)
		add(at+during, "start %d", i)
	case 3:
		add(at, "kill %d", i)
		add(at+during, "restart %d", i)
	case 4:
		add(at/2, "copy %d", i)
		add(at, "kill %d", i)
		add(at+during, "restart %d copy", i)
	case 5:
		add(at, "stepdown %d", i)
	case 6: // all of them, as where a room has no power
		for i := range size {
			add(at+time.Duration(rng.IntN(1000))*time.Millisecond, "kill %d", i+1)
			add(at+during+time.Duration(rng.IntN(8000))*time.Millisecond, "restart %d", i+1)
		}
	}
}

// some are the numbers of some instances.
func some(rng *rand.Rand, size int) string {
	var list []string
	for i := range size {
		if rng.IntN(2) == 0 {
			list = append(list, strconv.Itoa(i+1))
		}
	}
	return strings.Join(list, " ")
}
