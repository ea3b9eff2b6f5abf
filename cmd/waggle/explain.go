package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"waggle/bittorrent"
	"waggle/console/client"
)

func newExplainCommand() *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "explain HASH|NAME PEER",
		Short: "Say why a peer is told of whom",
		Long: `Say why a running tracker tells a peer of these others, and of no more: what it is
to its rack, and where its data comes from. NAME is that of a transfer, or of its
.torrent file; HASH may be of any torrent that has peers. PEER is its IP:PORT, as
"waggle peers" prints it.

Below that is whom it is told of, and why: its source (which leads to a seeder) and
other parents, children that download from it, and neighbours of its rack. Orphans
are those that it is told of no more, and may still use. The last column is how many
peers are sent to each across uplinks.`,
		Example: `  waggle explain image.iso 10.1.2.1:6881
  waggle explain 0123456789abcdef0123456789abcdef01234567 [2001:db8::1]:6881 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return usageError{fmt.Errorf("%s wants two arguments, a torrent and a peer, and has %d; see %[1]s --help", cmd.CommandPath(), len(args))}
		},
		RunE: func(cmd *cobra.Command, args []string) error { return explain(cmd, &l, args[0], args[1]) },
	}
	l.add(cmd.Flags())
	return cmd
}

func explain(cmd *cobra.Command, l *listing, of, who string) error {
	peer, err := netip.ParseAddrPort(who)
	if err != nil {
		return usageError{fmt.Errorf("%s is no peer; write it like 10.1.2.1:6881, as waggle peers does", printable(who))}
	}
	c, err := l.console.client()
	if err != nil {
		return err
	}
	defer c.Close()
	h, err := findTorrent(cmd.Context(), c, of)
	if err != nil {
		return err
	}
	e, err := c.Explain(cmd.Context(), h, peer)
	if err != nil {
		return err
	}
	if l.json {
		return printJSON(cmd.OutOrStdout(), e)
	}
	return printExplanation(cmd.OutOrStdout(), &e)
}

// findTorrent returns the hash of the one torrent that an argument names.
func findTorrent(ctx context.Context, c *client.Client, of string) (bittorrent.InfoHash, error) {
	if h, err := bittorrent.ParseInfoHash(of); err == nil {
		return h, nil
	}
	transfers, err := findTransfers(ctx, c, []string{of})
	if err != nil {
		return bittorrent.InfoHash{}, err
	}
	if len(transfers) > 1 {
		return bittorrent.InfoHash{}, fmt.Errorf("the tracker has %d transfers called %s: give the info hash of one, such as %v", len(transfers), printable(of), transfers[0].InfoHash)
	}
	return transfers[0].InfoHash, nil
}

func printExplanation(w io.Writer, e *client.Explanation) error {
	for _, s := range e.Sentences {
		if _, err := fmt.Fprintln(w, printable(s)); err != nil {
			return err
		}
	}
	if len(e.Told)+len(e.Orphans) == 0 {
		_, err := fmt.Fprintln(w, "It is told of nobody.")
		return err
	}
	var t bytes.Buffer
	fmt.Fprintln(&t, "\nwhy\tkind\taddress\tlocation\t  children")
	for _, list := range [][]client.Told{e.Told, e.Orphans} {
		for i := range list {
			told := &list[i]
			location := "-"
			if told.Location != "" {
				location = printable(told.Location)
			}
			fmt.Fprintf(&t, "%s\t%s\t%s\t%s\t  %s\n", printable(told.Why), printable(told.Kind), printable(told.Address), location, commas(told.Children))
		}
	}
	return printAligned(w, &t)
}
