package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/console/client"
)

func newPasskeysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "passkeys",
		Short: "Make, list and revoke the passkeys of a running tracker",
		Long: `Make, list, change and revoke the passkeys of a running tracker, which clients show in
their announce URLs (access.passkeys), and see what was transferred with each.

A passkey is a secret. It has an id, which is none, and by which these commands name it.
With accounts, or console.token_file, they need the token of an operator: --token-file.
With that of a viewer, "list" and "show" leave the secrets out.`,
		Example: `  waggle passkeys create anna
  waggle passkeys list --json
  waggle passkeys revoke 0123456789abcdef
  waggle passkeys import keys.txt`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPasskeysListCommand(), newPasskeysShowCommand(), newPasskeysCreateCommand(), newPasskeysImportCommand(), newPasskeysEditCommand())
	for _, a := range passkeyActions {
		cmd.AddCommand(newPasskeyActionCommand(a))
	}
	cmd.AddCommand(newPasskeysDeleteCommand())
	return cmd
}

func newPasskeysListCommand() *cobra.Command {
	var l listing
	var state string
	cmd := &cobra.Command{
		Use:   "list [TEXT]",
		Short: "Print the passkeys of a running tracker",
		Long: `Print the passkeys of a running tracker, by name: all, or those that have TEXT in their name,
note or id. The secrets are in what --json prints, and in "waggle passkeys show".`,
		Example: `  waggle passkeys list
  waggle passkeys list anna
  waggle passkeys list --state revoked --json`,
		Args: atMostOne("what name, note or id have"),
		RunE: func(cmd *cobra.Command, args []string) error {
			find := func(ctx context.Context, c *client.Client, args []string) ([]client.Passkey, error) {
				q := client.PasskeyQuery{State: state}
				if len(args) > 0 {
					q.Query = args[0]
				}
				return c.Passkeys(ctx, q)
			}
			return list(cmd, args, &l, find, printPasskeys)
		},
	}
	l.add(cmd.Flags())
	cmd.Flags().StringVar(&state, "state", "", "those that are active, revoked or expired")
	return cmd
}

func printPasskeys(w io.Writer, all []client.Passkey) error {
	var t bytes.Buffer
	now := time.Now()
	fmt.Fprintln(&t, "id\tstate\tuploaded\tdownloaded\ttorrents\tseen\texpires\t  name")
	for i := range all {
		p := &all[i]
		fmt.Fprintf(&t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", p.ID, p.State, iec(p.Uploaded), iec(p.Downloaded), humanize.Comma(p.Torrents),
			ago(p.Seen, now), expiryText(p.Expires), printable(p.Name))
	}
	return printAligned(w, &t)
}

func expiryText(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// printPasskey prints all of one passkey.
func printPasskey(w io.Writer, p *client.Passkey) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s %s\n", name, printable(value))
		}
	}
	line("id", p.ID)
	line("name", p.Name)
	line("note", p.Note)
	line("state", p.State)
	line("created", p.Created.UTC().Format(time.RFC3339))
	line("expires", expiryText(p.Expires))
	if !p.Revoked.IsZero() {
		line("revoked", p.Revoked.UTC().Format(time.RFC3339))
	}
	line("uploaded", iec(p.Uploaded))
	line("downloaded", iec(p.Downloaded))
	line("torrents", humanize.Comma(p.Torrents))
	line("seen", ago(p.Seen, time.Now()))
	if p.Implausible > 0 {
		line("implausible", humanize.Comma(p.Implausible)+" announces told of more than a client can transfer, and did not count")
	}
	line("passkey", p.Key)
	for _, url := range p.AnnounceURLs {
		line("announce", url)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// actOnPasskey does something to a passkey, and prints what it is then.
func actOnPasskey(cmd *cobra.Command, o *listing, do func(context.Context, *client.Client) (client.Passkey, error)) error {
	c, err := o.console.client()
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := do(cmd.Context(), c)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), p)
	}
	return printPasskey(cmd.OutOrStdout(), &p)
}

// oneID wants the id of a passkey, and does not repeat what may be a secret.
func oneID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s takes one argument, the id of a passkey, and has %d; see %[1]s --help", cmd.CommandPath(), len(args))}
	}
	if len(args[0]) != 16 || strings.Trim(args[0], "0123456789abcdef") != "" {
		return usageError{fmt.Errorf("the id of a passkey is 16 hexadecimal digits, and no secret; \"waggle passkeys list\" has it, and of a secret \"waggle passkeys show --find FILE\"")}
	}
	return nil
}

func newPasskeysShowCommand() *cobra.Command {
	var o listing
	var file string
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Print one passkey of a running tracker, with its announce URLs",
		Long: `Print one passkey of a running tracker, with its announce URLs: that of an id, or with
--find the one that a file has, or standard input as "-", so that no secret stands in the
list of processes.`,
		Example: `  waggle passkeys show 0123456789abcdef
  waggle passkeys show --find key.txt
  echo $KEY | waggle passkeys show --find -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if file != "" && len(args) == 0 {
				return nil
			}
			if file != "" {
				return usageError{errors.New("an id, or --find: give one of them")}
			}
			return oneID(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return actOnPasskey(cmd, &o, func(ctx context.Context, c *client.Client) (client.Passkey, error) { return c.Passkey(ctx, args[0]) })
			}
			key, err := readPasskey(cmd, file)
			if err != nil {
				return err
			}
			return actOnPasskey(cmd, &o, func(ctx context.Context, c *client.Client) (client.Passkey, error) { return c.FindPasskey(ctx, key) })
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().StringVar(&file, "find", "", "`FILE` of one line, a passkey that is looked for; - for standard input")
	return cmd
}

// readPasskey returns the first line of a file.
func readPasskey(cmd *cobra.Command, path string) (string, error) {
	in, err := openInput(cmd, path)
	if err != nil {
		return "", fmt.Errorf("--find: %w", err)
	}
	defer func() { _ = in.Close() }()
	lines := bufio.NewScanner(in)
	if !lines.Scan() || strings.TrimSpace(lines.Text()) == "" {
		return "", errors.Join(errors.New("--find: there is no line with a passkey"), lines.Err())
	}
	return strings.TrimSpace(lines.Text()), nil
}

// newPasskey is the flags of "passkeys create".
type newPasskey struct {
	listing
	note, expires string
	count         int
}

func (n *newPasskey) add(flags *pflag.FlagSet) {
	n.listing.add(flags)
	flags.StringVar(&n.note, "note", "", "a note")
	flags.StringVar(&n.expires, "expires", "never", "how long it lasts, such as 90d or 12h, or never")
	flags.IntVar(&n.count, "count", 1, "how many to make of the name")
}

func newPasskeysCreateCommand() *cobra.Command {
	var n newPasskey
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a passkey, and print it with its announce URLs",
		Long: `Make a passkey for somebody, and print it with its announce URLs, one of which goes into
the torrents that they get. With --count there are many of the name.`,
		Example: `  waggle passkeys create anna --expires 90d
  waggle passkeys create lab --count 50 --json --token-file operator.token`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes one argument, a name, and has %d; see %[1]s --help", cmd.CommandPath(), len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return n.run(cmd, args[0], time.Now()) },
	}
	n.add(cmd.Flags())
	return cmd
}

// mostMade is how many passkeys "create" makes.
const mostMade = 10_000

func (n *newPasskey) run(cmd *cobra.Command, name string, now time.Time) error {
	if n.count < 1 || n.count > mostMade {
		return usageError{fmt.Errorf("--count is from 1 to %s", humanize.Comma(mostMade))}
	}
	wanted := client.NewPasskey{Name: name, Note: n.note}
	var err error
	if wanted.Expires, err = expiryIn(n.expires, now); err != nil {
		return usageError{fmt.Errorf("--expires: %w", err)}
	}
	c, err := n.console.client()
	if err != nil {
		return err
	}
	defer c.Close()
	all := make([]client.NewPasskey, n.count)
	for i := range all {
		all[i] = wanted
	}
	made, err := createPasskeys(cmd.Context(), c, all)
	if err != nil && len(made) > 0 {
		err = fmt.Errorf("%d were made: %w", len(made), err)
	}
	switch {
	case n.json:
		return errors.Join(printJSON(cmd.OutOrStdout(), made), err)
	case err == nil && len(made) == 1:
		return printPasskey(cmd.OutOrStdout(), &made[0])
	}
	for i := range made {
		if _, printErr := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", made[i].ID, made[i].Key); printErr != nil {
			return errors.Join(printErr, err)
		}
	}
	return err
}

// passkeysAtOnce is how many passkeys the tracker makes at a time.
const passkeysAtOnce = 100

// createPasskeys makes any number of passkeys, some at a time. With an error it returns those that
// were made.
func createPasskeys(ctx context.Context, c *client.Client, wanted []client.NewPasskey) (made []client.Passkey, err error) {
	for len(wanted) > 0 {
		n := min(passkeysAtOnce, len(wanted))
		some, err := c.CreatePasskeys(ctx, wanted[:n])
		if err != nil {
			return made, err
		}
		made, wanted = append(made, some...), wanted[n:]
	}
	return made, nil
}

// passkeyAction is a command that does something to a passkey.
type passkeyAction struct {
	action      client.PasskeyAction
	short, long string
}

var passkeyActions = []passkeyAction{
	{client.RevokePasskey, "Refuse a passkey from the next announce on", `Refuse a passkey from the next announce on, at every tracker that shares the store. Its peers get no
others any more; they are told to others until they stop, or have been silent for
announce.peer_lifetime.`},
	{client.RestorePasskey, "Let a revoked passkey be good again", `Let a revoked passkey be good again. What was counted for it is still there.`},
	{client.RenewPasskey, "Put another secret in place of the one that a passkey has", `Put another secret in place of the one that a passkey has, because that got about: it is not
known from then on. Name, id and what was counted stay.`},
	{client.ResetPasskey, "Forget what was counted for a passkey", `Forget what was counted for a passkey, and count from now on.`},
}

func newPasskeyActionCommand(a passkeyAction) *cobra.Command {
	var o listing
	name := string(a.action)
	cmd := &cobra.Command{
		Use:     name + " ID",
		Short:   a.short,
		Long:    a.long,
		Example: "  waggle passkeys " + name + " 0123456789abcdef",
		Args:    oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			return actOnPasskey(cmd, &o, func(ctx context.Context, c *client.Client) (client.Passkey, error) {
				return c.ActOnPasskey(ctx, args[0], a.action)
			})
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func newPasskeysDeleteCommand() *cobra.Command {
	var console consoleFlags
	cmd := &cobra.Command{
		Use:     "delete ID",
		Short:   "Forget a passkey of a running tracker",
		Long:    `Forget a passkey of a running tracker, and what was counted for it. To refuse it and keep that, revoke it.`,
		Example: `  waggle passkeys delete 0123456789abcdef`,
		Args:    oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := console.client()
			if err != nil {
				return err
			}
			defer c.Close()
			return c.DeletePasskey(cmd.Context(), args[0])
		},
	}
	cmd.Flags().SortFlags = false
	console.add(cmd.Flags())
	return cmd
}

func newPasskeysEditCommand() *cobra.Command {
	var o listing
	var name, note, expires string
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Change name, note or expiry of a passkey",
		Long:  `Change name, note or expiry of a passkey. What no flag names stays.`,
		Example: `  waggle passkeys edit 0123456789abcdef --name bert
  waggle passkeys edit 0123456789abcdef --expires 30d`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			edit := client.PasskeyEdit{Expires: expires}
			if cmd.Flags().Changed("name") {
				edit.Name = &name
			}
			if cmd.Flags().Changed("note") {
				edit.Note = &note
			}
			if expires != "" && expires != "never" {
				at, err := expiryIn(expires, time.Now())
				if err != nil {
					return usageError{fmt.Errorf("--expires: %w", err)}
				}
				edit.Expires = at.Format(time.RFC3339)
			}
			if edit == (client.PasskeyEdit{}) {
				return usageError{errors.New("say what to change: --name, --note or --expires")}
			}
			return actOnPasskey(cmd, &o, func(ctx context.Context, c *client.Client) (client.Passkey, error) {
				return c.EditPasskey(ctx, args[0], edit)
			})
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().StringVar(&name, "name", "", "whose it is")
	cmd.Flags().StringVar(&note, "note", "", "a note")
	cmd.Flags().StringVar(&expires, "expires", "", "how long it lasts from now on, such as 90d or 12h, or never")
	return cmd
}
