package carrier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/cluster"
)

var (
	secret   = []byte("a secret of the cluster")
	begin    = time.Unix(1_700_000_000, 0)
	everyone netip.AddrPort
	addrA    = netip.MustParseAddrPort("10.0.0.1:1")
	addrB    = netip.MustParseAddrPort("10.0.0.2:2")
	addrC    = netip.MustParseAddrPort("[fd00::3]:3")
)

func newSeal(t testing.TB, addr netip.AddrPort, change ...func(*SealOptions)) *Seal {
	t.Helper()
	o := SealOptions{Secret: secret, Name: "test", Address: addr}
	for _, c := range change {
		c(&o)
	}
	s, err := NewSeal(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// message makes one of so many bytes.
func message(n int, fill byte) []byte {
	return append(make([]byte, 3), bytes.Repeat([]byte{fill}, n-3)...)
}

// sealed returns the one datagram of messages, a copy.
func sealed(t testing.TB, s *Seal, to netip.AddrPort, messages ...[]byte) []byte {
	t.Helper()
	list := s.Seal(to, messages...)
	if len(list) != 1 {
		t.Fatalf("%d datagrams, want one", len(list))
	}
	return bytes.Clone(list[0])
}

// meet has b know that a lives.
func meet(t testing.TB, now time.Time, a, b *Seal) {
	t.Helper()
	first := sealed(t, a, everyone, message(4, 1))
	_, challenge, err := b.Open(now, a.o.Address, true, first)
	if !errors.Is(err, errUnproven) || challenge == nil || len(challenge) > len(first) {
		t.Fatalf("the first datagram: a reply of %d bytes to %d, %v", len(challenge), len(first), err)
	}
	_, answer, err := a.Open(now, b.o.Address, false, bytes.Clone(challenge))
	if err != nil || answer == nil || len(answer) > len(challenge) {
		t.Fatalf("the challenge: a reply of %d bytes to %d, %v", len(answer), len(challenge), err)
	}
	if _, reply, err := b.Open(now, a.o.Address, false, bytes.Clone(answer)); err != nil || reply != nil {
		t.Fatalf("the answer: %v, %v", reply, err)
	}
}

func wantError(t testing.TB, want error, got error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}

func open(s *Seal, now time.Time, from netip.AddrPort, toAll bool, b []byte) error {
	_, _, err := s.Open(now, from, toAll, bytes.Clone(b))
	return err
}

func TestMessagesComeOutAsTheyWentIn(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	for _, want := range [][][]byte{
		{message(4, 1)},
		{message(24, 1)},
		{message(cluster.MaxMessage, 1)},
		{message(128, 1), message(36, 2), message(20, 3)},
		{message(20, 1), message(cluster.MaxMessage, 2), message(20, 3), message(20, 4)},
	} {
		for _, to := range []netip.AddrPort{everyone, addrB} {
			var got [][]byte
			for _, datagram := range a.Seal(to, want...) {
				if len(datagram) > MaxDatagram {
					t.Errorf("a datagram of %d bytes", len(datagram))
				}
				messages, _, err := b.Open(begin, addrA, !to.IsValid(), bytes.Clone(datagram))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, messages...)
			}
			if !equal(got, want) {
				t.Errorf("%d messages came out as %d others", len(want), len(got))
			}
		}
	}
}

func equal(a, b [][]byte) bool {
	return bytes.Equal(bytes.Join(a, []byte("|")), bytes.Join(b, []byte("|")))
}

func TestOneMessageGoesAsItIsAndATrailer(t *testing.T) {
	a := newSeal(t, addrA)
	m := message(24, 7)
	b := sealed(t, a, everyone, m)
	if len(b) != 24+32 || !bytes.Equal(b[:24], m) {
		t.Errorf("%x became %x", m, b)
	}
}

func TestMessagesThatFitIntoNoDatagramAreCounted(t *testing.T) {
	a := newSeal(t, addrA)
	list := a.Seal(everyone, message(cluster.MaxMessage+1, 1), []byte{1, 2, 3}, message(20, 1))
	if len(list) != 1 || a.Figures().Unfit != 2 {
		t.Errorf("%d datagrams, %+v", len(list), a.Figures())
	}
}

func TestForgedDatagramsAreNotTaken(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	good := sealed(t, a, addrB, message(24, 1))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		wantError(t, errForged, open(b, begin, addrA, false, bad))
	}
	wantError(t, errForged, open(b, begin, addrC, false, good)) // from elsewhere
	wantError(t, errForged, open(b, begin, addrA, true, good))  // to all
	if got := b.Figures().Forged; got != uint64(len(good))+2 {
		t.Errorf("%d were counted", got)
	}
	wantError(t, nil, open(b, begin, addrA, false, good))
}

func TestDatagramForAnotherIsNotTaken(t *testing.T) {
	a, b, c := newSeal(t, addrA), newSeal(t, addrB), newSeal(t, addrC)
	meet(t, begin, a, b)
	meet(t, begin, a, c)
	good := sealed(t, a, addrB, message(24, 1))
	wantError(t, errForged, open(c, begin, addrA, false, good))
	wantError(t, nil, open(b, begin, addrA, false, good))
}

func TestTruncatedAndLongDatagramsAreNotTaken(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	good := sealed(t, a, addrB, message(24, 1), message(20, 2))
	for n := range good {
		if open(b, begin, addrA, false, good[:n]) == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
	wantError(t, errMalformed, open(b, begin, addrA, false, make([]byte, MaxDatagram+1)))
	wantError(t, errMalformed, open(b, begin, addrA, false, nil))
}

func TestSealedNonsenseIsMalformed(t *testing.T) {
	a, b := newSeal(t, addrA), newSeal(t, addrB)
	meet(t, begin, a, b)
	for _, body := range [][]byte{
		{}, {0}, {0, 0}, {0, 3, 1, 2, 3}, {0, 4, 1, 2, 3}, {0, 4, 1, 2, 3, 4, 0}, {0xff, 0xff, 1, 2, 3, 4},
	} {
		datagram := a.trail(append(binary.BigEndian.AppendUint32(nil, markSeveral), body...), 0, addrB)
		wantError(t, errMalformed, open(b, begin, addrA, false, datagram))
	}
}

func TestAnotherSecretOrClusterIsNotBelieved(t *testing.T) {
	b := newSeal(t, addrB)
	for _, a := range []*Seal{
		newSeal(t, addrA, func(o *SealOptions) { o.Secret = []byte("a secret of others") }),
		newSeal(t, addrA, func(o *SealOptions) { o.Name = "other" }),
	} {
		wantError(t, errForged, open(b, begin, addrA, true, sealed(t, a, everyone, message(24, 1))))
	}
	if f := b.Figures(); f.Challenges != 0 || f.Forged != 2 {
		t.Errorf("%+v", f)
	}
}

func TestUnsealedDatagramsAreTheMessagesOfTheDocument(t *testing.T) {
	plain := func(o *SealOptions) { o.Secret, o.Unsealed = nil, true }
	a, b := newSeal(t, addrA, plain), newSeal(t, addrB, plain)
	want := [][]byte{message(24, 1), message(20, 2)}
	list := a.Seal(everyone, want...)
	if !equal(list, want) {
		t.Fatalf("%x became %x", want, list)
	}
	messages, reply, err := b.Open(begin, addrA, true, list[0])
	if err != nil || reply != nil || !equal(messages, want[:1]) {
		t.Errorf("%x, %x, %v", messages, reply, err)
	}
	wantError(t, errMalformed, open(b, begin, addrA, true, []byte{1}))
}

func TestSecretIsDemandedInWords(t *testing.T) {
	for want, o := range map[string]SealOptions{
		"set one":         {},
		"openssl rand":    {Secret: []byte("short")},
		"leave one of":    {Secret: secret, Unsealed: true},
		"no random bytes": {Secret: secret, Random: strings.NewReader("")},
	} {
		if _, err := NewSeal(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	a, b := newSeal(f, addrA, fixed(1)), newSeal(f, addrB, fixed(2))
	f.Add(sealed(f, a, addrB, message(24, 1)), []byte{0, 4, 1, 2, 3, 4})
	f.Add(sealed(f, a, everyone, message(24, 1), message(20, 1)), []byte{})
	_, challenge, _ := b.Open(begin, addrA, false, sealed(f, a, addrB, message(24, 1)))
	f.Add(bytes.Clone(challenge), []byte{0, 3, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b, body []byte) {
		from, at := newSeal(t, addrA, fixed(1)), newSeal(t, addrB, fixed(3))
		meet(t, begin, from, at)
		_, reply, err := at.Open(begin, addrA, false, bytes.Clone(b))
		if len(reply) > len(b) || err == nil {
			t.Fatalf("%x: a reply of %d bytes, %v", b, len(reply), err)
		}
		// What has the secret may still be nonsense.
		if len(body) > MaxDatagram {
			return
		}
		for _, mark := range []uint32{markSeveral, markChallenge, 0} {
			datagram := from.trail(append(binary.BigEndian.AppendUint32(nil, mark), body...), 0, addrB)
			messages, reply, err := at.Open(begin, addrA, false, datagram)
			total := 0
			for _, m := range messages {
				total += len(m)
				if len(m) < minMessage || len(m) > cluster.MaxMessage {
					t.Errorf("a message of %d bytes", len(m))
				}
			}
			if total > len(datagram) || err == nil && len(messages) == 0 || reply != nil {
				t.Errorf("%x: %d bytes of messages, %x, %v", datagram, total, reply, err)
			}
		}
	})
}

// fixed has a seal draw the same bytes each time.
func fixed(n byte) func(*SealOptions) {
	return func(o *SealOptions) { o.Random = bytes.NewReader(bytes.Repeat([]byte{n}, 64)) }
}

func BenchmarkSeal(b *testing.B) {
	a := newSeal(b, addrA)
	m := message(24, 1)
	b.ReportAllocs()
	for b.Loop() {
		a.Seal(addrB, m)
	}
}

func BenchmarkSealThree(b *testing.B) {
	a := newSeal(b, addrA)
	x, y, z := message(128, 1), message(36, 1), message(20, 1)
	b.ReportAllocs()
	for b.Loop() {
		a.Seal(addrB, x, y, z)
	}
}

func BenchmarkOpen(b *testing.B) {
	from, at := newSeal(b, addrA), newSeal(b, addrB)
	meet(b, begin, from, at)
	m := message(24, 1)
	batch := make([][]byte, 0, 1024)
	b.ReportAllocs()
	for done := 0; done < b.N; done += len(batch) {
		b.StopTimer()
		batch = batch[:0]
		for range min(1024, b.N-done) {
			batch = append(batch, sealed(b, from, addrB, m))
		}
		b.StartTimer()
		for _, datagram := range batch {
			if _, _, err := at.Open(begin, addrA, false, datagram); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkOpenForged(b *testing.B) {
	from, at := newSeal(b, addrA), newSeal(b, addrB)
	datagram := sealed(b, from, addrB, message(24, 1))
	datagram[0] ^= 1
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = at.Open(begin, addrA, false, datagram)
	}
}
