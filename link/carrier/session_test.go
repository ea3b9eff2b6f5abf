package carrier

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// couple is two sessions without a network between them.
type couple struct {
	a, b     *Link
	atA, atB *listener

	mu   sync.Mutex
	drop func(frame []byte) bool // of a's
}

func newCouple(p pace) *couple {
	c := &couple{atA: newListener(), atB: newListener(), drop: func([]byte) bool { return false }}
	hand := func(to **Link, from bool) func([]byte) error {
		return func(b []byte) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			if from && c.drop(b) {
				return nil
			}
			f, err := parseFrame(bytes.Clone(b))
			if err == nil {
				(*to).receive(&f)
			}
			return err
		}
	}
	nothing := func() {}
	c.a = newLink("b", "", 7, c.atA, p, way{publish: hand(&c.b, true), flush: nothing, hang: func(bool) {}, cut: nothing})
	c.b = newLink("a", "", 7, c.atB, p, way{publish: hand(&c.a, false), flush: nothing, hang: func(bool) {}, cut: nothing})
	c.a.start(nothing)
	c.b.start(nothing)
	return c
}

// behind returns the cost of what the other side has not taken in yet.
func (l *Link) behind() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accepted - l.released
}

func (c *couple) close() {
	c.a.Close("enough", 0)
	<-c.a.gone
	<-c.b.gone
}

func (c *couple) setDrop(drop func([]byte) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop = drop
}

func TestSendNeverBlocksAndSaysWhenTheOtherSideIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(usual)
		defer c.close()
		c.atB.gate = make(chan struct{})
		message := make([]byte, 64<<10)
		sent := 0
		for {
			err := c.a.Send(message)
			if errors.Is(err, ErrFull) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sent++
		}
		if cost := uint64(sent) * costOf(message); cost > Window || cost+costOf(message) <= Window {
			t.Errorf("%d messages fit", sent)
		}
		time.Sleep(time.Minute) // beats go on, and make no room
		synctest.Wait()
		if err := c.a.Send(message); !errors.Is(err, ErrFull) {
			t.Errorf("nothing was taken in, and Send returned %v", err)
		}
		close(c.atB.gate)
		time.Sleep(usual.beat)
		synctest.Wait()
		if err := c.a.Send(message); err != nil || c.a.behind() > 2*costOf(message) {
			t.Errorf("all was taken in, %v, and %d wait", err, c.a.behind())
		}
		if err := c.a.Send(make([]byte, MaxMessage+1)); !errors.Is(err, ErrTooLong) {
			t.Errorf("a message that is too long: %v", err)
		}
	})
}

func TestSilenceClosesASessionWithinTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(usual)
		time.Sleep(time.Hour) // beats alone keep it open
		synctest.Wait()
		if c.a.reason() != nil || c.b.reason() != nil {
			t.Fatal("an idle session was closed")
		}
		c.setDrop(func([]byte) bool { return true })
		began := time.Now()
		if why := <-c.atB.closed; !errors.Is(why, ErrSilent) {
			t.Error(why)
		}
		if took := time.Since(began); took < usual.silence-usual.beat || took > 10*time.Second {
			t.Errorf("noticed after %v", took)
		}
		if why := new(Bye); !errors.As(<-c.atA.closed, &why) {
			t.Errorf("the other side was not told, but for %v", why)
		}
	})
}

func TestLostFrameLosesItsMessageAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(usual)
		defer c.close()
		random := rand.New(rand.NewPCG(1, 2))
		lost := make(map[byte]bool)
		var now byte
		c.setDrop(func(b []byte) bool {
			if b[0] != data || random.IntN(20) > 0 {
				return false
			}
			lost[now] = true
			return true
		})
		for now = range byte(200) {
			message := bytes.Repeat([]byte{now}, 1+random.IntN(MaxMessage))
			for errors.Is(c.a.Send(message), ErrFull) {
				time.Sleep(usual.beat) // what was lost is made up for by a beat
			}
			synctest.Wait()
		}
		c.setDrop(func([]byte) bool { return false })
		if len(lost) < 30 {
			t.Fatalf("%d were lost", len(lost))
		}
		for n := range byte(200) {
			if lost[n] {
				continue
			}
			message := <-c.atB.received
			if len(message) == 0 || message[0] != n || message[len(message)-1] != n {
				t.Fatalf("message %d: %d bytes, of %d", n, len(message), message[0])
			}
		}
		time.Sleep(3 * usual.beat)
		synctest.Wait()
		if waiting := c.a.behind(); waiting != 0 {
			t.Errorf("%d bytes are waited for that were lost", waiting)
		}
	})
}

func TestMessagesOfAllSizesArriveWholeAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCouple(usual)
		defer c.close()
		for _, size := range []int{0, 1, pieceSize - 1, pieceSize, pieceSize + 1, 3 * pieceSize, MaxMessage} {
			sent := bytes.Repeat([]byte{byte(size)}, size)
			if err := c.a.Send(sent); err != nil {
				t.Fatal(err)
			}
			if got := <-c.atB.received; !bytes.Equal(got, sent) {
				t.Errorf("%d bytes became %d", size, len(got))
			}
		}
	})
}

func TestWhoBreaksTheRulesIsShutOutForAWhile(t *testing.T) {
	whole := frame{kind: data, session: 7, flags: flagFirst | flagLast, body: make([]byte, pieceSize)}
	for name, frames := range map[string]struct {
		frame frame
		times int
	}{
		"more than a window":           {whole, Window/pieceSize + 2},
		"empty messages without end":   {frame{kind: data, session: 7, flags: flagFirst | flagLast}, Window/FrameCost + 2},
		"beats without end":            {frame{kind: beat, session: 7}, mostControls + 1},
		"more taken in than was sent":  {frame{kind: beat, session: 7, position: 1}, 1},
		"a window that was never sent": {frame{kind: beat, session: 7, position: 1 << 63, sent: 1 << 63}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCouple(usual)
			c.atB.gate = make(chan struct{})
			for range frames.times {
				c.b.receive(&frames.frame)
			}
			var broken *breach
			if !errors.As(c.b.reason(), &broken) {
				t.Errorf("%s: %v", name, c.b.reason())
			}
			close(c.atB.gate)
			var farewell *Bye
			if why := <-c.atA.closed; !errors.As(why, &farewell) || farewell.Wait < time.Minute || !strings.Contains(farewell.Words, "update waggle") {
				t.Errorf("%s: the other side was told %v", name, why)
			}
			<-c.b.gone
			if held := len(c.b.inbox); held != 0 {
				t.Errorf("%s: %d frames are kept", name, held)
			}
		})
	}
}

func TestPieceThatIsNotOfOursIsNotWorthTheRoomForAMessage(t *testing.T) {
	var whole assembly
	short := frame{kind: data, flags: flagFirst, body: make([]byte, pieceSize-1)}
	if _, ok := whole.add(&short); ok || cap(whole.pieces) != 0 {
		t.Errorf("%d bytes are kept for it", cap(whole.pieces))
	}
	last := frame{kind: data, position: short.cost(), flags: flagLast, body: make([]byte, 1)}
	if message, ok := whole.add(&last); ok {
		t.Errorf("a message of %d bytes", len(message))
	}
}
