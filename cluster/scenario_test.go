package cluster

import (
	"bufio"
	"bytes"
	"encoding/binary"
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
//	start I.. | kill I.. | freeze I | thaw I | stepdown I | leave I
//	cut I.. | heal              the network, between those that are named and the others
//	lose KIND FROM TO [TIMES]   messages; * is any instance; without a number all
//	lose nothing
//	run 3s                      lets time pass
//	ask P EVENT | repeat P      a peer announces; sends its last request again
//	expect I newcomer|master|slave J|electing|dead
//	expect order I..            the IDs go up
//	expect equal                all tables are equal
//	expect peers N              each table has as many
//	expect completed P N        so many downloads of the peer's torrent, in each table
//	expect answered P.. | expect unanswered P..
//	expect sent KIND FROM TO [N]    messages since the last forget; without a number any
//	expect unsent KIND FROM TO
//	forget                      what was sent

// drop is a rule by which messages are lost.
type drop struct {
	kind     string
	from, to int // -1: any
	times    int // left; -1: all
}

type sent struct {
	kind     string
	from, to int
}

// kindOf names a message as the document does.
func kindOf(b []byte, from Role) string {
	switch binary.BigEndian.Uint32(b) {
	case typeKeepalive:
		return "KA"
	case typeElection:
		return "ME"
	case typeHello:
		switch {
		case len(b) == askHelloLen:
			return "HI-request"
		case from == Master:
			return "HI-answer"
		}
		return "HI-confirmation"
	case typeReady:
		return "DS-ready"
	case typeCommit:
		return "DS-commit"
	case typeDone:
		return "DS-done"
	case typeForward:
		return "request"
	case typeBye:
		return "bye"
	}
	return "other"
}

// dropped notes what is sent, and reports whether a rule loses it.
func (w *world) dropped(from, to int, messages [][]byte) bool {
	lost := false
	for _, b := range messages {
		kind := kindOf(b, w.nodes[from].node.role)
		w.sent = append(w.sent, sent{kind, from, to})
		for i := range w.drops {
			d := &w.drops[i]
			if d.kind == kind && (d.from < 0 || d.from == from) && (d.to < 0 || d.to == to) && d.times != 0 {
				d.times--
				lost = true
				break
			}
		}
	}
	return lost
}

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
			lines := bufio.NewScanner(bytes.NewReader(text))
			for s.line = 1; lines.Scan(); s.line++ {
				words, _, _ := strings.Cut(lines.Text(), "#")
				if fields := strings.Fields(words); len(fields) > 0 {
					s.do(fields[0], fields[1:])
				}
			}
		})
	}
}

type scenario struct {
	t    *testing.T
	w    *world
	line int
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

func (s *scenario) each(texts []string, do func(*instance)) {
	for _, n := range s.numbers(texts) {
		do(s.w.nodes[n])
	}
}

func (s *scenario) do(verb string, args []string) {
	w := s.w
	switch verb {
	case "instances":
		grown := newWorld(s.t, 1, s.number(args[0])+1)
		*w = *grown
		for _, i := range w.nodes {
			i.w = w
		}
	case "start":
		s.each(args, func(i *instance) { i.start(nil) })
	case "kill":
		s.each(args, (*instance).stop)
	case "freeze":
		s.each(args, (*instance).pause)
	case "thaw":
		s.each(args, (*instance).goOn)
	case "stepdown":
		s.each(args, func(i *instance) { i.node.StepDown(i.time()) })
	case "leave":
		s.each(args, func(i *instance) { i.node.Leave(i.time()); i.stop() })
	case "cut":
		mask := uint32(0)
		for _, n := range s.numbers(args) {
			mask |= 1 << n
		}
		w.partition(mask)
	case "heal":
		w.heal()
	case "lose":
		s.lose(args)
	case "run":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			s.fatal("%v", err)
		}
		w.run(d)
	case "ask":
		for len(w.peers) <= s.number(args[0]) {
			w.come()
		}
		w.ask(w.peers[s.number(args[0])], s.event(args[1]))
	case "repeat":
		c := w.peers[s.number(args[0])]
		c.waits = true
		w.shout(c, c.sequence)
	case "expect":
		s.expect(args[0], args[1:])
	case "forget":
		w.sent = nil
	default:
		s.fatal("no event is named %s", verb)
	}
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

func (s *scenario) expect(what string, args []string) {
	w := s.w
	switch what {
	case "order":
		list := s.numbers(args)
		for i := 1; i < len(list); i++ {
			if a, b := w.nodes[list[i-1]].node.id, w.nodes[list[i]].node.id; !a.Less(b) {
				s.fatal("%v is not below %v", a, b)
			}
		}
	case "equal":
		w.wantOne()
	case "peers":
		for _, i := range w.nodes {
			if i.up && i.node.table.live != s.number(args[0])+1 {
				s.fatal("%d has %d peers", i.index+1, i.node.table.live)
			}
		}
	case "completed":
		row, _, _ := peerOf(&w.peers[s.number(args[0])].request)
		for _, i := range w.nodes {
			if n := i.node.table.completed(row.InfoHash); i.up && n != int64(s.number(args[1])+1) {
				s.fatal("%d has counted %d downloads", i.index+1, n)
			}
		}
	case "answered", "unanswered":
		for _, n := range s.numbers(args) {
			if w.peers[n].waits == (what == "answered") {
				s.fatal("peer %d is not %s", n+1, what)
			}
		}
	case "sent", "unsent":
		s.expectSent(what, args)
	default:
		s.expectState(w.nodes[s.number(what)], args)
	}
}

func (s *scenario) expectSent(what string, args []string) {
	from, to, n := s.number(args[1]), s.number(args[2]), 0
	for _, m := range s.w.sent {
		if m.kind == args[0] && (from < 0 || m.from == from) && (to < 0 || m.to == to) {
			n++
		}
	}
	switch {
	case what == "unsent" && n > 0, what == "sent" && n == 0:
		s.fatal("%d messages %s", n, strings.Join(args, " "))
	case len(args) > 3 && n != s.number(args[3])+1:
		s.fatal("%d messages %s", n, strings.Join(args, " "))
	}
}

func (s *scenario) expectState(i *instance, args []string) {
	n := i.node
	is := n.role.String()
	switch {
	case !i.up:
		is = "dead"
	case n.electing:
		is = "electing"
	case n.role == Slave:
		for _, other := range s.w.nodes {
			if other.addr == n.master {
				is += " " + strconv.Itoa(other.index+1)
			}
		}
	}
	if want := strings.Join(args, " "); is != want {
		s.fatal("%d is %s, want %s", i.index+1, is, want)
	}
}
