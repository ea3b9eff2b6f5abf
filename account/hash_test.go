package account

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var small = Cost{Memory: 64, Passes: 1, Threads: 1}

func TestHashIsThatOfTheReferenceImplementation(t *testing.T) {
	// github.com/P-H-C/phc-winner-argon2, src/test.c: argon2id, version 0x13.
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if got := hash("password", []byte("somesalt"), Cost{Memory: 65536, Passes: 2, Threads: 1}); got != reference {
		t.Errorf("%s, want %s", got, reference)
	}
	for secret, want := range map[string]bool{"password": true, "Password": false, "": false} {
		if got, err := matches(secret, reference); got != want || err != nil {
			t.Errorf("%q: %v, %v", secret, got, err)
		}
	}
}

func TestDefaultCostIsThatOfOWASP(t *testing.T) {
	if got := hash("x", make([]byte, saltSize), DefaultCost); !strings.HasPrefix(got, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(got)
	}
}

func TestHashThatWouldTakeAllMemoryIsRefused(t *testing.T) {
	good := hash("x", make([]byte, saltSize), small)
	for old, wrong := range map[string]string{
		"m=64": "m=1048577", "t=1": "t=65", "p=1": "p=65", "m=64,": "m=0,", "argon2id": "argon2i", "v=19": "v=16",
		",t=1": ",t=01", "m=64,t=1": "t=1,m=64", "$AAAAAAAAAAAAAAAAAAAAAA$": "$$", ",p=1": ",p=-1",
	} {
		if got, err := matches("x", strings.Replace(good, old, wrong, 1)); got || !errors.Is(err, errHash) {
			t.Errorf("%s in place of %s: %v, %v", wrong, old, got, err)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(hash("x", make([]byte, saltSize), small))
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=,t=,p=$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, encoded string) {
		c, salt, key, err := parseHash(encoded)
		if err != nil {
			return
		}
		if c.Memory > maxMemory || c.Passes > maxPasses || c.Threads > maxThreads || len(salt) > maxSize || len(key) > maxSize || c.Memory*c.Passes*uint32(c.Threads) == 0 {
			t.Errorf("%q has %+v, %d, %d", encoded, c, len(salt), len(key))
		}
		if again := phc(c, salt, key); again != encoded {
			t.Errorf("%q is %q", encoded, again)
		}
	})
}

func TestTwoHashesAreComputedAtATimeAndSomeWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher()
		running, finish := make(chan struct{}, 100), make(chan struct{})
		results := make(chan error, 100)
		start := func(ctx context.Context) {
			go func() {
				results <- h.run(ctx, func() {
					running <- struct{}{}
					<-finish
				})
			}()
			synctest.Wait()
		}
		for range hashesAtOnce + hashesWaiting - 1 {
			start(t.Context())
		}
		ctx, cancel := context.WithCancel(t.Context())
		start(ctx)
		if len(running) != hashesAtOnce || len(results) != 0 {
			t.Fatalf("%d run, %d have ended", len(running), len(results))
		}
		start(t.Context())
		if err := <-results; !errors.Is(err, ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("who goes: %v", err)
		}
		start(t.Context()) // has the place
		close(finish)
		for range hashesAtOnce + hashesWaiting {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestUnknownNameTakesAHashAndALimitedOneNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := Open(t.Context(), Options{Hash: small})
		if err != nil {
			t.Fatal(err)
		}
		logIn := func(ctx context.Context) error {
			r := httptest.NewRequestWithContext(ctx, "POST", "/login", nil)
			_, err := a.LogIn(httptest.NewRecorder(), r, "nobody", "a wrong password")
			return err
		}
		for range hashesAtOnce { // no hash can be computed now
			a.hasher.running <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- logIn(ctx) }()
		synctest.Wait()
		if len(ended) != 0 {
			t.Errorf("it took no hash: %v", <-ended)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for range wrongInARow { // what was not looked at did not count
			if wait := a.limits.take(a.o.Now(), a.limits.name("nobody")); wait != 0 {
				t.Fatalf("waits for %v", wait)
			}
		}
		if _, ok := errors.AsType[*LimitedError](logIn(t.Context())); !ok {
			t.Error("a limited one takes a hash")
		}
	})
}

func TestThoseWhoAreWrongTakeBoundedMemory(t *testing.T) {
	l := newLimits()
	for n := range 2 * maxRemembered {
		address := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		if wait := l.take(time.Unix(1_700_000_000, 0), l.address(address), l.name(strings.Repeat("x", n%7)+address.String())); wait != 0 {
			t.Fatal(wait)
		}
	}
	if l.addresses.Len() != maxRemembered || l.names.Len() != maxRemembered {
		t.Errorf("%d addresses, %d names", l.addresses.Len(), l.names.Len())
	}
}

func TestTokensAreAllDifferent(t *testing.T) {
	random := bytes.NewReader(append(bytes.Repeat([]byte{1}, 40), bytes.Repeat([]byte{2}, 40)...))
	id1, token1, err1 := makeToken(random)
	id2, token2, err2 := makeToken(random)
	if err1 != nil || err2 != nil || id1 == id2 || token1[24:] == token2[24:] {
		t.Errorf("%s %s, %v, %v", token1, token2, err1, err2)
	}
	for token, want := range map[string]string{token1: id1, token2: id2} {
		if got, ok := idOf(token); got != want || !ok {
			t.Errorf("the id of %s is %s, %v", token, got, ok)
		}
	}
	if _, _, err := makeToken(random); err == nil {
		t.Error("a token without chance")
	}
}

func FuzzToken(f *testing.F) {
	_, token, err := makeToken(bytes.NewReader(make([]byte, 40)))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{token, "waggle_", "waggle__", "waggle_zzzzzzzzzzzzzzzz_" + token[24:], strings.Repeat("_", 67), ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, ok := idOf(token)
		if ok && (len(id) != 16 || len(token) != 67 || !strings.HasPrefix(token, "waggle_"+id+"_")) {
			t.Errorf("the id of %q is %q", token, id)
		}
	})
}

// BenchmarkVerifiedToken is what a request with a token costs that was shown before.
func BenchmarkVerifiedToken(b *testing.B) {
	a, err := Open(b.Context(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	_, token, err := a.Create(b.Context(), New{Name: "anna", Role: Admin})
	if err != nil {
		b.Fatal(err)
	}
	from := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Token(b.Context(), from, token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHash is what a log-in costs.
func BenchmarkHash(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		hash("correct horse", make([]byte, saltSize), DefaultCost)
	}
}
