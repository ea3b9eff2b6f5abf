package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/bittorrent"
)

// A scenario is a text of one event or expectation a line; what follows # is for people.
// Instances are numbered from 1, and so are peers.
//
//	instances N                 how many there are
//	seed N                      of all that is random
//	clock I D                   its clock is that much ahead
//	start I.. | kill I.. | freeze I | thaw I | stepdown I | leave I
//	copy I                      its disk, as it is now
//	restart I [copy]            with its disk as it was at the end, or with the copy
//	cut I.. | heal              the network, between those that are named and the others
//	loss P% | double P%         so many of all messages, at random
//	delay D                     each message takes up to that long
//	calm                        no more of loss, double and lose
//	lose KIND FROM TO [TIMES]   messages; * is any instance; without a number all
//	lose announce P TO [TIMES]  what a peer asks
//	lose nothing
//	forge KIND FROM TO [P]      a message that an instance, or a stranger, has no right to send, of peer
//	                            P's request; KA is one without an ID
//	run D                       lets time pass
//	at D EVENT                  lets time pass until so long after the beginning
//	watch D                     lets time pass; no part may have two masters three seconds after it changed
//	ask P EVENT | repeat P      a peer announces; sends its last request again
//	unicast P [I]               it asks one instance alone; without a number whichever
//	expect I newcomer|master|slave J|electing|dead
//	expect order I..            the IDs go up
//	expect equal                there is one master, and all tables are equal
//	expect settled              that holds in each part, and none lacks what a peer was told is done
//	expect peers N              each table has as many
//	expect completed P N        so many downloads of the peer's torrent, in each table
//	expect answered P.. | expect unanswered P..
//	expect sent KIND FROM TO [N]    messages since the last forget; without a number any
//	expect unsent KIND FROM TO
//	expect strange I N          so many messages since the last forget were none that I takes
//	forget

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) < 18 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := scenario{t: t, w: newWorld(t, 1, 0)}
			s.play(strings.Split(string(text), "\n"))
		})
	}
}

type scenario struct {
	t       failer
	w       *world
	line    int
	strange []uint64 // of each instance, at the last forget
}

func (s *scenario) play(lines []string) {
	for at, line := range lines {
		s.line = at + 1
		words, _, _ := strings.Cut(line, "#")
		if fields := strings.Fields(words); len(fields) > 0 {
			s.do(fields[0], fields[1:])
		}
	}
}

func (s *scenario) fatal(format string, args ...any) {
	s.t.Helper()
	s.w.fail("line %d: %s", s.line, fmt.Sprintf(format, args...))
}

// number reads the number of an instance or a peer, from 0; -1 is any.
func (s *scenario) number(text string) int {
	if text == "*" {
		return -1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		s.fatal("%q is no number from 1 up", text)
	}
	return n - 1
}

func (s *scenario) numbers(texts []string) (list []int) {
	for _, text := range texts {
		list = append(list, s.number(text))
	}
	return list
}

func (s *scenario) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.fatal("%v", err)
	}
	return d
}

func (s *scenario) percent(text string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil {
		s.fatal("%v", err)
	}
	return n / 100
}

func (s *scenario) each(texts []string, do func(*instance)) {
	for _, n := range s.numbers(texts) {
		do(s.w.nodes[n])
	}
}

// running has those do something that run.
func (s *scenario) running(texts []string, do func(*instance)) {
	s.each(texts, func(i *instance) {
		if i.up && i.paused == nil {
			do(i)
		}
	})
}

func (s *scenario) do(verb string, args []string) {
	if s.happen(verb, args) || s.network(verb, args) {
		return
	}
	w := s.w
	switch verb {
	case "run":
		w.run(s.duration(args[0]))
	case "at":
		if d := s.duration(args[0]) - w.now.Sub(w.begin); d > 0 {
			w.watch(d)
		}
		s.do(args[1], args[2:])
	case "watch":
		w.watch(s.duration(args[0]))
	case "ask":
		w.ask(w.peer(s.number(args[0])), s.event(args[1]))
	case "unicast":
		c := w.peer(s.number(args[0]))
		if c.unicast, c.only = true, -1; len(args) > 1 {
			c.only = s.number(args[1])
		}
	case "repeat":
		c := w.peer(s.number(args[0]))
		c.waits, c.first = true, w.now
		w.shout(c, c.sequence)
	case "expect":
		s.expect(args[0], args[1:])
	case "forget":
		w.sent, s.strange = nil, make([]uint64, len(w.nodes))
		for i := range w.nodes {
			s.strange[i] = w.nodes[i].strange()
		}
	default:
		s.fatal("no event is named %s", verb)
	}
}

// happen has something happen to instances. It reports whether the event is of that kind.
func (s *scenario) happen(verb string, args []string) bool {
	w := s.w
	switch verb {
	case "instances":
		w.grow(s.number(args[0]) + 1)
	case "clock":
		w.nodes[s.number(args[0])].clock = s.duration(args[1])
	case "start":
		s.each(args, func(i *instance) {
			if !i.up {
				i.start(nil)
			}
		})
	case "restart":
		if i := w.nodes[s.number(args[0])]; !i.up && len(args) > 1 {
			i.start(i.copied)
		} else if !i.up {
			i.start(i.disk)
		}
	case "copy":
		s.running(args, func(i *instance) { i.copied = i.rows() })
	case "kill":
		s.each(args, func(i *instance) {
			if i.up {
				i.stop()
			}
		})
	case "freeze":
		s.running(args, (*instance).pause)
	case "thaw":
		s.each(args, func(i *instance) {
			if i.up && i.paused != nil {
				i.goOn()
			}
		})
	case "stepdown":
		s.running(args, func(i *instance) { w.disturbed = w.now; i.node.StepDown(i.time()) })
	case "leave":
		s.running(args, func(i *instance) { i.node.Leave(i.time()); i.stop() })
	default:
		return false
	}
	return true
}

// network has something happen to messages. It reports whether the event is of that kind.
func (s *scenario) network(verb string, args []string) bool {
	w := s.w
	switch verb {
	case "seed":
		seed, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil {
			s.fatal("%v", err)
		}
		w.seed = seed
	case "cut":
		mask := uint32(0)
		for _, n := range s.numbers(args) {
			mask |= 1 << n
		}
		w.partition(mask)
	case "heal":
		w.heal()
	case "loss":
		w.loss = s.percent(args[0])
	case "double":
		w.double = s.percent(args[0])
	case "delay":
		w.delay = s.duration(args[0])
	case "calm":
		w.loss, w.double, w.drops, w.disturbed = 0, 0, nil, w.now
		w.note("no message is lost from here on")
	case "lose":
		s.lose(args)
	case "forge":
		s.forge(args[0], args[1], w.nodes[s.number(args[2])], args[3:])
	default:
		return false
	}
	return true
}

func (s *scenario) lose(args []string) {
	if args[0] == "nothing" {
		s.w.drops = nil
		return
	}
	d := drop{args[0], s.number(args[1]), s.number(args[2]), -1}
	if len(args) > 3 {
		d.times = s.number(args[3]) + 1
	}
	s.w.drops = append(s.w.drops, d)
}

func (s *scenario) event(text string) bittorrent.Event {
	for e := bittorrent.EventNone; e <= bittorrent.EventPaused; e++ {
		if e.String() == text {
			return e
		}
	}
	s.fatal("no event of a peer is named %s", text)
	return 0
}
