package carrier

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var addresses = []string{"hub.example.org:6970", "[2001:db8::1]:6970"}

func newInvitation(t testing.TB) (*Invitation, *Book) {
	t.Helper()
	book, err := OpenBook(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in, err := book.Invite("leaf-1", everything, addresses, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	in.Hub = "hub-1"
	return in, book
}

func TestInvitationSurvivesItsLine(t *testing.T) {
	in, _ := newInvitation(t)
	line := in.Line()
	if strings.ContainsAny(line, " \n'\"$") || !strings.HasPrefix(line, "waggle-link-1.") {
		t.Errorf("a line that a shell takes as one word was expected")
	}
	got, err := ParseInvitation("  " + line + "\n")
	if err != nil || !reflect.DeepEqual(got, in) {
		t.Fatalf("got %v, %v; want %v", got, err, in)
	}
}

func TestInvitationThatIsNotWholeIsRefusedWithoutQuotingIt(t *testing.T) {
	in, _ := newInvitation(t)
	line := in.Line()
	for n := range len(line) {
		if _, err := ParseInvitation(line[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were taken", n, len(line))
		} else if n > 60 && strings.Contains(err.Error(), line[20:n]) {
			t.Fatal("the error quotes the line")
		}
	}
	in.Hub = "the hub"
	if _, err := ParseInvitation(in.Line()); !errors.Is(err, ErrInvitation) {
		t.Errorf("a hub of a name that cannot be: %v", err)
	}
	if _, err := ParseInvitation("waggle-link-2." + line[len(linePrefix):]); err == nil || !strings.Contains(err.Error(), "update") {
		t.Errorf("an invitation of a newer version: %v", err)
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	in, book := newInvitation(t)
	leaf := filepath.Join(t.TempDir(), "link")
	if _, err := Join(leaf, in.Line()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{book.dir, leaf} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if stat, err := f.Info(); err != nil || f.Name() != "lock" && stat.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", f.Name(), stat.Mode(), err)
			}
			if strings.HasSuffix(f.Name(), ".new") {
				t.Errorf("%s was left", f.Name())
			}
		}
	}
}

func TestJoinedHubIsKeptUntilItIsPartedFrom(t *testing.T) {
	in, _ := newInvitation(t)
	dir := filepath.Join(t.TempDir(), "link")
	if got, err := Joined(dir); got != nil || err != nil {
		t.Fatalf("before joining: %v, %v", got, err)
	}
	if _, err := Join(dir, in.Line()); err != nil {
		t.Fatal(err)
	}
	if got, err := Joined(dir); err != nil || !reflect.DeepEqual(got, in) {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := Join(dir, in.Line()); err == nil || !strings.Contains(err.Error(), "part") {
		t.Errorf("joining twice: %v", err)
	}
	for range 2 {
		if err := Part(dir); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Joined(dir); got != nil || err != nil {
		t.Fatalf("after parting: %v, %v", got, err)
	}
}

func TestDamagedFilesAreRefusedWithTheRemedy(t *testing.T) {
	in, book := newInvitation(t)
	if _, err := Join(book.dir, in.Line()); err != nil {
		t.Fatal(err)
	}
	open := map[string]func() error{
		"hub.key":     func() error { _, err := openIdentity(book.dir); return err },
		"hub.json":    func() error { _, err := Joined(book.dir); return err },
		"leaves.json": func() error { _, err := OpenBook(book.dir); return err },
	}
	for name, open := range open {
		path := filepath.Join(book.dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{nil, whole[:len(whole)/2], []byte("{}}"), append([]byte("{\"strange\": 1,"), whole[1:]...)} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			err := open()
			if err == nil || !strings.Contains(err.Error(), path+" is damaged: restore it from a backup, or delete it") {
				t.Errorf("%s with %d bytes: %v", name, len(b), err)
			}
			if now, _ := os.ReadFile(path); string(now) != string(b) {
				t.Errorf("%s was written", name)
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); err != nil {
			t.Errorf("%s as it was: %v", name, err)
		}
	}
}

func TestBookWithANameTwiceIsDamaged(t *testing.T) {
	_, book := newInvitation(t)
	leaf, _ := book.Find("leaf-1")
	if err := writeJSON(book.path(), inBook{[]Invited{leaf, {Name: "a", Rights: everything}, leaf}}); err != nil {
		t.Fatal(err)
	}
	if err := book.Refresh(); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Error(err)
	}
	if err := writeJSON(book.path(), inBook{[]Invited{leaf, {Name: "a", Rights: everything}}}); err != nil {
		t.Fatal(err)
	}
	if err := book.Revoke("a"); err != nil {
		t.Errorf("a name that is not in its place: %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	in, book := newInvitation(t)
	var log logbook
	log.logger().Info("x", "in", in, "value", *in, "seed", in.seed)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "in", in, "seed", in.seed)
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %v %+v %#v", in, in, in, in, in, in.seed, *in, *in, *in) + string(b) + log.String()
	kept, err := os.ReadFile(book.path())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{shown, string(kept)} {
		if strings.Contains(s, in.seed.reveal()) || strings.Contains(s, fmt.Sprintf("%x", in.seed.reveal())) {
			t.Errorf("a secret is in %s", s)
		}
	}
}

func TestCertificateIsRenewedWithTheSameKeyBeforeItEnds(t *testing.T) {
	dir := t.TempDir()
	id, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := openIdentity(dir)
	if err != nil || !again.key.Equal(id.key) {
		t.Fatalf("the key was not kept: %v", err)
	}
	pin, err := id.pin()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	first, err := id.current(now)
	if err != nil {
		t.Fatal(err)
	}
	made := 1
	for last, day := first, 0; day < 365; day++ {
		then := now.AddDate(0, 0, day)
		c, err := id.current(then)
		if err != nil {
			t.Fatal(err)
		}
		for _, clock := range []time.Duration{-time.Hour, 0, time.Hour} {
			if err := verifyHub(pin, []*x509.Certificate{c.Leaf}, then.Add(clock)); err != nil {
				t.Fatalf("day %d: %v", day, err)
			}
		}
		if c != last {
			made++
		}
		last = c
	}
	if made < 5 || made > 8 {
		t.Errorf("%d certificates in a year", made)
	}
	if err := verifyHub(pin, []*x509.Certificate{first.Leaf}, now.AddDate(1, 0, 0)); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Errorf("an expired certificate: %v", err)
	}
	if err := verifyHub(pin, []*x509.Certificate{first.Leaf}, now.AddDate(-1, 0, 0)); err == nil || !strings.Contains(err.Error(), "not good yet") {
		t.Errorf("a certificate of the future: %v", err)
	}
}

func TestBookIsOneForAllProcesses(t *testing.T) {
	_, book := newInvitation(t)
	other, err := OpenBook(book.dir)
	if err != nil {
		t.Fatal(err)
	}
	const each = 20
	done := make(chan error, 2)
	for i, b := range []*Book{book, other} {
		go func() {
			for n := range each {
				if err := b.Allow(fmt.Sprintf("leaf-%d-%d", i, n), everything, time.Now()); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := wait(t, done, "the books"); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range []*Book{book, other} {
		if err := b.Refresh(); err != nil || len(b.All()) != 2*each+1 {
			t.Errorf("%d leaves, %v", len(b.All()), err)
		}
	}
	if err := other.Revoke("leaf-1"); err != nil {
		t.Fatal(err)
	}
	if err := book.Refresh(); err != nil {
		t.Fatal(err)
	}
	if _, found := book.Find("leaf-1"); found {
		t.Error("a leaf that was revoked is still there")
	}
	if err := book.Revoke("leaf-1"); err == nil || !strings.Contains(err.Error(), `no leaf named "leaf-1"`) {
		t.Errorf("revoking twice: %v", err)
	}
}

func TestRightsAreKeptAndCheckedByTheBook(t *testing.T) {
	_, book := newInvitation(t)
	rights := Rights{Receive: true, Torrents: []string{strings.Repeat("ab", 20)}, Share: ShareReceive, Peers: 1000, ChangesPerSecond: 50}
	if err := book.Change("leaf-1", rights); err != nil {
		t.Fatal(err)
	}
	again, err := OpenBook(book.dir)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, ok := again.Find("leaf-1"); !ok || !leaf.Rights.equal(&rights) {
		t.Errorf("got %+v", leaf)
	}
	for _, bad := range []Rights{{}, {Send: true, Share: "some"}, {Send: true, Peers: -1}, {Send: true, Torrents: []string{"xyz"}}, {Send: true, Torrents: make([]string, MaxTorrents+1)}} {
		if book.Change("leaf-1", bad) == nil || book.Allow("leaf-2", bad, time.Now()) == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	for _, name := range []string{"", "a.b", "a b", "*", ">", strings.Repeat("x", 65), "ä", "leaf-1"} {
		if _, err := book.Invite(name, everything, addresses, time.Now()); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	for _, bad := range [][]string{nil, {"x"}, {":1"}, {"x:0"}, {"x:65536"}, {"a b:1"}, {"http://x:1"}, {"[fe80::1%eth0]:1"}, make([]string, MaxAddresses+1)} {
		if _, err := book.Invite("leaf-3", everything, bad, time.Now()); err == nil {
			t.Errorf("the addresses %q were taken", bad)
		}
	}
}

func TestFileThatIsNotThereIsSaidToBe(t *testing.T) {
	if _, err := readFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
