package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waggle/console/client"
)

func newClusterCommand() *cobra.Command {
	var l listing
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Print the cluster of which a running tracker is an instance",
		Long: `Print the cluster of which a running tracker is an instance: what it is itself, which
one is master, and all that are alive, with the age of the last keepalive of each.
The sequence is how many requests an instance has recorded, since it was started; of
slaves their master alone knows it, by what they have told it, and the lag: how long
they take to record a request.
A cluster is made by the keys cluster.group and cluster.secret_file; docs/cluster.md
has more.`,
		Example: `  waggle cluster
  waggle cluster --json
  waggle cluster stepdown --console http://10.0.0.1:6970 --token-file ops.token`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withConsole(&l.console, func(c *client.Client) error {
				v, err := c.Cluster(cmd.Context())
				if err != nil {
					return err
				}
				if l.json {
					return printJSON(cmd.OutOrStdout(), v)
				}
				return printCluster(cmd.OutOrStdout(), &v)
			})
		},
	}
	l.add(cmd.Flags())
	cmd.AddCommand(
		clusterCommand("stepdown", "Have a running tracker that is master give its place to another",
			`Have a running tracker that is master give its place to another. It joins again as a
slave; peers wait for some seconds meanwhile. Where the console wants a token, this
takes that of an operator.`, (*client.Client).StepDown),
		clusterCommand("leave", "Have a running tracker leave its cluster",
			`Have a running tracker leave its cluster. It turns clients away until it is started
again, and the others go on; so its machine can be taken down. Where the console
wants a token, this takes that of an operator.`, (*client.Client).LeaveCluster),
	)
	return cmd
}

// clusterCommand is one that has the console do something.
func clusterCommand(use, short, long string, do func(*client.Client, context.Context) error) *cobra.Command {
	var console consoleFlags
	cmd := &cobra.Command{
		Use:     use,
		Short:   short,
		Long:    long,
		Example: "  waggle cluster " + use,
		Args:    knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withConsole(&console, func(c *client.Client) error { return do(c, cmd.Context()) })
		},
	}
	cmd.Flags().SortFlags = false
	console.add(cmd.Flags())
	return cmd
}

func printCluster(w io.Writer, v *client.Cluster) error {
	var t bytes.Buffer
	fmt.Fprintln(&t, "role\taddress\tkeepalive\tsequence\tlag\t  state\t  id")
	fmt.Fprintf(&t, "%s\t%s\t-\t%s\t-\t  this one\t  %s\n", v.Role, printable(v.Address), commas(int(v.Totals.Committed)), orDash(v.ID))
	for i := range v.Members {
		m := &v.Members[i]
		sequence := "-"
		if v.Role == client.ClusterMaster && m.Role == client.ClusterSlave {
			sequence = commas(int(m.Sequence))
		}
		fmt.Fprintf(&t, "%s\t%s\t%.1fs\t%s\t%s\t  %s\t  %s\n", m.Role, printable(m.Addr()), m.Keepalive, sequence, lagText(m.Lag), orDash(m.State), orDash(m.ID))
	}
	if err := printAligned(w, &t); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, strings.Join(clusterLines(v), "\n"))
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

// clusterLines say how a cluster is.
func clusterLines(v *client.Cluster) []string {
	how := "announces are taken in"
	switch {
	case v.Role == client.ClusterLeft:
		how = "this instance has left: start it again to join"
	case v.Electing:
		how = "a master is elected; nobody is answered meanwhile"
	case !v.Serving:
		how = "nobody is answered yet"
	}
	took := ""
	if v.Totals.Commit > 0 { // of a master
		took = ", in " + lagText(v.Totals.Commit) + " each"
	}
	lines := []string{
		fmt.Sprintf("%s; %s known; %s under way", how, count(v.Peers, "peer"), count(v.UnderWay, "request")),
		fmt.Sprintf("%s committed%s; %d sent again, %d asked again; %d refused, %d without room",
			commas(int(v.Totals.Committed)), took, v.Totals.Resent, v.Totals.Again, v.Totals.Refused, v.Totals.Full),
	}
	if f := &v.Totals; f.Bad+f.Forged+f.Replayed+f.Lost > 0 {
		lines = append(lines, fmt.Sprintf("not taken: %d of another secret, %d replayed, %d broken, %d without room", f.Forged, f.Replayed, f.Bad, f.Lost))
	}
	if v.Totals.Failed > 0 {
		lines = append(lines, fmt.Sprintf("%d packets could not be sent: %s", v.Totals.Failed, printable(v.Totals.Fault)))
	}
	if max(v.Ahead, -v.Ahead) >= 1 {
		lines = append(lines, fmt.Sprintf("the clock of this machine is %s off that of the cluster", time.Duration(max(v.Ahead, -v.Ahead)*float64(time.Second)).Round(time.Second)))
	}
	return lines
}
