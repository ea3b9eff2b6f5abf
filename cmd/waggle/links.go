package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waggle/console/client"
)

func newLinksCommand() *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "links",
		Short: "Print the links of a running tracker with others",
		Long: `Print the links of a running tracker with others: how each is and since when, the
peers that are known through it, changes of peers and bytes in and out a second,
how far the other end is behind, when both last mended what one of them lacked, and
what is wrong. "waggle link" makes and ends them.

A link is active, healing while both ends compare what they know, connecting before
they were ever connected, split while they are not any more, or refused.`,
		Example: `  waggle links
  waggle links --json`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withConsole(&l.console, func(c *client.Client) error {
				all, err := c.Links(cmd.Context())
				if err != nil {
					return err
				}
				if l.json {
					return printJSON(cmd.OutOrStdout(), all)
				}
				return printLinks(cmd.OutOrStdout(), &all, time.Now())
			})
		},
	}
	l.add(cmd.Flags())
	return cmd
}

func printLinks(w io.Writer, all *client.Links, now time.Time) error {
	known := "no links" // and peers are not counted
	if len(all.Links) > 0 {
		known = fmt.Sprintf("%s announced here, %s at others", count(all.Own, "peer"), commas(all.Relayed))
	}
	if _, err := fmt.Fprintf(w, "%s: %s; %s\n", printable(all.Name), known, standing(all)); err != nil {
		return err
	}
	if len(all.Links)+len(all.Invited) == 0 {
		return nil
	}
	var t bytes.Buffer
	fmt.Fprintln(&t, "role\tstate\tsince\tpeers\tchanges in/s\tout/s\tbytes in/s\tout/s\tlag\tlast heal\twaiting\t  name")
	for i := range all.Links {
		l := &all.Links[i]
		heal := "-"
		if l.LastHeal != nil {
			heal = ago(l.LastHeal.At, now)
		}
		fmt.Fprintf(&t, "%s\t%s\t%s\t%s\t%.1f\t%.1f\t%s\t%s\t%s\t%s\t%s\t  %s\n", l.Role, l.State, ago(l.Since, now), commas(l.Peers), l.ChangesIn, l.ChangesOut,
			iec(int64(l.BytesIn)), iec(int64(l.BytesOut)), lagText(l.Lag), heal, commas(l.Waiting), printable(l.Name))
	}
	for i := range all.Invited {
		invited := &all.Invited[i]
		fmt.Fprintf(&t, "leaf\tinvited\t%s\t-\t-\t-\t-\t-\t-\t-\t-\t  %s\n", ago(invited.At, now), printable(invited.Name))
	}
	if err := printAligned(w, &t); err != nil {
		return err
	}
	return printWrongs(w, all.Links)
}

// standing says where a tracker stands in the tree.
func standing(all *client.Links) string {
	parts := []string{"no hub"}
	if hub := all.HubText(); hub != "" {
		parts[0] = "leaf of " + printable(hub)
	}
	if len(all.Listening) > 0 {
		parts = append(parts, "leaves join at "+printable(strings.Join(all.Listening, ", ")))
	}
	return strings.Join(parts, ", ")
}

// printWrongs prints what is wrong with links, a line each.
func printWrongs(w io.Writer, links []client.Link) error {
	for i := range links {
		l := &links[i]
		wrong := printable(l.Why)
		if l.Capped > 0 {
			wrong = strings.TrimPrefix(wrong+fmt.Sprintf("; %d changes were not taken in, as it told of more peers than it may", l.Capped), "; ")
		}
		if wrong == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", printable(l.Name), wrong); err != nil {
			return err
		}
	}
	return nil
}

// lagText writes seconds of which there may be a small part.
func lagText(seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Microsecond).String()
}
