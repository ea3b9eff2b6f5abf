package account_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waggle/account"
	"waggle/document"
	"waggle/document/documenttest"
	"waggle/document/table"
)

// tracker opens accounts of its own on documents, which learn of others by Fresh alone
// unless options say otherwise.
func tracker(t *testing.T, store document.Store, o account.Options) *account.Accounts {
	t.Helper()
	o.Store = inDocuments(t, store)
	if o.Refresh == 0 {
		o.Refresh = -1
	}
	return open(t, o)
}

func fresh(t *testing.T, all ...*account.Accounts) {
	t.Helper()
	for _, a := range all {
		if err := a.Fresh(t.Context(), -1); err != nil {
			t.Fatal(err)
		}
	}
}

func session(t *testing.T, a *account.Accounts, cookie *http.Cookie) bool {
	t.Helper()
	_, ok := a.Session(with(t, cookie))
	return ok
}

func TestAccountMadeAtOneTrackerIsGoodAtAnotherWithinTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := documenttest.NewMemory()
		a, b := tracker(t, m, account.Options{Refresh: time.Second}), tracker(t, m, account.Options{Refresh: time.Second})
		pass := func() { time.Sleep(2 * time.Second); synctest.Wait() }
		token := create(t, a, "anna", account.Admin)
		createWith(t, b, "bert", account.Viewer)
		pass()
		if who, err := b.Token(t.Context(), here, token); err != nil || who.Name != "anna" || who.Role != account.Admin {
			t.Errorf("%+v, %v", who, err)
		}
		who, cookie, err := logIn(t, a, "192.0.2.1", "bert", password)
		if err != nil || !session(t, b, cookie) || who.Ended() {
			t.Fatalf("its session is good: %v", err)
		}
		if _, _, err := b.Change(t.Context(), "bert", account.Change{Role: account.Operator}); err != nil {
			t.Fatal(err)
		}
		pass()
		if session(t, a, cookie) || !who.Ended() {
			t.Error("the session goes on though the role has changed")
		}
		if err := b.Delete(t.Context(), "bert"); err != nil {
			t.Fatal(err)
		}
		pass()
		if _, _, err := logIn(t, a, "192.0.2.1", "bert", password); !errors.Is(err, account.ErrWrong) {
			t.Errorf("one who was removed: %v", err)
		}
		if a.Len() != 1 || b.Len() != 1 {
			t.Errorf("%d and %d accounts", a.Len(), b.Len())
		}
	})
}

func TestRenewedHashEndsNothing(t *testing.T) {
	m := documenttest.NewMemory()
	a := tracker(t, m, account.Options{})
	createWith(t, a, "anna", account.Admin)
	token := create(t, a, "bert", account.Viewer)
	who, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	dear := cheap
	dear.Passes = 2
	b := tracker(t, m, account.Options{Hash: dear})
	if _, _, err := logIn(t, b, "192.0.2.1", "anna", password); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Token(t.Context(), here, token); err != nil {
		t.Fatal(err)
	}
	fresh(t, a)
	if !session(t, a, cookie) || who.Ended() {
		t.Error("the session ended")
	}
	if _, err := a.Token(t.Context(), here, token); err != nil {
		t.Error(err)
	}
}

// TestLastAdminStaysWhateverTwoTrackersDo lets each remove one of two, the second at any
// step of the first.
func TestLastAdminStaysWhateverTwoTrackersDo(t *testing.T) {
	for step, finished := 1, false; !finished; step++ {
		m := documenttest.NewMemory()
		b := tracker(t, m, account.Options{})
		create(t, b, "anna", account.Admin)
		create(t, b, "bert", account.Admin)
		create(t, b, "carl", account.Viewer)
		requests := -1000
		var second error
		a := tracker(t, &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
			if requests++; requests == step {
				second = b.Delete(t.Context(), "bert")
			}
			return documenttest.None
		}}, account.Options{})
		requests = 0
		first := a.Delete(t.Context(), "anna")
		finished, requests = requests < step, 1000
		fresh(t, a, b)
		if !finished && (first == nil) == (second == nil) || finished && first != nil {
			t.Fatalf("at %d: %v, %v", step, first, second)
		}
		for _, err := range []error{first, second} {
			if err != nil && !errors.Is(err, account.ErrLastKey) {
				t.Fatalf("at %d: %v", step, err)
			}
		}
		if a.Len() != 2 || b.Len() != 2 {
			t.Fatalf("at %d: %d and %d are left", step, a.Len(), b.Len())
		}
	}
}

func TestOneNameIsGivenOnce(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := tracker(t, m, account.Options{}), tracker(t, m, account.Options{})
	token := create(t, a, "anna", account.Admin)
	if _, _, err := b.Create(t.Context(), account.New{Name: "anna", Role: account.Viewer}); !errors.Is(err, account.ErrExists) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := b.Token(t.Context(), here, token); err != nil {
		t.Errorf("the first one, which it knows now: %v", err)
	}
}

// TestTrackerThatDiesAtAnyStepHasChangedAnAccountOrNot kills one at each request.
func TestTrackerThatDiesAtAnyStepHasChangedAnAccountOrNot(t *testing.T) {
	for what, edit := range map[string]func(*account.Accounts) error{
		"create": func(a *account.Accounts) error {
			_, _, err := a.Create(t.Context(), account.New{Name: "new", Role: account.Viewer})
			return err
		},
		"change": func(a *account.Accounts) error {
			_, _, err := a.Change(t.Context(), "bert", account.Change{Role: account.Operator})
			return err
		},
		"delete": func(a *account.Accounts) error { return a.Delete(t.Context(), "bert") },
	} {
		for _, fault := range []documenttest.Fault{documenttest.Refused, documenttest.Lost} {
			for dies, finished := 1, false; !finished; dies++ {
				m := documenttest.NewMemory()
				other := tracker(t, m, account.Options{})
				create(t, other, "anna", account.Admin)
				create(t, other, "bert", account.Viewer)
				requests := -1000
				a := tracker(t, &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
					switch requests++; {
					case requests < dies:
						return documenttest.None
					case requests == dies:
						return fault
					}
					return documenttest.Refused
				}}, account.Options{})
				requests = 0
				err := edit(a)
				finished = requests < dies
				fresh(t, other)
				later := tracker(t, m, account.Options{})
				for who, x := range map[string]*account.Accounts{"another": other, "a later one": later} {
					_, unmade := x.Get("new")
					bert, gone := x.Get("bert")
					done := map[string]bool{"create": unmade == nil, "change": bert.Role == account.Operator, "delete": gone != nil}
					if err == nil && !done[what] || gone != nil && what != "delete" || x.Len() != later.Len() {
						t.Fatalf("%s dies at %d, %v: %s has %v, %d accounts", what, dies, err, who, done, x.Len())
					}
				}
				create(t, other, "carl", account.Viewer) // it goes on
			}
		}
	}
}

func TestAuditLogOfSeveralTrackersIsOne(t *testing.T) {
	m := documenttest.NewMemory()
	all := make([]*account.Accounts, 4)
	var work sync.WaitGroup
	for n := range all {
		all[n] = tracker(t, m, account.Options{})
	}
	const each = 25
	for n, a := range all {
		work.Go(func() {
			for i := range each {
				a.Note(t.Context(), account.Entry{What: fmt.Sprint(n), Target: fmt.Sprint(i)})
			}
		})
	}
	work.Wait()
	next := map[string]int{}
	entries := audit(t, all[3])
	for i, e := range entries {
		if e.Number != int64(len(entries)-i) {
			t.Errorf("entry %d has the number %d", i, e.Number)
		}
		if next[e.What]++; e.Target != fmt.Sprint(each-next[e.What]) {
			t.Errorf("of %s comes %s as %d", e.What, e.Target, next[e.What])
		}
	}
	if len(entries) != 4*each {
		t.Errorf("%d entries", len(entries))
	}
}

func TestLatestEntriesInDocumentsAreKept(t *testing.T) {
	s := account.FewEntries(t, documenttest.NewMemory(), 3)
	for n := range 10 {
		if err := s.Append(t.Context(), account.Entry{What: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	if page, more, err := s.Entries(t.Context(), 0, 10); err != nil || more || len(page) != 3 || page[0].What != "9" || page[2].What != "7" {
		t.Errorf("%+v, %v, %v", page, more, err)
	}
}

// TestEntryTakesTheRequestsOfTheDecision counts what docs/decisions/0023-documents.md says.
func TestEntryTakesTheRequestsOfTheDecision(t *testing.T) {
	counts := map[string]int{}
	m := documenttest.NewMemory()
	a, b := tracker(t, m, account.Options{}), tracker(t, &documenttest.Faulty{Store: m, Fault: func(verb, _ string) documenttest.Fault {
		counts[verb]++
		return documenttest.None
	}}, account.Options{})
	b.Note(t.Context(), account.Entry{})
	for others, want := range map[int]string{0: "get 1, put 3", 100: "get 2, put 4"} {
		for range others {
			a.Note(t.Context(), account.Entry{})
		}
		clear(counts)
		b.Note(t.Context(), account.Entry{})
		if got := fmt.Sprintf("get %d, put %d", counts["get"], counts["put"]); got != want || len(counts) != 2 {
			t.Errorf("after %d of others: %v, want %s", others, counts, want)
		}
	}
}

func TestWhoIsFarBehindReadsAllAccounts(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := tracker(t, m, account.Options{}), tracker(t, m, account.Options{})
	create(t, a, "anna", account.Admin)
	create(t, a, "bert", account.Viewer)
	fresh(t, b)
	if err := a.Delete(t.Context(), "bert"); err != nil {
		t.Fatal(err)
	}
	for n := range 1100 {
		if _, _, err := a.Change(t.Context(), "anna", account.Change{Expires: new(time.Time)}); err != nil {
			t.Fatal(n, err)
		}
	}
	token := create(t, a, "carl", account.Operator)
	fresh(t, b)
	if who, err := b.Token(t.Context(), here, token); err != nil || who.Role != account.Operator || b.Len() != 2 {
		t.Errorf("%+v, %v, %d accounts", who, err, b.Len())
	}
}

func TestWhatIsKnownGoesOnWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := documenttest.NewMemory()
		var mu sync.Mutex
		away := false
		store := &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if away {
				return documenttest.Refused
			}
			return documenttest.None
		}}
		turn := func(off bool) { mu.Lock(); away = off; mu.Unlock() }
		var log bytes.Buffer
		a := tracker(t, store, account.Options{Refresh: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))})
		createWith(t, a, "anna", account.Admin)
		token := create(t, a, "bert", account.Viewer)
		_, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
		if err != nil {
			t.Fatal(err)
		}
		turn(true)
		time.Sleep(time.Minute)
		if _, err := a.Token(t.Context(), here, token); err != nil || !session(t, a, cookie) {
			t.Errorf("what was known is not good any more: %v", err)
		}
		if _, cookie, err := logIn(t, a, "192.0.2.1", "anna", password); !errors.Is(err, documenttest.ErrFault) || cookie != nil {
			t.Errorf("a log-in: %v", err)
		}
		if _, _, err := a.Create(t.Context(), account.New{Name: "carl", Role: account.Viewer}); !errors.Is(err, documenttest.ErrFault) {
			t.Errorf("a new account: %v", err)
		}
		turn(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		create(t, a, "carl", account.Viewer)
		if got := log.String(); strings.Count(got, "stay as they are") != 1 || strings.Count(got, "up to date again") != 1 {
			t.Errorf("log: %s", got)
		}
	})
}

func TestDocumentsHaveNothingToLogInWith(t *testing.T) {
	m := documenttest.NewMemory()
	a := tracker(t, m, account.Options{})
	createWith(t, a, "anna", account.Admin)
	token := create(t, a, "bert", account.Viewer)
	who, cookie, err := logIn(t, a, "192.0.2.1", "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	for d, err := range m.List(context.Background(), "", "", true) {
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{password, token, token[24:], cookie.Value, cookie.Value[strings.Index(cookie.Value, ".")+1:], who.CSRF} {
			if bytes.Contains(d.Value, []byte(secret)) {
				t.Errorf("%s has a secret: %s", d.Name, d.Value)
			}
		}
	}
}

func TestClockThatIsPutBackHidesNothingThatOthersChange(t *testing.T) {
	m := documenttest.NewMemory()
	clock := newClock()
	a, b := tracker(t, m, account.Options{}), tracker(t, m, account.Options{Now: clock.Now})
	for n, ago := range []time.Duration{0, -1, time.Second} {
		clock.pass(-time.Hour)
		create(t, a, fmt.Sprint(n), account.Admin)
		if err := b.Fresh(t.Context(), ago); err != nil || b.Len() != n+1 {
			t.Errorf("%v ago: %d accounts, %v", ago, b.Len(), err)
		}
	}
}

func TestAccountThatIsDamagedHidesNobodyElseWhoWasRemoved(t *testing.T) {
	m := documenttest.NewMemory()
	a, b := tracker(t, m, account.Options{}), tracker(t, m, account.Options{})
	create(t, a, "anna", account.Admin)
	token := create(t, a, "bert", account.Viewer)
	fresh(t, b)
	if err := a.Delete(t.Context(), "bert"); err != nil {
		t.Fatal(err)
	}
	damaged, err := table.Open(t.Context(), m, table.Options{Prefix: "accounts"})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range damaged.Load(t.Context()) { // no rows are committed before that
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(c table.Change) {
		t.Helper()
		if err := damaged.Commit(t.Context(), table.Batch{Changes: []table.Change{c}}); err != nil {
			t.Fatal(err)
		}
	}
	write(table.Change{Key: "none", Value: []byte(`{"name":"none"}`)})
	for range 2 { // it is not over by itself
		if err := b.Fresh(t.Context(), -1); !errors.Is(err, table.ErrDamaged) {
			t.Errorf("%v", err)
		}
	}
	write(table.Change{Key: "none", Delete: true})
	fresh(t, b)
	if _, err := b.Token(t.Context(), here, token); !errors.Is(err, account.ErrWrong) {
		t.Errorf("one who was removed: %v", err)
	}
}
