package carrier

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func TestReplayedAndDoubledDatagramsAreTakenOnce(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	var all [][]byte
	for range 3000 {
		all = append(all, sealed(t, a, everyone, message(24, 1)))
	}
	for _, datagram := range all {
		wantError(t, nil, open(b, begin, addrA, true, datagram))
		wantError(t, errReplayed, open(b, begin, addrA, true, datagram))
	}
	for _, datagram := range all {
		wantError(t, errReplayed, open(b, begin, addrA, true, datagram))
	}
	if got := b.Figures().Replayed; got != 6000 {
		t.Errorf("%d were counted", got)
	}
}

func TestDatagramsMayBeOvertakenByAThousandOthers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	for range 20 {
		all := make([][]byte, reordering)
		for i := range all {
			all[i] = sealed(t, a, addrB, message(24, 1))
		}
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, datagram := range all {
			wantError(t, nil, open(b, begin, addrA, false, datagram))
		}
	}
	late := sealed(t, a, addrB, message(24, 1))
	for range reordering - 1 {
		wantError(t, nil, open(b, begin, addrA, false, sealed(t, a, addrB, message(24, 1))))
	}
	last := sealed(t, a, addrB, message(24, 1))
	wantError(t, nil, open(b, begin, addrA, false, last))
	wantError(t, errReplayed, open(b, begin, addrA, false, late))
}

func TestOneSocketMayBeBehindTheOther(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	late := sealed(t, a, addrB, message(24, 1))
	for range 5 * reordering {
		wantError(t, nil, open(b, begin, addrA, true, sealed(t, a, everyone, message(24, 1))))
	}
	wantError(t, nil, open(b, begin, addrA, false, late))
}

func TestWindowIsThatOfASetOfCounters(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var w window
	w.begin(5000)
	seen, top := map[uint64]bool{}, uint64(5000)
	for range 200_000 {
		c := top - 1200 + rng.Uint64N(1300)
		if rng.IntN(5000) == 0 {
			c = top + rng.Uint64N(3000)
		}
		want := c > 5000 && !seen[c] && (c > top || top-c < reordering)
		if got := w.take(c); got != want {
			t.Fatalf("counter %d after %d: taken %v", c, top, got)
		}
		if want {
			seen[c], top = true, max(top, c)
		}
	}
}

func TestDatagramsOfAnEarlierLifeAreNotTakenBeforeOrAfterTheNext(t *testing.T) {
	old, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, old, b)
	recorded := sealed(t, old, everyone, message(24, 1))

	a := newSeal(t, addrA)
	meet(t, begin, a, b)
	wantError(t, errStrange, open(b, begin, addrA, true, recorded))

	fresh := newSeal(t, addrC) // has just been started
	_, challenge, err := fresh.Open(begin, addrA, true, recorded)
	wantError(t, errUnproven, err)
	_, answer, err := a.Open(begin, addrC, false, bytes.Clone(challenge)) // it is not the old one
	wantError(t, errForged, err)
	if answer != nil {
		t.Errorf("an answer for a boot of long ago: %x", answer)
	}
	wantError(t, errUnproven, open(fresh, begin, addrA, true, recorded))
}

func TestRecordedAnswerBringsNobodyBack(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	first := sealed(t, a, everyone, message(24, 1))
	_, challenge, _ := b.Open(begin, addrA, true, first)
	challenge = bytes.Clone(challenge)
	_, answer, _ := a.Open(begin, addrB, false, challenge)
	answer = bytes.Clone(answer)
	later := sealed(t, a, everyone, message(24, 2))
	wantError(t, nil, open(b, begin, addrA, false, answer))
	wantError(t, errReplayed, open(b, begin, addrA, true, first)) // was sent before the answer
	wantError(t, nil, open(b, begin, addrA, true, later))
	wantError(t, errReplayed, open(b, begin, addrA, false, answer))

	meet(t, begin, newSeal(t, addrA), b) // it has started anew
	wantError(t, errReplayed, open(b, begin, addrA, false, answer))
	wantError(t, errStrange, open(b, begin, addrA, true, later))

	after := begin.Add(2 * maxSilence)
	wantError(t, errForged, open(b, after, addrA, false, answer))
	wantError(t, errUnproven, open(b, after, addrA, true, later))

	again := newSeal(t, addrB) // whoever was challenged has started anew
	wantError(t, errForged, open(again, begin, addrA, false, answer))
	_, _, _ = a.Open(begin, addrB, false, challenge)
}

func TestAnswerIsGoodForSeconds(t *testing.T) {
	for wait, want := range map[time.Duration]error{0: nil, nonceAge: nil, 2*nonceAge - time.Millisecond: nil, 2*nonceAge + time.Millisecond: errForged} {
		a, b := newSeal(t, addrA), newSeal(t, addrB)
		_, challenge, _ := b.Open(begin, addrA, true, sealed(t, a, everyone, message(24, 1)))
		_, answer, _ := a.Open(begin, addrB, false, bytes.Clone(challenge))
		wantError(t, want, open(b, begin.Add(wait), addrA, false, answer))
	}
}

func TestWhoIsSilentForAMinuteIsForgottenAndProvenAnew(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	recorded := sealed(t, a, everyone, message(24, 1))
	wantError(t, nil, open(b, begin, addrA, true, recorded))
	after := begin.Add(maxSilence + 2*time.Second)
	meet(t, after, a, b)
	wantError(t, errReplayed, open(b, after, addrA, true, recorded))
	wantError(t, nil, open(b, after, addrA, true, sealed(t, a, everyone, message(24, 1))))
}

func TestWhoSpeaksIsNotForgotten(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	for now := begin; now.Before(begin.Add(3 * maxSilence)); now = now.Add(maxSilence / 2) {
		wantError(t, nil, open(b, now, addrA, true, sealed(t, a, everyone, message(24, 1))))
	}
}

func TestSenderHasOneAddress(t *testing.T) {
	a, b := newSeal(t, addrA, fixed(1)), newSeal(t, addrB)
	meet(t, begin, a, b)
	other := newSeal(t, addrC, fixed(1)) // has the secret, and the same boot id
	other.counter = 1000
	wantError(t, errStrange, open(b, begin, addrC, true, sealed(t, other, everyone, message(24, 1))))
}

func TestOwnDatagramsAreDropped(t *testing.T) {
	a := newSeal(t, addrA)
	wantError(t, errOwn, open(a, begin, addrA, true, sealed(t, a, everyone, message(24, 1))))
}

func TestFloodsOfChallengesAreBounded(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	var recorded [][]byte
	for range 1000 {
		recorded = append(recorded, sealed(t, newSeal(t, addrA), everyone, message(24, 1)))
	}
	for range 5 {
		for _, datagram := range recorded {
			_, _, _ = b.Open(begin, addrA, true, datagram)
		}
	}
	if f := b.Figures(); f.Challenges != maxChallenges || len(b.asked) != maxChallenges || f.Crowded == 0 {
		t.Errorf("%d challenges of 5,000: %+v", f.Challenges, f)
	}
	meet(t, begin.Add(roundAge), a, b)

	_, challenge, _ := newSeal(t, addrC).Open(begin, addrA, true, sealed(t, a, everyone, message(24, 1)))
	for range 5000 {
		_, _, _ = a.Open(begin, addrC, false, challenge)
	}
	if f := a.Figures(); f.Answers != maxAnswers+0 && f.Answers != maxAnswers+1 {
		t.Errorf("%d answers to 5,000 challenges", f.Answers)
	}
}

func TestKnownSendersAreBounded(t *testing.T) {
	b := newSeal(t, addrB)
	now := begin
	sender := func(i int) *Seal {
		return newSeal(t, netip.AddrPortFrom(addrA.Addr(), uint16(1+i)))
	}
	for i := range maxSenders {
		now = now.Add(10 * time.Millisecond)
		meet(t, now, sender(i), b)
	}
	more := sender(maxSenders)
	wantError(t, errCrowded, open(b, now, more.o.Address, true, sealed(t, more, everyone, message(24, 1))))
	if len(b.senders) != maxSenders {
		t.Errorf("%d are known", len(b.senders))
	}
	meet(t, now.Add(maxSilence+sweepAge), more, b)
	if len(b.senders) != 1 {
		t.Errorf("%d are known, want the others forgotten", len(b.senders))
	}
}
