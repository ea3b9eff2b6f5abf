package carrier

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bareDesk is a desk without a NATS, and what it posts.
type bareDesk struct {
	*desk
	*listener
	log *logbook

	mu     sync.Mutex
	posted []frame // but beats
}

// took returns what was posted since the last call.
func (b *bareDesk) took() []frame {
	b.mu.Lock()
	defer b.mu.Unlock()
	took := b.posted
	b.posted = nil
	return took
}

func newBareDesk(t *testing.T) *bareDesk {
	t.Helper()
	book, err := OpenBook(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Allow("leaf", everything, time.Now()); err != nil {
		t.Fatal(err)
	}
	b := &bareDesk{listener: newListener(), log: new(logbook)}
	h := &Hub{
		o:    HubOptions{Book: book, Name: "hub", Handler: b.listener, Log: b.log.logger(), Now: time.Now, pace: usual},
		said: newSaid(time.Now, time.Minute), shown: newSaid(time.Now, time.Minute),
		desks: make(map[string]*desk), trouble: make(map[string]Status),
	}
	b.desk = &desk{hub: h, name: "leaf"}
	h.desks["leaf"] = b.desk
	b.connect(func(p []byte) error {
		f, err := parseFrame(p)
		b.mu.Lock()
		defer b.mu.Unlock()
		if err == nil && f.kind != beat {
			b.posted = append(b.posted, f)
		}
		return err
	}, func() {}, nil)
	return b
}

// knock knocks, and returns what kind of frame it got, 0: none, with what words.
func (b *bareDesk) knock(session, life uint64) (kind byte, words string) {
	b.took()
	b.knocked(newControl(knock, session, &control{Version: version, Life: life}), "")
	synctest.Wait()
	posted := b.took()
	if len(posted) == 0 {
		return 0, ""
	}
	last := &posted[len(posted)-1]
	return last.kind, last.control.Words
}

func TestLeafThatComesAndGoesAllTheTimeGetsASessionASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBareDesk(t)
		const seconds = 10
		began := time.Now()
		for session := uint64(1); time.Since(began) < seconds*time.Second; session++ {
			b.knock(session, session)
			b.arrived(newControl(bye, session, &control{Words: "enough"}), "")
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(b.opened); n < seconds-1 || n > seconds+1 {
			t.Errorf("%d sessions in %d s", n, seconds)
		}
		b.close("the end", 0)
	})
}

func TestLeafThatSendsWhatIsOfNoSessionIsShutOut(t *testing.T) {
	long := make([]byte, 4096)
	question := newControl(knock, 9, &control{Version: version, Words: strings.Repeat("x", 10_000)})
	for name, send := range map[string]func(*bareDesk){
		"rubbish":               func(b *bareDesk) { b.arrived(long, "") },
		"nothing":               func(b *bareDesk) { b.arrived(nil, "") },
		"another session":       func(b *bareDesk) { b.arrived(appendData(nil, 8, 0, 0, long), "") },
		"its session's rubbish": func(b *bareDesk) { b.arrived(append(appendHeader(nil, welcome, 7), long...), "") },
		"knocks":                func(b *bareDesk) { b.knocked(question, "") },
		"knocks that are none":  func(b *bareDesk) { b.knocked(long, "") },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBareDesk(t)
			if got, _ := b.knock(7, 1); got != welcome {
				t.Fatalf("%s: %d", name, got)
			}
			for range 100 { // as much of it as may come of a session that has just ended
				send(b)
				time.Sleep(10 * time.Millisecond)
			}
			synctest.Wait()
			if b.open() == nil {
				t.Fatalf("%s: the session was closed for a little", name)
			}
			for range 2*Window/FrameCost + 1 {
				send(b)
			}
			ended(t, b.closed, name)
			time.Sleep(time.Second)
			if got, words := b.knock(10, 1); got != refuse || !strings.Contains(words, "for a while: this tracker breaks the rules") {
				t.Errorf("%s: %d, %q", name, got, words)
			}
			time.Sleep(breachPause + time.Second)
			if got, _ := b.knock(11, 1); got != welcome {
				t.Errorf("%s: after a while: %d", name, got)
			}
			if says := b.log.String(); strings.Count(says, "it sends more than it may") < 1 || strings.Count(says, "\n") > 10 {
				t.Errorf("%s: the log says\n%s", name, says)
			}
			b.close("the end", 0)
		})
	}
}

func TestFloodIsToldToTheLeafByTheSessionThatItGave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBareDesk(t)
		stray := appendData(nil, 8, 0, 0, make([]byte, pieceSize))
		for range mostStrays/pieceSize + 1 {
			b.arrived(stray, "")
		}
		if posted := b.took(); len(posted) != 1 || posted[0].kind != refuse || posted[0].session != 8 || posted[0].control.wait() < time.Minute {
			t.Errorf("%+v", posted)
		}
		if s := b.hub.trouble["leaf"]; s.State != Refused || !strings.Contains(s.Why, "update it there") {
			t.Errorf("%+v", s)
		}
	})
}

func TestSessionThatHasEndedIsNotWelcomedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBareDesk(t)
		b.gate = make(chan struct{})
		if got, _ := b.knock(7, 1); got != welcome {
			t.Fatal(got)
		}
		if got, _ := b.knock(7, 1); got != welcome {
			t.Errorf("its welcome was lost: %d", got)
		}
		b.arrived(appendData(nil, 7, 0, flagFirst|flagLast, nil), "") // which keeps the handler busy
		synctest.Wait()
		b.link.Close("enough", 0)
		if got, _ := b.knock(7, 1); got == welcome {
			t.Error("a session that has ended was welcomed")
		}
		close(b.gate)
		synctest.Wait()
		time.Sleep(usual.beat)
		if got, _ := b.knock(8, 1); got != welcome {
			t.Errorf("the next one: %d", got)
		}
		b.close("the end", 0)
	})
}

func TestStrangersDoNotKeepLeavesOutOfTheLog(t *testing.T) {
	b := newBareDesk(t)
	for n := range 2 * mostSaid {
		b.hub.turnedAway("", strings.Repeat("x", n)+":1", "it is no waggle")
	}
	b.hub.turnedAway("leaf", "127.0.0.1:1", "its words")
	if says := b.log.String(); !strings.Contains(says, "its words") || strings.Count(says, "no waggle") != mostSaid {
		t.Errorf("%d lines of strangers", strings.Count(says, "no waggle"))
	}
}
