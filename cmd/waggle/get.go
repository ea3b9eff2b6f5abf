//go:build !function

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waggle/bittorrent"
	"waggle/peer"
	"waggle/torrent"
)

// getting is the flags of "waggle get".
type getting struct {
	peerFlags
	folder   string
	seedTime time.Duration
	console  consoleFlags
}

func newGetCommand() *cobra.Command {
	var g getting
	cmd := &cobra.Command{
		Use:   "get TORRENT|MAGNET|URL|NAME",
		Short: "Download a torrent",
		Long: `Download a torrent: a .torrent file, a magnet link, the URL of a .torrent, or the
name or info hash of a transfer of a running tracker (--console).

The data lie in NAME.part until all pieces are whole, and are then called NAME;
what has that name is never half there. Beside them .NAME.waggle remembers the
pieces that are finished: after a crash or a kill the same command goes on from
there and hashes only what is not sure. Files that somebody else has changed are
hashed again.

Peers come from the torrent's trackers alone, unless --dht or --pex. A tracker may
be a cluster on a LAN, by its multicast group (udp://239.192.0.69:6969/announce, or
udp://[ff02::69%25eth0]:6969 with IPv6): one of its instances dying goes unnoticed,
and 75 seconds without any answer are told. On a machine with several networks
--multicast-interface says on which one the cluster is.

The exit code is 0 once all is there, 1 if it is not, 2 if the command line is
wrong.

With --json a line a second, and one at the end whose event is done, stopped or
failed; sizes are in bytes, rates in bytes a second.`,
		Example: `  waggle get image.iso.torrent
  waggle get image.iso -o /srv/images --console http://tracker.example:6970
  waggle get https://example.com/image.iso.torrent --down 20MiB --seed-time 10m
  waggle get image.iso.torrent --multicast-interface eth1`,
		Args: oneArgument("a .torrent, a magnet link, a URL, or the name of a transfer"),
		RunE: func(cmd *cobra.Command, args []string) error { return g.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&g.folder, "output", "o", ".", "`FOLDER` to download to; it is made if it is missing")
	flags.DurationVar(&g.seedTime, "seed-time", 0, "`TIME` to upload for after the download, such as 10m")
	g.console.add(flags)
	g.add(flags)
	return cmd
}

func (g *getting) run(cmd *cobra.Command, what string) error {
	options, err := g.options()
	if err != nil {
		return err
	}
	if g.seedTime < 0 {
		return usageError{errors.New("--seed-time: want a time such as 10m, or 0 for none")}
	}
	d := newDisplay(cmd.OutOrStdout(), cmd.ErrOrStderr(), g.json)
	options.Say = d.say
	ctx := cmd.Context()
	metainfo, err := g.resolve(ctx, what, options)
	if err != nil {
		return err
	}
	data, err := peer.OpenPart(ctx, metainfo, g.folder)
	if err != nil {
		return err
	}
	return g.transfer(ctx, data, options, d)
}

// transfer downloads, and seeds for some time.
func (g *getting) transfer(ctx context.Context, data *peer.Data, o peer.Options, d *display) (err error) {
	o.Prefer = data.Port()
	c, err := peer.New(o)
	if err != nil {
		return errors.Join(err, data.Close())
	}
	t, err := c.Add(ctx, data)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	path := filepath.Join(g.folder, t.Metainfo().Name)
	view := newView(t, d)
	err = view.until(ctx, t.Wait)
	last := view.last("done", path)
	if err == nil {
		d.finishPart(fmt.Sprintf("%s: complete, %s fetched in %s", printable(path), iec(last.Downloaded), seconds(last.Elapsed)))
		err = view.until(ctx, func(ctx context.Context) error { return linger(ctx, t, g.seedTime) })
		last = view.last("done", path)
	}
	err = errors.Join(view.reason(err, &last), c.Close())
	d.finish(last, "")
	return err
}

// linger seeds for some time, or until ctx ends, which is no failure.
func linger(ctx context.Context, t *peer.Torrent, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-ctx.Done():
		return nil
	case <-t.Failed():
		return t.Wait(context.WithoutCancel(ctx))
	}
}

// resolve returns the bytes of the .torrent that what stands for.
func (g *getting) resolve(ctx context.Context, what string, o peer.Options) ([]byte, error) {
	switch {
	case strings.HasPrefix(what, "magnet:"):
		b, err := peer.Magnet(ctx, what, o)
		if errors.Is(err, context.Canceled) {
			return nil, fmt.Errorf("stopped before a peer had told what the link stands for: %w", err)
		}
		return b, err
	case strings.HasPrefix(what, "http://"), strings.HasPrefix(what, "https://"):
		return download(ctx, what)
	}
	if stat, err := os.Stat(what); err == nil && stat.Mode().IsRegular() && strings.HasSuffix(what, ".torrent") {
		if _, err := torrent.Read(what); err != nil {
			return nil, err
		}
		return os.ReadFile(what)
	}
	b, err := g.lookUp(ctx, what)
	if err != nil {
		return nil, fmt.Errorf("%s: no such .torrent file here, and as the name of a transfer: %w", printable(what), err)
	}
	return b, nil
}

// lookUp asks the tracker for a transfer by name or info hash.
func (g *getting) lookUp(ctx context.Context, what string) ([]byte, error) {
	c, err := g.console.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	h, err := bittorrent.ParseInfoHash(what)
	if err == nil {
		return c.Torrent(ctx, h)
	}
	found, err := c.Named(ctx, what)
	if err != nil {
		return nil, err
	}
	var hashes []string
	for _, t := range found {
		if t.Active {
			hashes, h = append(hashes, t.InfoHash.String()), t.InfoHash
		}
	}
	switch len(hashes) {
	case 0:
		return nil, fmt.Errorf("the tracker at %s distributes none that is called so; waggle transfers lists them", g.console.url)
	case 1:
		return c.Torrent(ctx, h)
	}
	return nil, fmt.Errorf("there are %d; name one by its info hash: %s", len(hashes), strings.Join(hashes, ", "))
}

// download gets a .torrent over HTTP.
func download(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, usageError{err}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err // begins with method and URL
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: it answers %s, and not with a .torrent", url, answer.Status)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, torrent.MaxFileSize+1))
	if err == nil && len(b) > torrent.MaxFileSize {
		err = fmt.Errorf("larger than %d MiB, so no .torrent", torrent.MaxFileSize>>20)
	}
	if err == nil {
		_, err = torrent.Parse(b)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return b, nil
}
