package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"waggle/bittorrent"
	"waggle/console/client"
)

func newPeersCommand() *cobra.Command {
	var l listing
	var address string
	cmd := &cobra.Command{
		Use:   "peers [NAME|HASH]",
		Short: "Print the peers of a running tracker",
		Long: `Print the peers of a running tracker: those of one torrent, or of all. NAME is
that of a transfer, or of its .torrent file; HASH may be of any torrent that has
peers. With --address they are those of all torrents there.`,
		Example: `  waggle peers
  waggle peers --address 10.1.0.0/16
  waggle peers image.iso
  waggle peers 0123456789abcdef0123456789abcdef01234567 --json`,
		Args: atMostOne("the name of a transfer or an info hash"),
		RunE: func(cmd *cobra.Command, args []string) error {
			find := findPeers
			if cmd.Flags().Changed("address") {
				if len(args) > 0 {
					return usageError{errors.New("--address is for the peers of all torrents: leave out the name or the hash")}
				}
				find = func(ctx context.Context, c *client.Client, _ []string) ([]client.Peer, error) {
					return c.PeersAt(ctx, address)
				}
			}
			return list(cmd, args, &l, find, func(w io.Writer, peers []client.Peer) error {
				return printPeers(w, peers, time.Now())
			})
		},
	}
	l.add(cmd.Flags())
	cmd.Flags().StringVar(&address, "address", "", "those at an `ADDRESS`, with its port or without, or in a network such as 10.1.0.0/16")
	return cmd
}

// findPeers returns the peers of the torrents that an argument names, or of all
// without one.
func findPeers(ctx context.Context, c *client.Client, args []string) ([]client.Peer, error) {
	if len(args) == 0 {
		return c.AllPeers(ctx)
	}
	if h, err := bittorrent.ParseInfoHash(args[0]); err == nil {
		return c.Peers(ctx, h)
	}
	transfers, err := findTransfers(ctx, c, args)
	peers := []client.Peer{}
	for i := range transfers {
		if err == nil {
			var more []client.Peer
			more, err = c.Peers(ctx, transfers[i].InfoHash)
			peers = append(peers, more...)
		}
	}
	return peers, err
}

func printPeers(w io.Writer, peers []client.Peer, now time.Time) error {
	var t bytes.Buffer
	fmt.Fprintln(&t, "address\tkind\tuploaded\tdownloaded\tleft\tknown for\tseen before\treachable\tinfo hash\t  client")
	for i := range peers {
		p := &peers[i]
		left := "-"
		if p.Left != nil {
			left = iec(*p.Left)
		}
		name := p.Client
		if name == "" {
			name = p.ID
		}
		fmt.Fprintf(&t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%v\t  %s\n", p.Address, p.Kind, iec(p.Uploaded), iec(p.Downloaded), left,
			ago(p.FirstSeen, now), ago(p.LastSeen, now), cmp.Or(p.Reachable, "-"), p.InfoHash, printable(name))
	}
	return printAligned(w, &t)
}
