package sqlite

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waggle/bittorrent"
	"waggle/roster"
	"waggle/store/memory"
	"waggle/swarm"
)

// limitHistories sets how many histories the test draws, unless a flag says otherwise.
func limitHistories(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if was := checks.Value.String(); was == checks.DefValue {
		if err := flag.Set("rapid.checks", histories); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set("rapid.checks", was) })
	}
}

// TestRolesAndLeasesSurviveRestarts draws announces, silence, moves and restarts. After
// a close roles and leases are what they were, after a kill what they were when the
// journal was written. A kill that cuts off a flush after the peers and before the
// roles may leave others, but no more holders of leases.
func TestRolesAndLeasesSurviveRestarts(t *testing.T) {
	limitHistories(t)
	restarts, leases := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		levels, places := []string{"rack"}, []string{"r1", "r2", "r3", ""}
		if rapid.Bool().Draw(rt, "two levels") {
			levels, places = []string{"row", "rack"}, []string{"a/r1", "a/r2", "b/r1", "b/r2", ""}
		}
		r := newRollout(t, rapid.SampledFrom(swarm.Profiles).Draw(rt, "profile"), levels...)
		r.most = rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(rt, "budget")
		r.open()
		defer func() { r.close() }()
		join := func(rt *rapid.T) {
			left := rapid.SampledFrom([]int64{fileSize, fileSize, fileSize, fileSize / 2, 0}).Draw(rt, "left")
			torrent := rapid.SampledFrom([]byte{1, 1, 1, 2, 200}).Draw(rt, "torrent")
			r.announce(r.add(torrent, rapid.SampledFrom(places).Draw(rt, "place"), left), bittorrent.EventStarted)
		}
		for range rapid.IntRange(1, 16).Draw(rt, "hosts") {
			join(rt)
		}
		pick := func(rt *rapid.T) *client {
			return rapid.SampledFrom(r.hosts).Draw(rt, "host")
		}
		restart := func(rt *rapid.T, how string, down func()) {
			want := r.roles()
			down()
			restarts++
			for _, one := range want {
				leases += len(one.leases)
			}
			if how != "cut" {
				wantRoles(rt, r.roles(), want)
			}
			r.checkHolders(rt)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"join": join,
			"everybody": func(rt *rapid.T) {
				r.now = r.now.Add(10 * time.Second)
				for _, c := range r.hosts {
					if !c.gone {
						c.left = max(c.left-rapid.SampledFrom([]int64{0, 1, 1, fileSize}).Draw(rt, "bytes"), 0)
						r.announce(c, bittorrent.EventNone)
					}
				}
			},
			"again": func(rt *rapid.T) { r.announce(pick(rt), bittorrent.EventNone) },
			"leave": func(rt *rapid.T) { r.announce(pick(rt), bittorrent.EventStopped) },
			"move": func(rt *rapid.T) {
				c := pick(rt)
				c.place = rapid.SampledFrom(places).Draw(rt, "place")
				r.announce(c, bittorrent.EventNone)
			},
			"probe": func(rt *rapid.T) {
				c := pick(rt)
				_, _ = r.store.Probed(context.Background(), roster.Probe{InfoHash: c.hash, Addr: c.addr}, rapid.Bool().Draw(rt, "alive"))
			},
			"silence": func(rt *rapid.T) {
				r.now = r.now.Add(time.Duration(rapid.SampledFrom([]int{20, 50, 700}).Draw(rt, "seconds")) * time.Second)
				_, _ = r.store.Tend(context.Background(), r.now, 0)
			},
			"flush": func(*rapid.T) { flush(t, r.store) },
			"restart": func(rt *rapid.T) {
				switch how := rapid.SampledFrom([]string{"closed", "killed", "cut"}).Draw(rt, "how"); how {
				case "closed":
					restart(rt, how, func() { r.close(); r.open() })
				case "killed":
					flush(t, r.store)
					restart(rt, how, r.kill)
				default: // in the middle of a flush
					for i := range r.store.lanes {
						rows, _ := r.store.lanes[i].take()
						if err := r.store.writer.write(rows); err != nil {
							rt.Fatalf("%v", err)
						}
					}
					restart(rt, how, r.kill)
				}
			},
			"lose everything that waits": func(*rapid.T) { r.store.forgetLanes() },
		})
	})
	t.Logf("%d restarts with %d ends of leases", restarts, leases)
}

func TestRecordsAreTheSameAfterAKill(t *testing.T) {
	r := rackRollout(t)
	defer func() { r.close() }()
	c := r.hosts[1]
	for range 2 { // it is slow to announce, and can be connected to
		r.now = r.now.Add(100 * time.Second)
		r.announce(c, bittorrent.EventNone)
	}
	_, _ = r.store.Probed(context.Background(), roster.Probe{InfoHash: c.hash, Addr: c.addr}, true)
	flush(t, r.store)
	want := records(r.store, c.hash)
	if !slices.ContainsFunc(want, func(r roster.Record) bool { return r.Probed && r.Reach > 0 && r.Told > 0 && len(r.Parents) > 0 }) {
		t.Fatalf("there is nothing to be lost in %+v", want)
	}
	r.kill()
	if got := records(r.store, c.hash); !slices.EqualFunc(got, want, equalRecords) {
		t.Errorf("restored %+v, want %+v", got, want)
	}
}

// TestRolesAreWrittenWhileOthersAnnounce has the journal write all the time, now and
// then whole, while many announce, leave and come back.
func TestRolesAreWrittenWhileOthersAnnounce(t *testing.T) {
	r := newRollout(t, "strict", "rack")
	o := r.options()
	o.FlushEvery = time.Millisecond
	s, err := Open(context.Background(), r.path, o)
	if err != nil {
		t.Fatal(err)
	}
	r.store = s
	for n := range 40 {
		r.add(byte(1+n%2), fmt.Sprintf("r%d", n%4), int64(min(n/4, 1)*fileSize))
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for round := range 50 {
				for n := worker; n < len(r.hosts); n += 4 {
					if (n+round)%9 == 0 {
						r.announce(r.hosts[n], bittorrent.EventStopped)
					}
					r.announce(r.hosts[n], bittorrent.EventNone)
				}
				if worker == 0 && round%20 == 0 {
					s.forgetLanes()
				}
			}
		})
	}
	group.Wait()
	want := r.roles()
	if len(want) != len(r.hosts) {
		t.Fatalf("%d members, want %d", len(want), len(r.hosts))
	}
	r.close()
	r.open()
	defer func() { r.close() }()
	wantRoles(t, r.roles(), want)
}

// TestMembersWrittenWholeAreAllThereThoughOthersLeave has some leave, and some come,
// between the steps of reading a roster.
func TestMembersWrittenWholeAreAllThereThoughOthersLeave(t *testing.T) {
	r := newRollout(t, "strict", "rack")
	r.open()
	defer func() { r.close() }()
	for n := range 500 {
		r.announce(r.add(1, fmt.Sprintf("r%d", n%9), int64(min(n, 1)*fileSize)), bittorrent.EventStarted)
	}
	shown := map[netip.AddrPort]bool{}
	steps := 0
	r.store.Roles(r.hosts[0].hash, nil, func(records []roster.Record) {
		for _, record := range records {
			shown[record.Addr] = true
		}
		for n := range 20 {
			r.announce(r.hosts[(steps*83+n*37)%500], bittorrent.EventStopped)
		}
		r.announce(r.add(1, "r1", fileSize), bittorrent.EventStarted)
		steps++
	})
	for more := true; more; {
		_, more = r.store.RoleChanges(memory.ShardOf(r.hosts[0].hash), nil, func(_ bittorrent.InfoHash, records []roster.Record, _ bool) {
			for _, record := range records {
				shown[record.Addr] = !record.Gone
			}
		})
	}
	for _, c := range r.hosts {
		if shown[c.addr] == c.gone {
			t.Errorf("%v has left: %v, but is shown: %v", c.addr, c.gone, shown[c.addr])
		}
	}
	if steps < 5 {
		t.Errorf("only %d steps", steps)
	}
}

func TestRestartThatLosesNothingWritesNothing(t *testing.T) {
	r := rackRollout(t)
	r.close()
	r.open()
	defer func() { r.close() }()
	flush(t, r.store)
	var changes int
	if err := r.store.writer.conn.QueryRowContext(context.Background(), "SELECT total_changes()").Scan(&changes); err != nil || changes != 0 {
		t.Errorf("%d rows were written (%v), want none", changes, err)
	}
}

func TestMembersThatLeaveTakeTheirRolesAlong(t *testing.T) {
	r := rackRollout(t)
	defer func() { r.close() }()
	flush(t, r.store)
	if got := rowsOf(t, r.store, "members"); got != len(r.hosts) {
		t.Fatalf("%d members are in the file, want %d", got, len(r.hosts))
	}
	for i, c := range r.hosts {
		r.announce(c, bittorrent.EventStopped)
		if i == 4 {
			flush(t, r.store)
			if got := rowsOf(t, r.store, "members"); got != len(r.hosts)-5 {
				t.Errorf("%d members are in the file, want %d", got, len(r.hosts)-5)
			}
		}
	}
	flush(t, r.store) // the torrent is forgotten, and its roster with it
	if got := rowsOf(t, r.store, "members"); got != 0 {
		t.Errorf("%d members are in the file, want none", got)
	}
}

func TestMemberThatNobodyCanLocateAnyMoreHasNoRow(t *testing.T) {
	r := rackRollout(t)
	defer func() { r.close() }()
	flush(t, r.store)
	seeds := r.add(1, "", 0) // so that the one below needs no lease
	r.announce(seeds, bittorrent.EventStarted)
	last := r.hosts[len(r.hosts)-2]
	last.place, last.left = "", 0
	r.announce(last, bittorrent.EventNone)
	flush(t, r.store)
	var n int
	place := appendPlace(nil, &last.hash, last.addr)
	if err := r.store.writer.conn.QueryRowContext(context.Background(), "SELECT count(*) FROM members WHERE place = ? AND location IS NOT NULL", place).Scan(&n); err != nil || n != 0 {
		t.Errorf("it has %d rows with a location (%v), want none", n, err)
	}
}

// TestRosterThatOverflowsIsWrittenWhole has others come and go while nothing is
// written, until changes are not remembered any more.
func TestRosterThatOverflowsIsWrittenWhole(t *testing.T) {
	r := rackRollout(t)
	defer func() { r.close() }()
	flush(t, r.store)
	r.announce(r.hosts[3], bittorrent.EventStopped)
	for range 3000 {
		c := client{hash: r.hosts[0].hash, addr: netip.MustParseAddrPort("10.9.9.9:1"), place: "r3", left: 1}
		r.announce(&c, bittorrent.EventStarted)
		r.announce(&c, bittorrent.EventStopped)
	}
	r.hosts = slices.Delete(r.hosts, 3, 4)
	r.everybody()
	if got := r.waiting(); got > 2000 {
		t.Errorf("%d changes wait", got)
	}
	want := r.roles()
	r.close()
	r.open()
	if len(want) != 9 {
		t.Errorf("%d members, want 9", len(want))
	}
	wantRoles(t, r.roles(), want)
}

// waiting takes the changes that wait in memory, of those that are remembered.
func (r *rollout) waiting() (n int) {
	for more := true; more; {
		_, more = r.store.RoleChanges(memory.ShardOf(r.hosts[0].hash), nil, func(_ bittorrent.InfoHash, records []roster.Record, _ bool) { n += len(records) })
	}
	return n
}

func TestFailedTransactionOfRolesIsMadeUpFor(t *testing.T) {
	ctx := context.Background()
	r := rackRollout(t)
	defer func() { r.close() }()
	flush(t, r.store)
	if _, err := r.store.writer.conn.ExecContext(ctx, "CREATE TEMP TRIGGER fails BEFORE UPDATE ON main.members BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"); err != nil {
		t.Fatal(err)
	}
	r.announce(r.hosts[1], bittorrent.EventStopped) // others take over
	r.hosts = slices.Delete(r.hosts, 1, 2)
	r.everybody()
	err := r.store.flush()
	if err == nil {
		t.Fatal("the trigger should have failed the flush")
	}
	r.store.reportFailure(err)
	if _, err := r.store.writer.conn.ExecContext(ctx, "DROP TRIGGER fails"); err != nil {
		t.Fatal(err)
	}
	flush(t, r.store)
	want := r.roles()
	r.kill()
	wantRoles(t, r.roles(), want)
}
