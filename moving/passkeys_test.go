package moving_test

import (
	"strings"
	"testing"
	"time"

	"waggle/document/documenttest"
	"waggle/moving"
	"waggle/passkey"
)

func keyOf(c byte) string { return strings.Repeat(string(c), 32) }

// put writes passkeys with what was counted for them.
func put(t *testing.T, s passkey.Store, all ...passkey.Passkey) {
	t.Helper()
	for i := range all {
		if err := s.Apply(t.Context(), []passkey.Change{{Record: all[i].Record, Totals: &all[i].Totals}}); err != nil {
			t.Fatal(err)
		}
	}
}

func passkeysIn(t *testing.T, s passkey.Store) map[string]passkey.Passkey {
	t.Helper()
	all := map[string]passkey.Passkey{}
	for p, err := range s.Passkeys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all[p.ID] = p
	}
	return all
}

func TestPasskeysAreCopiedWithWhatWasCounted(t *testing.T) {
	from, to := kept(t), kept(t)
	from.Passkeys = passkey.NewMemory()
	shared, err := passkey.OpenDocuments(t.Context(), documenttest.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	to.Passkeys = shared
	at := time.Unix(1_800_000_000, 0).UTC()
	one := passkey.Passkey{
		Record: passkey.Record{ID: "0000000000000001", Key: keyOf('a'), Name: "anna", Note: "n", Created: at, Revoked: at},
		Totals: passkey.Totals{Uploaded: 1, Downloaded: 2, Implausible: 3, Seen: at},
	}
	two := passkey.Passkey{Record: passkey.Record{ID: "0000000000000002", Key: keyOf('b'), Name: "bert"}}
	put(t, from.Passkeys, one, two)
	taken := two
	taken.ID = "0000000000000003" // which has the secret there
	put(t, to.Passkeys, taken)
	r, err := moving.Copy(t.Context(), from, to, moving.Options{})
	if err != nil || r.Passkeys != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := passkeysIn(t, to.Passkeys); len(got) != 2 || got[one.ID] != one || got[taken.ID] != taken {
		t.Errorf("%+v", got)
	}
	newer := one
	newer.Name, newer.Uploaded = "another", 100
	put(t, to.Passkeys, newer)
	if r, err = moving.Copy(t.Context(), from, to, moving.Options{}); err != nil || r.Passkeys != 0 || passkeysIn(t, to.Passkeys)[one.ID] != newer {
		t.Errorf("again: %+v, %v, %+v", r, err, passkeysIn(t, to.Passkeys))
	}
	if r, err = moving.Copy(t.Context(), from, to, moving.Options{Overwrite: true}); err != nil || r.Passkeys != 1 || passkeysIn(t, to.Passkeys)[one.ID] != one {
		t.Errorf("overwritten: %+v, %v, %+v", r, err, passkeysIn(t, to.Passkeys))
	}
}

func TestTwoPasskeysWithOneSecretAreFound(t *testing.T) {
	k := kept(t)
	k.Passkeys = passkey.NewMemory()
	put(t, k.Passkeys, passkey.Passkey{Record: passkey.Record{ID: "0000000000000001", Key: keyOf('a')}}, passkey.Passkey{Record: passkey.Record{ID: "0000000000000002", Key: keyOf('a')}})
	var said []string
	r, err := moving.Check(t.Context(), k, func(what string) { said = append(said, what) }, nil)
	if err != nil || r.Passkeys != 2 || len(said) != 1 || !strings.Contains(said[0], "the same secret") || strings.Contains(said[0], keyOf('a')) {
		t.Errorf("%+v, %v, %q", r, err, said)
	}
}
