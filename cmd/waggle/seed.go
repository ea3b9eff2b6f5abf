//go:build !function

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"waggle/peer"
	"waggle/torrent"
)

// seeding is the flags of "waggle seed".
type seeding struct {
	peerFlags
	data string
}

func newSeedCommand() *cobra.Command {
	var s seeding
	cmd := &cobra.Command{
		Use:   "seed TORRENT...",
		Short: "Upload what is there",
		Long: `Upload the data of .torrent files until a signal. The data are looked for under
the torrent's name in --data, and are only read.

What .NAME.waggle beside the data vouches for, and has not changed since, is
uploaded at once; all else is hashed before. If anything is missing or damaged
nothing is uploaded, and the exit code is 1.

A tracker may be a cluster on a LAN, by its multicast group, such as
udp://239.192.0.69:6969/announce: see waggle get --help.

With --json a line a second, with the figures of all torrents together.`,
		Example: `  waggle seed image.iso.torrent --data /srv/images
  waggle seed *.torrent --up 50MiB --port 6881
  waggle seed image.iso.torrent --multicast-interface eth1`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("%s wants one .torrent file or more; see %[1]s --help", cmd.CommandPath())}
			}
			return nil
		},
		RunE: s.run,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&s.data, "data", ".", "`FOLDER` of the data")
	s.add(cmd.Flags())
	return cmd
}

func (s *seeding) run(cmd *cobra.Command, files []string) error {
	options, err := s.options()
	if err != nil {
		return err
	}
	d := newDisplay(cmd.OutOrStdout(), cmd.ErrOrStderr(), s.json)
	options.Say = d.say
	data, err := s.open(cmd.Context(), files)
	if err != nil {
		return err
	}
	options.Prefer = data[0].Port()
	c, err := peer.New(options)
	if err != nil {
		for _, one := range data {
			err = errors.Join(err, one.Close())
		}
		return err
	}
	err = s.seed(cmd.Context(), c, data, d)
	return errors.Join(err, c.Close())
}

// open opens the data of all torrents, or of none.
func (s *seeding) open(ctx context.Context, files []string) (all []*peer.Data, err error) {
	defer func() {
		if err != nil {
			for _, d := range all {
				_ = d.Close()
			}
		}
	}()
	for _, file := range files {
		m, err := torrent.Read(file)
		if err != nil {
			return all, err
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return all, err
		}
		d, err := peer.OpenWhole(ctx, b, filepath.Join(s.data, m.Name))
		if err != nil {
			return all, fmt.Errorf("%s: %w; name the folder of the data with --data", file, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// seed uploads until ctx ends, which is no failure.
func (s *seeding) seed(ctx context.Context, c *peer.Client, data []*peer.Data, d *display) error {
	var torrents []*peer.Torrent
	for i, one := range data {
		t, err := c.Add(ctx, one)
		if err != nil {
			for _, rest := range data[i+1:] {
				err = errors.Join(err, rest.Close())
			}
			return err
		}
		torrents = append(torrents, t)
	}
	failures := make(chan error, len(torrents))
	var group sync.WaitGroup
	watching, stop := context.WithCancel(ctx)
	for _, t := range torrents {
		group.Go(func() { failures <- seedOne(watching, t, d) })
	}
	err := s.watch(ctx, torrents, d, failures)
	stop()
	group.Wait()
	return err
}

// seedOne says when a torrent is ready, and returns why it cannot go on, if so.
func seedOne(ctx context.Context, t *peer.Torrent, d *display) error {
	if err := t.Wait(ctx); err != nil {
		return err
	}
	s := t.Stats()
	d.finishPart(fmt.Sprintf("%s: seeding %s, info hash %s; %d bytes not hashed again",
		printable(t.Metainfo().Name), iec(s.Size), t.Metainfo().InfoHash(), s.Vouched))
	select {
	case <-t.Failed():
		return t.Wait(context.WithoutCancel(ctx))
	case <-ctx.Done():
		return nil
	}
}

// watch shows all torrents together, until ctx ends or one fails.
func (s *seeding) watch(ctx context.Context, torrents []*peer.Torrent, d *display, failures <-chan error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	r := startRates()
	for {
		select {
		case <-ctx.Done():
			last := together(torrents, &r, time.Now())
			last.Event = "stopped"
			d.finish(last, "")
			return nil
		case err := <-failures:
			if ctx.Err() != nil {
				continue
			}
			last := together(torrents, &r, time.Now())
			last.Event, last.Error = "failed", err.Error()
			d.finish(last, "")
			return err
		case now := <-tick.C:
			d.show(together(torrents, &r, now), now)
		}
	}
}

// together adds torrents up.
func together(torrents []*peer.Torrent, r *rates, now time.Time) transferProgress {
	p := transferProgress{Name: count(len(torrents), "torrent"), Phase: peer.Seeding.String()}
	for _, t := range torrents {
		s := t.Stats()
		p.Size += s.Size
		p.Have += s.Have
		p.Uploaded += s.Uploaded
		p.Peers += s.Peers
		p.Seeders += s.Seeders
		if s.Phase == peer.Checking {
			p.Phase = s.Phase.String()
		}
	}
	r.measure(&p, now, func() int64 { return 0 }, func() int64 { return 0 })
	return p
}
