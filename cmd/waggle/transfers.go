package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"waggle/bittorrent"
	"waggle/console/client"
)

func newTransfersCommand() *cobra.Command {
	var l listing
	var places bool
	cmd := &cobra.Command{
		Use:   "transfers [NAME|HASH]",
		Short: "Print the transfers of a running tracker",
		Long: `Print the transfers of a running tracker: the torrents that are listed there, how
many peers each has, and how much of it those have. NAME is that of the torrent
or of its .torrent file.

--places prints what one of them has in each rack, row and site: how far its peers
are, who may carry data across the uplink (in: these download, out: these upload),
and at most how many bytes that were: clients do not tell from whom they download.
A group that lacks data and has no way to a seeder is starving; waiting is one whose
bandwidth other torrents have. HASH may then be of any torrent that has peers.`,
		Example: `  waggle transfers
  waggle transfers image.iso --json
  waggle transfers image.iso --places
  waggle transfers --console https://tracker.example:6970 --token-file token.txt`,
		Args: atMostOne("the name or info hash of a transfer"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if places {
				if len(args) == 0 {
					return usageError{errors.New("--places is of one transfer: give its name or info hash")}
				}
				return list(cmd, args, &l, findPlaces, printPlaces)
			}
			return list(cmd, args, &l, findTransfers, printTransfers)
		},
	}
	l.add(cmd.Flags())
	cmd.Flags().BoolVar(&places, "places", false, "print one transfer by location")
	return cmd
}

// findTransfers returns the transfers that an argument names, or all without one.
func findTransfers(ctx context.Context, c *client.Client, args []string) ([]client.Transfer, error) {
	if len(args) == 0 {
		return c.Transfers(ctx)
	}
	named, err := c.Named(ctx, args[0])
	if err != nil || len(named) > 0 {
		return named, err
	}
	h, err := bittorrent.ParseInfoHash(args[0])
	if err != nil {
		return nil, fmt.Errorf("the tracker has no transfer %s; \"waggle transfers\" lists all", printable(args[0]))
	}
	t, err := c.Transfer(ctx, h)
	return []client.Transfer{t}, err
}

func printTransfers(w io.Writer, transfers []client.Transfer) error {
	var t bytes.Buffer
	fmt.Fprintln(&t, "peers\tseeders\tleechers\tdone\tdownloads\tsize\tstate\tinfo hash\t  name")
	for i := range transfers {
		transfer := &transfers[i]
		state := "active"
		if !transfer.Active {
			state = "inactive"
		}
		fmt.Fprintf(&t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%v\t  %s\n",
			commas(transfer.Peers), commas(transfer.Seeders), commas(transfer.Leechers), percentage(transfer.Progress),
			humanize.Comma(int64(min(transfer.Downloaded, math.MaxInt64))), iec(transfer.Size), state, transfer.InfoHash, printable(transfer.Name))
	}
	return printAligned(w, &t)
}

// printAligned writes lines of cells that end in tabs, to the right but for the last.
func printAligned(w io.Writer, lines io.WriterTo) error {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, err := lines.WriteTo(aligned)
	return errors.Join(err, aligned.Flush())
}

func commas(n int) string { return humanize.Comma(int64(n)) }

// percentage rounds down, so that 100 % is all.
func percentage(share float64) string { return fmt.Sprintf("%.1f %%", math.Floor(share*1000)/10) }

// ago writes how long ago a time was, in whole seconds.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return max(now.Sub(t), 0).Truncate(time.Second).String()
}

// atMostOne refuses, as wrong usage, a command line with more than one argument;
// what says what it stands for.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return usageError{fmt.Errorf("%s takes one argument at most, %s, and has %d; see %[1]s --help", cmd.CommandPath(), what, len(args))}
	}
}
