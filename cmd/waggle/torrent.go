package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"waggle/torrent"
)

// newTorrentCommand returns "waggle torrent" and what is below it.
func newTorrentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "torrent",
		Short: "Make, print and change .torrent files",
		Long: `Make and print .torrent files, and change the trackers in them.

A .torrent file names the files that peers pass on, the hashes of their pieces,
and the trackers at which the peers meet.`,
		Example: `  waggle torrent create image.iso -a udp://tracker.example:6969
  waggle torrent show image.iso.torrent
  waggle torrent announce torrents -a udp://tracker.example:6969`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTorrentCreateCommand(), newTorrentShowCommand(), newTorrentAnnounceCommand())
	return cmd
}

// tiersOf turns the values of --announce into tiers: one a value, whose trackers
// have commas between them.
func tiersOf(announce []string) (tiers [][]string) {
	for _, tier := range announce {
		tiers = append(tiers, strings.Split(tier, ","))
	}
	return tiers
}

// completeTorrentFiles has the shell offer .torrent files.
func completeTorrentFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"torrent"}, cobra.ShellCompDirectiveFilterFileExt
}

// hashesInWords returns the info hash by which trackers know a torrent, and the
// whole hash of version 2 where it has one.
func hashesInWords(m *torrent.Metainfo) string {
	words := "info hash " + m.InfoHash().String()
	if m.Version != torrent.V1 {
		words += ", of version 2 " + m.InfoHashV2.String()
	}
	return words
}

// oneArgument refuses, as wrong usage, a command line without exactly one
// argument; what says what it stands for.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usageError{fmt.Errorf("%s wants one argument, %s, and has %d; see %[1]s --help", cmd.CommandPath(), what, len(args))}
	}
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// printable quotes text from a stranger that would move a terminal's cursor,
// change its colours, or read otherwise than it is.
func printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) || r == '\uFFFD' {
			return strconv.Quote(s)
		}
	}
	return s
}

// iec writes a number of bytes that is not negative in KiB, MiB and so on.
func iec(n int64) string { return humanize.IBytes(uint64(n)) }

// count writes a number of things, "1 file" or "2 files".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return humanize.Comma(int64(n)) + " " + thing + "s"
}
