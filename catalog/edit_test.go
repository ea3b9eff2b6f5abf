package catalog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/bittorrent"
	"waggle/torrent"
)

func TestUploadedTorrentIsActiveAndHandedOutAsItCame(t *testing.T) {
	clock := &clock{now: start}
	c := mustOpen(t, Options{Now: clock.Now})
	b := single("image.iso", 100)
	got := mustAdd(t, c, "image.torrent", b)
	want := Transfer{
		InfoHash: hashOf(t, b), Name: "image.iso", Size: 101, Version: torrent.V1,
		File: "image.torrent", Source: Upload, Registered: start,
	}
	if got != want {
		t.Errorf("\nhave %+v\nwant %+v", got, want)
	}
	if got := mustGet(t, c, want.InfoHash); got != want {
		t.Errorf("\nhave %+v\nwant %+v", got, want)
	}
	wantActive(t, c, b, true)
	if again, err := c.Torrent(context.Background(), want.InfoHash); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%q, %v", again, err)
	}
	for _, name := range []string{"image.iso", "image.torrent"} {
		if named := c.Named(name); len(named) != 1 || named[0] != want {
			t.Errorf("named %s: %+v", name, named)
		}
	}
}

func TestUploadThatIsRefusedStoresNothing(t *testing.T) {
	store := NewMemory(0)
	c := mustOpen(t, Options{Store: store, MaxTorrents: 2, MaxBytes: 1000})
	mustAdd(t, c, "a.torrent", single("a", 1))
	for _, tt := range []struct {
		file     string
		metainfo []byte
		want     error
		says     string
	}{
		{"../a.torrent", single("b", 2), ErrName, "separator"},
		{"b.torrent", []byte("d4:infodee"), torrent.ErrMalformed, "b.torrent"},
		{"b.torrent", nil, torrent.ErrMalformed, "b.torrent"},
		{"b.torrent", single(strings.Repeat("b", 1000), 2), ErrTooLarge, "1000"},
		{"b.torrent", single("a", 1), ErrDuplicate, "as a.torrent"},
	} {
		_, err := c.Add(context.Background(), tt.file, tt.metainfo)
		if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want %v with %q", tt.file, err, tt.want, tt.says)
		}
	}
	mustAdd(t, c, "b.torrent", single("b", 2))
	_, err := c.Add(context.Background(), "c.torrent", single("c", 3))
	wantError(t, err, ErrFull)
	if n := len(records(t, store)); n != 2 || c.Len() != 2 {
		t.Errorf("%d records in the store, %d in memory, want 2", n, c.Len())
	}
	h := hashOf(t, single("c", 3))
	_, err = store.Torrent(context.Background(), h)
	wantError(t, err, ErrUnknown)
}

func TestUnknownHashIsAnErrorEverywhere(t *testing.T) {
	c := mustOpen(t, Options{})
	h, ctx := bittorrent.InfoHash{1}, context.Background()
	_, get := c.Get(h)
	_, bytes := c.Torrent(ctx, h)
	_, activate := c.Activate(ctx, h)
	_, deactivate := c.Deactivate(ctx, h)
	for _, err := range []error{get, bytes, activate, deactivate, c.Delete(ctx, h)} {
		wantError(t, err, ErrUnknown)
	}
	c.Started(&h, start)
	c.Completed(&h, start)
	if c.Active(&h) {
		t.Error("active")
	}
}

func TestDeactivatingKeepsThePeriodAndActivatingBeginsAnother(t *testing.T) {
	clock := &clock{now: start}
	c := mustOpen(t, Options{Now: clock.Now})
	b := single("a", 1)
	first := mustAdd(t, c, "a.torrent", b)
	h := first.InfoHash
	first.FirstStarted = clock.step()
	c.Started(&h, first.FirstStarted)
	first.LastStarted = clock.step()
	c.Started(&h, first.LastStarted)
	first.FirstCompleted = clock.step()
	first.LastCompleted = first.FirstCompleted
	c.Completed(&h, first.FirstCompleted)
	first.Deactivated = clock.step()
	for range 2 { // the second changes nothing
		if got, err := c.Deactivate(context.Background(), h); err != nil || got != first {
			t.Errorf("%v\nhave %+v\nwant %+v", err, got, first)
		}
		clock.step()
	}
	wantActive(t, c, b, false)
	c.Started(&h, clock.step())
	if got := mustGet(t, c, h); got != first {
		t.Errorf("after a start of an inactive transfer\nhave %+v\nwant %+v", got, first)
	}

	second := first
	second.FirstStarted, second.LastStarted = time.Time{}, time.Time{}
	second.FirstCompleted, second.LastCompleted, second.Deactivated = time.Time{}, time.Time{}, time.Time{}
	for range 2 {
		if got, err := c.Activate(context.Background(), h); err != nil || got != second {
			t.Errorf("%v\nhave %+v\nwant %+v", err, got, second)
		}
	}
	wantActive(t, c, b, true)
	second.Deactivated = clock.step()
	if _, err := c.Deactivate(context.Background(), h); err != nil {
		t.Fatal(err)
	}
	if got := history(t, c); len(got) != 2 || got[0] != (Period{second}) || got[1] != (Period{first}) {
		t.Errorf("history %+v", got)
	}
}

func TestDeletedTorrentIsForgottenButForItsHistory(t *testing.T) {
	clock := &clock{now: start}
	store := NewMemory(0)
	c := mustOpen(t, Options{Store: store, Now: clock.Now})
	b := single("a", 1)
	transfer := mustAdd(t, c, "a.torrent", b)
	transfer.Deactivated = clock.step()
	if err := c.Delete(context.Background(), transfer.InfoHash); err != nil {
		t.Fatal(err)
	}
	wantActive(t, c, b, false)
	_, err := c.Get(transfer.InfoHash)
	wantError(t, err, ErrUnknown)
	_, err = store.Torrent(context.Background(), transfer.InfoHash)
	wantError(t, err, ErrUnknown)
	if got := history(t, c); len(got) != 1 || got[0] != (Period{transfer}) {
		t.Errorf("history %+v", got)
	}
	if named := c.Named("a"); len(named) > 0 || len(c.Named("a.torrent")) > 0 || c.Len() > 0 {
		t.Errorf("still listed: %+v", named)
	}
	mustAdd(t, c, "a.torrent", b)
}

func TestHybridIsOneTransferUnderBothHashes(t *testing.T) {
	c := mustOpen(t, Options{})
	b := hybrid("both")
	transfer := mustAdd(t, c, "both.torrent", b)
	hashes := transfer.InfoHashes()
	if len(hashes) != 2 || hashes[0] == hashes[1] {
		t.Fatalf("hashes %v", hashes)
	}
	c.Started(&hashes[0], start)
	c.Completed(&hashes[1], start.Add(time.Second))
	for _, h := range hashes {
		if !c.Active(&h) {
			t.Errorf("%v is not active", h)
		}
		if one := c.Identity(&h); one != hashes[0] {
			t.Errorf("%v is that of %v, want %v", h, one, hashes[0])
		}
		got := mustGet(t, c, h)
		if got.InfoHash != hashes[0] || !got.FirstStarted.Equal(start) || !got.LastCompleted.Equal(start.Add(time.Second)) {
			t.Errorf("by %v: %+v", h, got)
		}
		if again, err := c.Torrent(context.Background(), h); err != nil || !bytes.Equal(again, b) {
			t.Errorf("by %v: %v", h, err)
		}
	}
	_, err := c.Add(context.Background(), "again.torrent", b)
	wantError(t, err, ErrDuplicate)
	if c.Len() != 1 {
		t.Errorf("%d transfers", c.Len())
	}
	if _, err := c.Deactivate(context.Background(), hashes[1]); err != nil {
		t.Fatal(err)
	}
	if c.Active(&hashes[0]) || c.Active(&hashes[1]) {
		t.Error("still active")
	}
	if err := c.Delete(context.Background(), hashes[1]); err != nil {
		t.Fatal(err)
	}
	for _, h := range hashes {
		_, err := c.Get(h)
		wantError(t, err, ErrUnknown)
	}
}

func TestStoreThatFailsFailsTheEditAndChangesNothing(t *testing.T) {
	store := &broken{Store: NewMemory(0)}
	c := mustOpen(t, Options{Store: store})
	ctx := context.Background()
	active := mustAdd(t, c, "a.torrent", single("a", 1))
	inactive := mustAdd(t, c, "b.torrent", single("b", 2))
	inactive, err := c.Deactivate(ctx, inactive.InfoHash)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	store.fail(full)
	_, add := c.Add(ctx, "c.torrent", single("c", 3))
	_, activate := c.Activate(ctx, inactive.InfoHash)
	_, deactivate := c.Deactivate(ctx, active.InfoHash)
	for _, err := range []error{add, activate, deactivate, c.Delete(ctx, active.InfoHash)} {
		wantError(t, err, full)
	}
	page, _, err := c.List("", 0, nil)
	if err != nil || len(page) != 2 || page[0] != active || page[1] != inactive {
		t.Errorf("%v %+v", err, page)
	}
}

func TestMarksAreWrittenWithinASecondAndAgainAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Store: NewMemory(0)}
		c := mustOpen(t, Options{Store: store})
		transfer := mustAdd(t, c, "a.torrent", single("a", 1))
		stored := func() Record {
			synctest.Wait()
			return records(t, store)[transfer.InfoHash]
		}
		c.Started(&transfer.InfoHash, start)
		time.Sleep(time.Second)
		if r := stored(); !r.FirstStarted.Equal(start) || !r.LastStarted.Equal(start) {
			t.Errorf("after a second: %+v", r)
		}
		store.fail(errors.New("disk full"))
		c.Completed(&transfer.InfoHash, start.Add(time.Second))
		time.Sleep(3 * time.Second)
		if r := stored(); !r.FirstCompleted.IsZero() {
			t.Errorf("while the store fails: %+v", r)
		}
		store.fail(nil)
		time.Sleep(time.Second)
		if r := stored(); !r.FirstCompleted.Equal(start.Add(time.Second)) {
			t.Errorf("after the failure: %+v", r)
		}
	})
}

func TestRestartKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "catalog.db")
	clock := &clock{now: start.Add(123456789)}
	store := openSQLite(t, path)
	c := mustOpen(t, Options{Store: store, Now: clock.Now})
	active := mustAdd(t, c, "a.torrent", single("a", 1))
	both := mustAdd(t, c, "b.torrent", hybrid("b\xff"))
	c.Started(&active.InfoHash, clock.step())
	c.Completed(&both.InfoHash, clock.step())
	if _, err := c.Deactivate(context.Background(), both.InfoHash); err != nil {
		t.Fatal(err)
	}
	want, _, _ := c.List("", 0, nil)
	mustClose(t, c)
	mustClose(t, store)

	again := mustOpen(t, Options{Store: openSQLite(t, path), Now: clock.Now})
	got, _, err := again.List("", 0, nil)
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%v\nhave %+v\nwant %+v", err, got, want)
	}
	if got := history(t, again); len(got) != 1 || got[0].Transfer != want[1] {
		t.Errorf("history %+v", got)
	}
	if b, err := again.Torrent(context.Background(), both.InfoHash); err != nil || !bytes.Equal(b, hybrid("b\xff")) {
		t.Errorf("%q, %v", b, err)
	}
	wantActive(t, again, single("a", 1), true)
	wantActive(t, again, hybrid("b\xff"), false)
}

func TestEditsSurviveAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childPath+"="+path)
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, len("ready"))
	if _, err := io.ReadFull(out, ready); err != nil || string(ready) != "ready" {
		t.Errorf("%q, %v", ready, err)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait()
	c := mustOpen(t, Options{Store: openSQLite(t, path)})
	wantActive(t, c, single("first", 1), true)
	wantActive(t, c, single("second", 2), false)
	if got := history(t, c); len(got) != 1 || got[0].Name != "second" {
		t.Errorf("history %+v", got)
	}
}
