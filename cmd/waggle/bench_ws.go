package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newBenchWSCommand returns "waggle bench ws".
func newBenchWSCommand() *cobra.Command {
	l := benchLoad{protocol: "ws", distribution: "even"}
	cmd := &cobra.Command{
		Use:   "ws URL",
		Short: "Load a tracker over WebSocket, as browsers do",
		Long: `Load a tracker over WebSocket, as browsers that use WebTorrent do: each connection
is a peer of one torrent, announces with offers of real size, and answers the
offers that the tracker relays to it. First every peer connects and announces
once. Then any peer announces, over and over, for --duration. What is counted
are the messages of both directions; how long replies to announces take; and how
long it takes from an offer to its answer, by way of the tracker and both peers.

With --against a second tracker gets the same, in turn; what is compared are the
medians of the rounds.

With --idle there are so many connections more, which announce once and then only
answer offers. With --idle-for nobody announces for that long, before anything is
measured: how many connections the tracker has left open is printed, and its
memory (--pid) for each. With --connections 0 that is all.

All connections are files that are open, here and at the tracker: ulimit -n says
how many a process may have.`,
		Example: `  waggle bench ws ws://127.0.0.1:6969 --pid $(pidof waggle)
  waggle bench ws ws://127.0.0.1:6969 --connections 5000 --torrents 50 --rate 2000
  waggle bench ws ws://127.0.0.1:6969 --connections 0 --idle 10000 --idle-for 10s --pid $(pidof waggle)
  waggle bench ws ws://127.0.0.1:6969 --against ws://127.0.0.1:8000 --json`,
		Args: oneArgument("the URL of a tracker"),
		RunE: func(cmd *cobra.Command, args []string) error { return l.run(cmd, args[0]) },
	}
	l.addSignalFlags(cmd.Flags())
	return cmd
}

func (l *benchLoad) addSignalFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	o := &l.options
	o.Fill = true
	flags.IntVar(&l.connections, "connections", 1000, "connections that announce again and again")
	flags.IntVar(&o.Idle, "idle", 0, "connections that announce once, and stay")
	flags.DurationVar(&o.IdleFor, "idle-for", 0, "how long nobody announces, before anything is measured; 0 for not at all")
	flags.IntVar(&l.torrents, "torrents", 100, "`NUMBER` of torrents, over which the connections spread evenly")
	flags.Float64Var(&l.seeders, "seeders", 0.25, "`SHARE` of connections that are seeders, 0 to 1")
	flags.IntVar(&o.Offers, "offers", 5, "offers in an announce, 1 to 64")
	flags.IntVar(&l.scrapeEach, "scrape-each", 0, "announces for each scrape; 0 for no scrapes")
	flags.Uint64Var(&o.Seed, "seed", 1, "`NUMBER` that decides what is drawn")
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "how long a round is; 0 for until --announces")
	flags.Int64Var(&o.Announces, "announces", 0, "announces of a round at most; 0 for no limit")
	flags.IntVar(&o.Rounds, "rounds", 0, "rounds, of each tracker (default 1, and 5 with --against)")
	flags.Float64Var(&o.Rate, "rate", 0, "announces a second, in an open loop; 0 for as fast as replies come")
	flags.IntVar(&o.Window, "window", 0, "announces under way of a worker (default 32, and 4096 with --rate)")
	flags.DurationVar(&o.Timeout, "timeout", time.Second, "after which an announce counts as lost")
	flags.IntVar(&o.Workers, "workers", 1, "threads that load")
	flags.IntVar(&o.Sockets, "sockets", 16, "source addresses of a worker, at least, where the tracker is on this machine's 127.0.0.0/8")
	flags.StringVar(&l.against, "against", "", "`URL` of a tracker to compare with")
	flags.IntVar(&l.pid, "pid", 0, "`PID` of the tracker, for its CPU time and memory")
	flags.IntVar(&l.pidAgainst, "pid-against", 0, "`PID` of the tracker to compare with")
	flags.BoolVar(&o.Remote, "remote", false, "load a tracker that is not on this machine; see that it is yours")
	flags.BoolVar(&l.json, "json", false, "print JSON, with all figures")
}
