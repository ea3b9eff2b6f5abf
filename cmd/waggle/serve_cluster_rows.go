//go:build !function

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waggle/bittorrent"
	"waggle/cluster"
	"waggle/swarm"
	"waggle/wholefile"
)

// clusterRows reads what this instance knows, and the counts of completed downloads by master.
// Those of a tracker that was in no cluster before are its own: they are imported once.
func (s *service) clusterRows(ctx context.Context, restorer swarm.Restorer) ([]cluster.Row, error) {
	if path := s.config.Store.Path(); path != "" {
		s.counts.path = filepath.Join(filepath.Dir(path), clusterFile)
	}
	rows, known, err := s.counts.read()
	if err != nil {
		return nil, err
	}
	for h, n := range sums(rows) {
		if err := restorer.Restore(ctx, swarm.Snapshot{InfoHash: h, Downloaded: n}); err != nil && !errors.Is(err, swarm.ErrFull) {
			return nil, err
		}
	}
	var imported bittorrent.PeerID
	_, _ = rand.Read(imported[:]) // never fails
	now := time.Now().UnixMicro()
	for torrent, err := range s.store.Swarms(ctx) {
		if err != nil {
			return nil, err
		}
		if torrent.Downloaded > 0 && !known {
			rows = append(rows, cluster.Row{
				InfoHash: torrent.InfoHash, Count: true, PeerID: imported, Left: int64(torrent.Downloaded), First: now, Stamp: now,
			})
		}
		for i := range torrent.Peers {
			rows = append(rows, rowOf(torrent.InfoHash, &torrent.Peers[i]))
		}
	}
	return rows, s.counts.write(rows) // those that were imported have their ID from now on
}

// rowOf returns a peer as clusters have it.
func rowOf(h bittorrent.InfoHash, p *swarm.Peer) cluster.Row {
	r := cluster.Row{
		InfoHash: h, Addr: netip.AddrPortFrom(p.Addr.Addr().Unmap(), p.Addr.Port()), PeerID: p.ID,
		Left: p.Left, Downloaded: p.Downloaded, Uploaded: p.Uploaded, Key: p.Key, Paused: p.Kind == swarm.PartialSeed,
		First: p.First.UnixMicro(), Stamp: p.Last.UnixMicro(),
	}
	switch { // a store without details has the kind alone
	case p.Kind == swarm.Seeder:
		r.Left = 0
	case r.Left == 0:
		r.Left = 1
	}
	if p.First.IsZero() || r.First > r.Stamp {
		r.First = r.Stamp
	}
	return r
}

// clusterCounts puts counts into a store, which never lowers them.
type clusterCounts struct{ store swarm.Restorer }

func (c clusterCounts) RestoreDownloaded(h bittorrent.InfoHash, n uint32) bool {
	return c.store.Restore(context.Background(), swarm.Snapshot{InfoHash: h, Downloaded: n}) == nil
}

// sums adds up the counts of all masters.
func sums(rows []cluster.Row) map[bittorrent.InfoHash]uint32 {
	all := map[bittorrent.InfoHash]uint32{}
	for i := range rows {
		if r := &rows[i]; r.Count {
			all[r.InfoHash] = uint32(min(int64(all[r.InfoHash])+r.Left, math.MaxUint32))
		}
	}
	return all
}

// How often the counts are written, and how often it is looked whether something is wrong.
const (
	countsEvery   = time.Minute
	troublesEvery = time.Second
)

// keepCluster writes the counts of the cluster down, and tells of what is wrong in it, until ctx
// ends.
func (s *service) keepCluster(ctx context.Context) {
	if s.instance == nil {
		return
	}
	counts, looks := time.NewTicker(countsEvery), time.NewTicker(troublesEvery)
	defer counts.Stop()
	defer looks.Stop()
	var told clusterWatch
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-looks.C:
			if !s.instance.Ended() { // then much goes unheard
				told.look(now, s.clusterMoment(), s.log)
			}
		case <-counts.C:
			err := s.keepCounts(ctx)
			if err != nil && !failed && ctx.Err() == nil { // once, until it goes again
				s.log.Error("the completed downloads of the cluster cannot be written down: after a restart they may be less", "error", err)
			}
			failed = err != nil
		}
	}
}

func (s *service) keepCounts(ctx context.Context) error {
	rows, err := s.instance.Counts(ctx)
	if err != nil {
		return err
	}
	return s.counts.write(rows)
}

// countsFile has the counts of completed downloads from one start to the next. It lies beside
// the store.
type countsFile struct {
	path    string // "": they are kept in memory alone
	written []byte
}

// keptCount is how many downloads of a torrent were completed under a master.
type keptCount struct {
	InfoHash  bittorrent.InfoHash `json:"info_hash"`
	Master    string              `json:"master"` // its ID, in hexadecimal
	Completed int64               `json:"completed"`
	Last      int64               `json:"last"` // when: Unix microseconds
}

// read returns the counts, and whether there were any written down.
func (f *countsFile) read() (rows []cluster.Row, known bool, err error) {
	if f.path == "" {
		return nil, false, nil
	}
	wholefile.Clean(f.path)
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	var list []keptCount
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	for i := range list {
		k := &list[i]
		id, wrong := hex.DecodeString(k.Master)
		if wrong != nil || len(id) != len(cluster.ID{}) || k.Completed < 0 || k.Last <= 0 {
			err = fmt.Errorf("entry %d is none", i+1)
			break
		}
		rows = append(rows, cluster.Row{
			InfoHash: k.InfoHash, Count: true, PeerID: bittorrent.PeerID(id), Left: k.Completed, First: k.Last, Stamp: k.Last,
		})
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s, which has how many downloads were completed in the cluster, cannot be read: "+
			"restore it from a backup, or write [] into it to have them from the other instances: %w", f.path, err)
	}
	return rows, true, nil
}

// write writes the counts among rows, whole or not at all, if they have changed.
func (f *countsFile) write(rows []cluster.Row) error {
	if f.path == "" {
		return nil
	}
	list := []keptCount{}
	for i := range rows {
		if r := &rows[i]; r.Count {
			list = append(list, keptCount{r.InfoHash, hex.EncodeToString(r.PeerID[:]), r.Left, max(r.Stamp, 1)})
		}
	}
	slices.SortFunc(list, func(a, b keptCount) int {
		return cmp.Or(bytes.Compare(a.InfoHash[:], b.InfoHash[:]), strings.Compare(a.Master, b.Master))
	})
	b, err := json.Marshal(list)
	if err != nil || bytes.Equal(b, f.written) {
		return err
	}
	if err := wholefile.Write(f.path, b); err != nil {
		return fmt.Errorf("%s, which has how many downloads were completed in the cluster, cannot be written: %w", f.path, err)
	}
	f.written = b
	return nil
}
