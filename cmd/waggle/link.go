package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/bittorrent"
	"waggle/console/client"
)

func newLinkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Link a running tracker with others, so that they act as one",
		Long: `Link a running tracker with others, so that they act as one: who announces at one of
them is told at all. A hub listens (link.listen) and invites; a leaf joins with the
one line that an invitation is. A hub may be the leaf of another.

"waggle links" shows how they are. These commands ask the console of the tracker
(--console); where it wants a token, to invite and join takes that of an admin, and
to reset and drop that of an operator.`,
		Example: `  (umask 077; waggle link invite fra > fra.line)
  waggle link join - --console http://fra.example:6970 < fra.line
  waggle links`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLinkInviteCommand(), newLinkJoinCommand(), newLinkLeaveCommand(), newLinkDropCommand(), newLinkResetCommand(), newLinkRightsCommand())
	return cmd
}

// rightsFlags say what a leaf may do.
type rightsFlags struct {
	receiveOnly, sendOnly, both bool
	torrents                    []string
	allTorrents                 bool
	share                       string
	peers, changes              int
}

func (f *rightsFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&f.receiveOnly, "receive-only", false, "the leaf is told of peers, and tells of none")
	flags.BoolVar(&f.sendOnly, "send-only", false, "the leaf tells of peers, and is told of none")
	flags.StringArrayVar(&f.torrents, "torrent", nil, "info `HASH` of a torrent of which alone it may tell and be told; repeat for further ones")
	flags.StringVar(&f.share, "share", client.ShareOff, "whether .torrent files travel, as the leaf sees it: off, receive, send or both")
	flags.IntVar(&f.peers, "peers", 0, "how many peers may come by it at most; 0: as many as the hub has room for")
	flags.IntVar(&f.changes, "changes-per-second", 0, "how many changes it may tell in a second at most; 0: as many as the hub takes from any")
}

// addBack adds what takes limits back.
func (f *rightsFlags) addBack(flags *pflag.FlagSet) {
	flags.BoolVar(&f.both, "both", false, "the leaf tells of peers, and is told of them")
	flags.BoolVar(&f.allTorrents, "all-torrents", false, "it may tell and be told of all torrents")
}

// change changes rights as the flags say that were given. The error is one of usage.
func (f *rightsFlags) change(flags *pflag.FlagSet, r *client.Rights) error {
	switch {
	case f.receiveOnly && f.sendOnly || f.both && (f.receiveOnly || f.sendOnly):
		return usageError{errors.New("--receive-only, --send-only and --both: give one of them")}
	case f.allTorrents && len(f.torrents) > 0:
		return usageError{errors.New("--torrent and --all-torrents: give one of them")}
	case !slices.Contains([]string{client.ShareOff, client.ShareReceive, client.ShareSend, client.ShareBoth}, f.share):
		return usageError{fmt.Errorf("--share: %.40q is none of off, receive, send and both", f.share)}
	case f.peers < 0 || f.changes < 0:
		return usageError{errors.New("--peers and --changes-per-second: a number of 1 or more, or 0 for no limit of its own")}
	}
	if f.receiveOnly || f.sendOnly || f.both {
		r.Receive, r.Send = !f.sendOnly, !f.receiveOnly
	}
	for _, h := range f.torrents {
		if _, err := bittorrent.ParseInfoHash(h); err != nil {
			return usageError{fmt.Errorf("--torrent: %.80q is no info hash, which has 40 hexadecimal digits", h)}
		}
	}
	if f.allTorrents || len(f.torrents) > 0 {
		r.Torrents = f.torrents
	}
	if flags.Changed("share") {
		r.Share = f.share
	}
	if flags.Changed("peers") {
		r.Peers = f.peers
	}
	if flags.Changed("changes-per-second") {
		r.ChangesPerSecond = f.changes
	}
	return nil
}

func newLinkInviteCommand() *cobra.Command {
	var console consoleFlags
	var rights rightsFlags
	var addresses []string
	cmd := &cobra.Command{
		Use:   "invite NAME",
		Short: "Invite a tracker to become a leaf of a running one, and print the line that it joins with",
		Long: `Invite a tracker to become a leaf of a running one, and print the line that it joins
with, alone to standard output. Whoever has the line can join in the name of the leaf:
it is a secret. It is not shown again; an invitation that was lost is taken back with
"waggle link drop NAME".

The name is the leaf's: letters, digits, - and _. Without --address the line names the
addresses of link.addresses. Where both meet at a NATS (link.nats), there is no line:
the leaf is let in by its name.`,
		Example: `  (umask 077; waggle link invite fra > fra.line)
  waggle link invite mirror --receive-only --share receive --token-file admin.token
  waggle link invite small --peers 10000 --changes-per-second 100 --address tracker.example:6971`,
		Args: oneArgument("the name of the leaf"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := client.NewInvitation{Name: args[0], Addresses: addresses, Rights: client.Rights{Receive: true, Send: true}}
			if err := rights.change(cmd.Flags(), &n.Rights); err != nil {
				return err
			}
			return withConsole(&console, func(c *client.Client) error { return invite(cmd, c, n) })
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	rights.add(flags)
	flags.StringArrayVar(&addresses, "address", nil, "`HOST:PORT` where the leaf reaches this tracker; repeat for further ones")
	console.add(flags)
	return cmd
}

// withConsole has something done with a client of the console.
func withConsole(console *consoleFlags, do func(*client.Client) error) error {
	c, err := console.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}

func invite(cmd *cobra.Command, c *client.Client, n client.NewInvitation) error {
	made, err := c.Invite(cmd.Context(), n)
	if err != nil {
		return err
	}
	if made.Line == "" {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s is invited: there is no line, as both meet at a NATS; the leaf needs link.nats and link.name: %[1]s\n", printable(made.Name))
		return nil
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), made.Line); err != nil {
		return fmt.Errorf("%s is invited, but the line could not be written; take it back (waggle link drop %[1]s) and invite again: %w", printable(made.Name), err)
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s is invited: it joins with this line (waggle link join -), which is a secret and is not shown again\n", printable(made.Name))
	return nil
}

// maxLineFile bounds what is read as a line, in bytes.
const maxLineFile = 16 << 10

func newLinkJoinCommand() *cobra.Command {
	var console consoleFlags
	cmd := &cobra.Command{
		Use:   "join LINE|-",
		Short: "Make a running tracker the leaf of the one that a line invites to",
		Long: `Make a running tracker the leaf of the one that a line invites to, now and after
restarts. With - the line is read from standard input, where no other user of this
machine sees it.`,
		Example: `  waggle link join - < fra.line
  waggle link join waggle-link-1.eyJhZGRyZXNzZXMi... --token-file admin.token`,
		Args: oneArgument("the line of an invitation, or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			line, err := lineOf(cmd, args[0])
			if err != nil {
				return err
			}
			return withConsole(&console, func(c *client.Client) error {
				l, err := c.Join(cmd.Context(), line)
				if err != nil {
					return err
				}
				hub := "the hub" // which did not say yet what it is called
				if l.Name != client.RoleHub {
					hub = printable(l.Name)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "this tracker is now a leaf of %s; waggle links shows how that goes\n", hub)
				return err
			})
		},
	}
	cmd.Flags().SortFlags = false
	console.add(cmd.Flags())
	return cmd
}

// lineOf returns the line that an argument is, or that standard input has.
func lineOf(cmd *cobra.Command, argument string) (string, error) {
	if argument != "-" {
		return strings.TrimSpace(argument), nil
	}
	b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxLineFile+1))
	if err != nil {
		return "", fmt.Errorf("the line could not be read from standard input: %w", err)
	}
	line := strings.TrimSpace(string(b))
	if line == "" || len(b) > maxLineFile || strings.ContainsAny(line, "\r\n") {
		return "", errors.New("standard input is not one line of an invitation, as \"waggle link invite\" prints it")
	}
	return line, nil
}

func newLinkLeaveCommand() *cobra.Command {
	var console consoleFlags
	cmd := &cobra.Command{
		Use:   "leave",
		Short: "End the link of a running tracker with its hub",
		Long: `End the link of a running tracker with its hub, and forget the peers that are known
through it. To join again takes a new invitation.`,
		Example: `  waggle link leave`,
		Args:    knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withConsole(&console, func(c *client.Client) error { return c.Leave(cmd.Context()) })
		},
	}
	cmd.Flags().SortFlags = false
	console.add(cmd.Flags())
	return cmd
}

func newLinkDropCommand() *cobra.Command {
	return namedLinkCommand("drop NAME", "End the link of a running tracker with a leaf, or take an invitation back",
		`End the link of a running tracker with a leaf, or take an invitation back. The peers
that are known through it are forgotten at once, here and on all trackers that
heard of them here, and its line is good no more.`,
		func(cmd *cobra.Command, c *client.Client, name string) error { return c.Drop(cmd.Context(), name) })
}

func newLinkResetCommand() *cobra.Command {
	return namedLinkCommand("reset NAME", "Begin a link of a running tracker anew",
		`Begin a link of a running tracker anew, with a leaf or the hub: the connection is
closed and made again, and both compare what they know. No peer is forgotten.`,
		func(cmd *cobra.Command, c *client.Client, name string) error { return c.Reset(cmd.Context(), name) })
}

// namedLinkCommand returns a command that does something with one link.
func namedLinkCommand(use, short, long string, do func(*cobra.Command, *client.Client, string) error) *cobra.Command {
	var console consoleFlags
	verb, _, _ := strings.Cut(use, " ")
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: "  waggle link " + verb + " fra",
		Args: oneArgument("the name of a link"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withConsole(&console, func(c *client.Client) error { return do(cmd, c, args[0]) })
		},
	}
	cmd.Flags().SortFlags = false
	console.add(cmd.Flags())
	return cmd
}

func newLinkRightsCommand() *cobra.Command {
	var console consoleFlags
	var rights rightsFlags
	cmd := &cobra.Command{
		Use:   "rights NAME",
		Short: "Change what a leaf of a running tracker may do",
		Long: `Change what a leaf of a running tracker may do, whether it is linked or was only
invited. What no flag names stays.`,
		Example: `  waggle link rights fra --receive-only
  waggle link rights fra --both --all-torrents --peers 0`,
		Args: oneArgument("the name of a leaf"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := rights.change(cmd.Flags(), new(client.Rights)); err != nil {
				return err
			}
			if !rights.given(cmd.Flags()) {
				return usageError{fmt.Errorf("say what to change, such as --receive-only or --peers 10000; see %s --help", cmd.CommandPath())}
			}
			return withConsole(&console, func(c *client.Client) error { return changeRights(cmd, c, args[0], &rights) })
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	rights.add(flags)
	rights.addBack(flags)
	console.add(flags)
	return cmd
}

// given reports whether any flag says something.
func (f *rightsFlags) given(flags *pflag.FlagSet) bool {
	return f.receiveOnly || f.sendOnly || f.both || f.allTorrents || len(f.torrents) > 0 ||
		flags.Changed("share") || flags.Changed("peers") || flags.Changed("changes-per-second")
}

func changeRights(cmd *cobra.Command, c *client.Client, name string, f *rightsFlags) error {
	all, err := c.Links(cmd.Context())
	if err != nil {
		return err
	}
	r, ok := all.RightsOf(name)
	if !ok {
		return fmt.Errorf("there is no leaf %s, nor is one invited: see waggle links", printable(name))
	}
	if err := f.change(cmd.Flags(), &r); err != nil {
		return err
	}
	return c.SetRights(cmd.Context(), name, r)
}
