package cluster

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

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

// kinds are the messages as the document names them, and waggle's own.
var kinds = map[uint32]string{
	typeKeepalive: "KA", typeElection: "ME", typeReady: "DS-ready", typeCommit: "DS-commit", typeDone: "DS-done",
	typeForward: "request", typeStamp: "stamp", typeAsk: "ask", typeDigests: "digests", typeRows: "rows",
	typePull: "pull", typePulled: "pulled", typeBye: "bye",
}

func kindOf(b []byte, from Role) string {
	kind := binary.BigEndian.Uint32(b)
	switch {
	case kind != typeHello:
		return kinds[kind]
	case len(b) == askHelloLen:
		return "HI-request"
	case from == Master:
		return "HI-answer"
	}
	return "HI-confirmation"
}

// dropped notes what is sent, and reports whether a rule loses it.
func (w *world) dropped(from, to int, messages [][]byte) bool {
	lost := false
	for _, b := range messages {
		kind := kindOf(b, w.nodes[from].node.role)
		if !w.silent {
			w.sent = append(w.sent, sent{kind, from, to})
		}
		lost = w.loses(kind, from, to) || lost
	}
	return lost
}

// loses reports whether a rule loses a message.
func (w *world) loses(kind string, from, to int) bool {
	for i := range w.drops {
		d := &w.drops[i]
		if d.kind == kind && (d.from < 0 || d.from == from) && (d.to < 0 || d.to == to) && d.times != 0 {
			d.times--
			return true
		}
	}
	return false
}

// forge has an instance take in a message that its sender has no right to send.
func (s *scenario) forge(kind, from string, to *instance, args []string) {
	source, id := netip.MustParseAddrPort("10.9.9.9:9"), ID{19: 1}
	if from != "stranger" {
		i := s.w.nodes[s.number(from)]
		if source, id = i.addr, (ID{}); i.up {
			id = i.node.id
		}
	}
	var x Transaction
	var b []byte
	if len(args) > 0 {
		x = s.w.peer(s.number(args[0])).request.Transaction()
	}
	switch kind {
	case "KA":
		b = appendKeepalive(nil, ID{})
	case "ME":
		b = appendElection(nil, id)
	case "bye":
		b = append(header(nil, typeBye), to.node.id[:]...)
	case "HI-request":
		h := Hello{Connection: 1, Request: true}
		b = h.append(nil)
	case "HI-answer":
		list := []Triplet{{Host: [4]byte{10, 1, 0, 66}, Port: 6666}}
		h := Hello{Connection: to.node.joining.connection, Assigned: ID{0: 0xff}, Contents: contentsOf(list), Triplets: list}
		b = h.append(nil)
	case "DS-commit":
		b = appendSync(nil, typeCommit, x)
	case "DS-done":
		b = appendSync(nil, typeDone, x)
	case "DS-ready":
		b = appendSync(nil, typeReady, x, s.w.peer(s.number(args[0])).request.InfoHash())
	default:
		s.fatal("no message is named %s", kind)
	}
	to.act(func() { to.node.Receive(to.time(), source, b) })
}

// strange is how many messages an instance has not taken.
func (i *instance) strange() uint64 {
	if i.node == nil {
		return 0
	}
	return i.node.figures.Strange
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
		w.wantOne(w.live())
	case "settled":
		w.wantSettled()
	case "peers":
		for _, i := range w.live() {
			if strconv.Itoa(i.node.table.live) != args[0] {
				s.fatal("%d has %d peers", i.index+1, i.node.table.live)
			}
		}
	case "completed":
		row, _, _ := peerOf(&w.peer(s.number(args[0])).request)
		for _, i := range w.live() {
			if n := i.node.table.completed(row.InfoHash); strconv.FormatInt(n, 10) != args[1] {
				s.fatal("%d has counted %d downloads", i.index+1, n)
			}
		}
	case "answered", "unanswered":
		for _, n := range s.numbers(args) {
			if w.peer(n).waits == (what == "answered") {
				s.fatal("peer %d is not %s", n+1, what)
			}
		}
	case "sent", "unsent":
		s.expectSent(what, args)
	case "strange":
		n := s.number(args[0])
		if is := w.nodes[n].strange() - s.strange[n]; strconv.FormatUint(is, 10) != args[1] {
			s.fatal("%d messages were strange to %d", is, n+1)
		}
	default:
		s.expectState(w.nodes[s.number(what)], args)
	}
}

// live are the instances that run.
func (w *world) live() (list []*instance) {
	for _, i := range w.nodes {
		if i.up {
			list = append(list, i)
		}
	}
	return list
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
	is := "dead"
	if i.up {
		is = i.state()
	}
	if want := strings.Join(args, " "); is != want {
		s.fatal("%d is %s, want %s", i.index+1, is, want)
	}
}

func (i *instance) state() string {
	switch n := i.node; {
	case n.electing:
		return "electing"
	case n.role == Slave:
		for _, other := range i.w.nodes {
			if other.addr == n.master {
				return "slave " + strconv.Itoa(other.index+1)
			}
		}
	}
	return i.node.role.String()
}
