package account_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/account"
)

func logger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// wrong logs in with a wrong password, and returns for how long it is to wait.
func wrong(t *testing.T, a *account.Accounts, from, name string) time.Duration {
	t.Helper()
	_, _, err := logIn(t, a, from, name, "a wrong password")
	if limited, ok := errors.AsType[*account.LimitedError](err); ok {
		return limited.After
	}
	if !errors.Is(err, account.ErrWrong) {
		t.Errorf("%s from %s: %v", name, from, err)
	}
	return 0
}

func TestWhoWasWrongTenTimesWaits(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	createWith(t, a, "anna", account.Admin)
	createWith(t, a, "bert", account.Admin)
	for range 10 {
		if after := wrong(t, a, "192.0.2.1", "anna"); after != 0 {
			t.Fatalf("waits for %v too early", after)
		}
	}
	for from, name := range map[string]string{"192.0.2.1": "bert", "192.0.2.2": "anna"} {
		_, _, err := logIn(t, a, from, name, password)
		limited, ok := errors.AsType[*account.LimitedError](err)
		if !ok || limited.After != 6*time.Second || limited.Seconds() != 6 || !strings.Contains(err.Error(), "6 s") {
			t.Errorf("%s from %s: %v", name, from, err)
		}
	}
	if _, _, err := logIn(t, a, "192.0.2.2", "bert", password); err != nil {
		t.Errorf("another name from another address: %v", err)
	}
	clock.pass(6*time.Second - time.Nanosecond)
	if after := wrong(t, a, "192.0.2.1", "anna"); after != 1 {
		t.Errorf("waits for %v", after)
	}
	clock.pass(time.Nanosecond)
	if _, _, err := logIn(t, a, "192.0.2.1", "anna", password); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	if after := wrong(t, a, "192.0.2.1", "anna"); after != 0 {
		t.Errorf("what was right counts: %v", after)
	}
	if after := wrong(t, a, "192.0.2.1", "anna"); after == 0 {
		t.Error("what was right forgives all")
	}
	clock.pass(time.Minute)
	for range 10 {
		if after := wrong(t, a, "192.0.2.1", "anna"); after != 0 {
			t.Fatalf("after a minute waits for %v", after)
		}
	}
}

func TestHostHasItsNetworkOf64BitsForItself(t *testing.T) {
	a := open(t, account.Options{Now: newClock().Now})
	for n := range 10 {
		if after := wrong(t, a, fmt.Sprintf("2001:db8:1:2::%x", n+1), fmt.Sprint("name ", n)); after != 0 {
			t.Fatalf("waits for %v too early", after)
		}
	}
	if after := wrong(t, a, "2001:db8:1:2:ffff::1", "another"); after == 0 {
		t.Error("another address of the network does not wait")
	}
	if after := wrong(t, a, "2001:db8:1:3::1", "another"); after != 0 {
		t.Errorf("another network waits for %v", after)
	}
}

func TestWrongTokensOfAnAddressKeepOutNoRightOne(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	token := create(t, a, "anna", account.Admin)
	fresh := create(t, a, "bert", account.Admin)
	if _, err := a.Token(t.Context(), here, token); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := range 30 {
		_, err := a.Token(t.Context(), here, fmt.Sprint("stale ", n))
		if _, ok := errors.AsType[*account.LimitedError](err); ok {
			refused++
		} else if !errors.Is(err, account.ErrWrong) {
			t.Fatal(err)
		}
	}
	if refused != 20 {
		t.Errorf("%d of 30 were refused", refused)
	}
	for _, right := range []string{token, fresh} {
		if _, err := a.Token(t.Context(), here, right); err != nil {
			t.Errorf("a right one: %v", err)
		}
	}
	if after := wrong(t, a, here.String(), "anna"); after == 0 {
		t.Error("wrong tokens do not count against log-ins")
	}
}

func TestTokenWithTheRightIdIsNotGuessed(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	token := create(t, a, "anna", account.Admin)
	limited := 0
	for n := range 30 {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
		_, err := a.Token(t.Context(), from, token[:24]+fmt.Sprintf("%043d", n))
		if _, ok := errors.AsType[*account.LimitedError](err); ok {
			limited++
		} else if !errors.Is(err, account.ErrWrong) {
			t.Fatal(err)
		}
	}
	if limited != 20 {
		t.Errorf("%d of 30 were refused", limited)
	}
	clock.pass(time.Minute)
	if _, err := a.Token(t.Context(), here, token); err != nil {
		t.Error(err)
	}
}

func TestExpiredAccountTakesFewHashes(t *testing.T) {
	clock := newClock()
	a := open(t, account.Options{Now: clock.Now})
	create(t, a, "admin", account.Admin)
	_, token, err := a.Create(t.Context(), account.New{Name: "ci", Role: account.Viewer, Expires: clock.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	clock.pass(time.Hour)
	limited := 0
	for range 30 {
		_, _, err := logIn(t, a, "192.0.2.1", "ci", token)
		if _, ok := errors.AsType[*account.LimitedError](err); ok {
			limited++
		} else if !errors.Is(err, account.ErrExpired) {
			t.Fatal(err)
		}
	}
	if limited != 20 {
		t.Errorf("%d of 30 log-ins were refused", limited)
	}
	for range 30 {
		if _, err := a.Token(t.Context(), here, token); !errors.Is(err, account.ErrExpired) {
			t.Fatal(err)
		}
	}
}

func TestManyMayShowATokenAtOnceThatWasNotVerifiedYet(t *testing.T) {
	a := open(t, account.Options{})
	token := create(t, a, "anna", account.Admin)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := a.Token(t.Context(), here, token); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestHashIsRenewedWhenTheCostRises(t *testing.T) {
	store := account.NewMemory()
	before := open(t, account.Options{Store: store})
	createWith(t, before, "anna", account.Admin)
	token := create(t, before, "bert", account.Viewer)
	dear := account.Cost{Memory: 128, Passes: 2, Threads: 2}
	after := open(t, account.Options{Store: store, Hash: dear})
	if _, _, err := logIn(t, after, "192.0.2.1", "anna", "a wrong password"); !errors.Is(err, account.ErrWrong) {
		t.Error(err)
	}
	hashes := func() (list []string) {
		records, _ := store.Accounts(t.Context())
		for _, r := range records {
			list = append(list, r.Hash)
		}
		return list
	}
	if got := strings.Count(fmt.Sprint(hashes()), "m=64,t=1,p=1"); got != 2 {
		t.Errorf("%d hashes at the old cost after a wrong password", got)
	}
	who, cookie, err := logIn(t, after, "192.0.2.1", "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.Token(t.Context(), here, token); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(fmt.Sprint(hashes()), "m=128,t=2,p=2"); got != 2 {
		t.Errorf("%d hashes at the new cost: %q", got, hashes())
	}
	if _, ok := after.Session(with(t, cookie)); !ok || who.Ended() {
		t.Error("renewing ended the session")
	}
	if _, _, err := logIn(t, after, "192.0.2.1", "anna", password); err != nil {
		t.Errorf("with the new hash: %v", err)
	}
}

func TestAccountsMayBeUsedConcurrently(t *testing.T) {
	a := open(t, account.Options{})
	create(t, a, "admin", account.Admin)
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			name := fmt.Sprint("worker ", n)
			for range 20 {
				_, token, err := a.Create(t.Context(), account.New{Name: name, Role: account.Viewer})
				if err != nil {
					t.Error(err)
					return
				}
				who, err := a.Token(t.Context(), here, token)
				if err != nil || who.Ended() {
					t.Error(err)
				}
				if _, _, err := a.Change(t.Context(), name, account.Change{Role: account.Operator}); err != nil || !who.Ended() {
					t.Error(err)
				}
				a.List("", 3)
				if err := a.Delete(t.Context(), name); err != nil {
					t.Error(err)
				}
				if _, err := a.Token(t.Context(), netip.AddrFrom4([4]byte{10, byte(n)}), token); err == nil {
					t.Error("a deleted account lets in")
				}
			}
		})
	}
	all.Wait()
	if a.Len() != 1 {
		t.Errorf("%d accounts are left", a.Len())
	}
}
