package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/simulate"
)

// simulateFlags is the flags of "waggle simulate".
type simulateFlags struct {
	options  simulate.Options
	policies []string

	racks, hosts, rows int
	hostSpeed, uplink  string
	oversubscription   float64
	size, piece        string

	kill, leave []string
	late        string
	slow        string

	replay string
	svg    string
	json   bool
}

func newSimulateCommand() *cobra.Command {
	var s simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate [TOPOLOGY.yaml]",
		Short: "See how a file would spread over a data centre",
		Long: `See how a file would spread over a data centre: how soon, and at what cost of each
uplink. Who is told of whom is decided by the code that decides it in "waggle
serve"; clients and network are simulated, a piece at a time.

The data centre is that of a file, or one of --racks that are alike. The first
host of the first rack has the file, all others want it.

Policies:
  strict, balanced, parity  waggle's profiles (locality.profile)
  random                    any tracker that knows no locations
  subnet-first              those of the own rack first, then others
  p2ptracker                the tracker of that name, as it is coded

The same --seed gives the same result. With --replay, announces that a tracker
recorded (announce.record) are put to the policies instead.

A topology file:
  levels: [row, rack]          # outermost first
  host: 1Gbit                  # or {up: 1Gbit, down: 10Gbit}
  uplink: {row: 40Gbit}        # of the groups of a level, unless they say otherwise
  oversubscription: {rack: 5}  # the same, as the hosts' speed divided by the uplink's
  groups:
    - {name: row1, groups: [{name: rack, count: 10, hosts: 40}]}
    - name: row2
      uplink: 10Gbit
      groups:
        - {name: old, hosts: 20, host: 100Mbit, uplink: 1Gbit}`,
		Example: `  waggle simulate --racks 100 --hosts 40 --size 2GB --svg rollout.svg
  waggle simulate --policy strict,p2ptracker --host-speed 100Mbit --kill representatives@14s
  waggle simulate --policy balanced --late 10%@60s --leave seeds@2m datacentre.yaml
  waggle simulate --replay announces.jsonl --policy strict,balanced`,
		Args: cobra.ArbitraryArgs,
		RunE: s.run,
	}
	s.addFlags(cmd.Flags())
	return cmd
}

func (s *simulateFlags) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	o := &s.options
	flags.StringSliceVar(&s.policies, "policy", simulate.Policies, "`POLICIES` to compare, with commas between them")
	flags.IntVar(&s.racks, "racks", 20, "`NUMBER` of racks")
	flags.IntVar(&s.hosts, "hosts", 20, "`NUMBER` of hosts in each rack")
	flags.IntVar(&s.rows, "rows", 0, "`NUMBER` of rows that the racks are spread over; 0 for no rows")
	flags.StringVar(&s.hostSpeed, "host-speed", "1Gbit", "`SPEED` of a host, in each direction")
	flags.StringVar(&s.uplink, "uplink", "", "`SPEED` of a rack's uplink, in each direction (default: by --oversubscription)")
	flags.Float64Var(&s.oversubscription, "oversubscription", 5, "`TIMES` that a rack's hosts together are faster than its uplink")
	flags.StringVar(&s.size, "size", "500MB", "`SIZE` of the file")
	flags.StringVar(&s.piece, "piece", "1MB", "`SIZE` of a piece")
	flags.Uint64Var(&o.Seed, "seed", 1, "`NUMBER` that decides all chance")
	flags.DurationVar(&o.Stagger, "stagger", time.Second, "over how long the starts of the hosts are spread")
	flags.StringVar(&s.late, "late", "", "`SHARE@TIME`: hosts that start later, such as 10%@60s")
	flags.StringSliceVar(&s.kill, "kill", nil, "`WHOM@TIME`: hosts that die, such as representatives@14s; also seeds, origin, or a group's path")
	flags.StringSliceVar(&s.leave, "leave", nil, "`WHOM@TIME`: hosts whose clients stop and say so")
	flags.DurationVar(&o.SeedTime, "seed-time", 0, "how long hosts stay once they are complete; 0 for good")
	flags.StringVar(&s.slow, "slow", "0%", "`SHARE` of the clients that announce every 5 minutes at most, whatever they are told")
	flags.IntVar(&o.Slots, "slots", 8, "`NUMBER` of neighbours that a client uploads to at a time")
	flags.IntVar(&o.Connections, "connections", 50, "`NUMBER` of connections of a client")
	flags.IntVar(&o.NumWant, "numwant", 50, "`NUMBER` of peers that a client asks for")
	flags.DurationVar(&o.Active, "active-interval", 15*time.Second, "between announces of whom others depend on, under waggle's profiles")
	flags.DurationVar(&o.Passive, "passive-interval", 5*time.Minute, "between announces of others, under waggle's profiles")
	flags.IntVar(&o.Importers, "importers", 0, "`NUMBER` of peers of a group that may download across its uplink; 0 for what the profile says")
	flags.IntVar(&o.Edges, "edges", 0, "`NUMBER` of peers outside its rack that an importer is told of; 0 for what the profile says")
	flags.IntVar(&o.Standby, "standby", 0, "`NUMBER` of peers of a rack that stand by to take an importer's place; 0 for what the profile says")
	flags.DurationVar(&o.Usual, "interval", 30*time.Minute, "between announces under random and subnet-first")
	flags.DurationVar(&o.Limit, "limit", 24*time.Hour, "simulated time after which to stop")
	flags.StringVar(&s.replay, "replay", "", "put the announces of a `FILE` to the policies, instead of simulating")
	flags.StringVar(&s.svg, "svg", "", "draw the result to a `FILE`")
	flags.BoolVar(&s.json, "json", false, "print JSON, with every uplink and every host's time")
}

func (s *simulateFlags) run(cmd *cobra.Command, args []string) error {
	if s.replay != "" {
		return s.runReplay(cmd, args)
	}
	if err := s.complete(cmd, args); err != nil {
		return err
	}
	for _, policy := range s.policies {
		if err := s.options.Check(policy); err != nil {
			return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
		}
	}
	picture, err := createPicture(s.svg)
	if err != nil {
		return err
	}
	progress := newSimulateProgress(cmd.ErrOrStderr())
	s.options.Progress = progress.show
	reports, err := simulate.Compare(cmd.Context(), s.policies, s.options)
	progress.clear()
	if err != nil {
		return errors.Join(err, picture.discard())
	}
	if err := picture.draw(reports); err != nil {
		return err
	}
	return s.print(cmd.OutOrStdout(), reports)
}

// complete works out the options that flags give in words.
func (s *simulateFlags) complete(cmd *cobra.Command, args []string) (err error) {
	o := &s.options
	usage := func(err error) error { return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())} }
	if o.Size, err = simulate.ParseSize(s.size); err != nil {
		return usage(fmt.Errorf("--size: %w", err))
	}
	if o.Piece, err = simulate.ParseSize(s.piece); err != nil {
		return usage(fmt.Errorf("--piece: %w", err))
	}
	if err := errors.Join(s.lateOnes(), s.events(simulate.Kill, "--kill", s.kill), s.events(simulate.Leave, "--leave", s.leave)); err != nil {
		return usage(err)
	}
	if len(args) == 0 {
		if o.Topology, err = s.grid(cmd.Flags()); err != nil {
			return usage(err)
		}
		return nil
	}
	for _, name := range []string{"racks", "hosts", "rows", "host-speed", "uplink", "oversubscription"} {
		if cmd.Flags().Changed(name) {
			return usage(fmt.Errorf("--%s does not go with a topology file, which says that itself", name))
		}
	}
	if len(args) > 1 {
		return usage(fmt.Errorf("%s wants one topology file, not %d", cmd.CommandPath(), len(args)))
	}
	o.Topology, err = readTopology(args[0])
	return err
}

func readTopology(path string) (*simulate.Topology, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return simulate.ReadTopology(f, path)
}

// grid returns the data centre that the flags describe.
func (s *simulateFlags) grid(flags *pflag.FlagSet) (*simulate.Topology, error) {
	host, err := simulate.ParseSpeed(s.hostSpeed)
	if err != nil {
		return nil, fmt.Errorf("--host-speed: %w", err)
	}
	switch {
	case s.uplink != "" && flags.Changed("oversubscription"):
		return nil, errors.New("--uplink and --oversubscription say the same: give one of them")
	case !(s.oversubscription > 0 && s.oversubscription <= 1e6):
		return nil, fmt.Errorf("--oversubscription %v: want a number above 0", s.oversubscription)
	}
	uplink := int64(max(float64(host)*float64(s.hosts)/s.oversubscription, 1))
	if s.uplink != "" {
		if uplink, err = simulate.ParseSpeed(s.uplink); err != nil {
			return nil, fmt.Errorf("--uplink: %w", err)
		}
	}
	return simulate.Grid(s.rows, s.racks, s.hosts, simulate.Both(host), simulate.Both(uplink))
}

// lateOnes reads what is said of hosts that are late or slow.
func (s *simulateFlags) lateOnes() error {
	if s.late != "" {
		late, err := simulate.ParseLate(s.late)
		if err != nil {
			return fmt.Errorf("--late: %w", err)
		}
		s.options.Late = late
	}
	slow, err := simulate.ParseLate(s.slow + "@0s")
	if err != nil {
		return fmt.Errorf("--slow: %q is no share: want, for example, 20%%", s.slow)
	}
	s.options.SlowShare = slow.Share
	return nil
}

func (s *simulateFlags) events(fate simulate.Fate, flag string, events []string) error {
	for _, text := range events {
		e, err := simulate.ParseEvent(fate, text)
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		s.options.Events = append(s.options.Events, e)
	}
	return nil
}

func (s *simulateFlags) print(w io.Writer, reports []*simulate.Report) error {
	if s.json {
		return printJSON(w, reports)
	}
	if err := simulate.WriteTable(w, reports); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(simulateLegend))
	return err
}

const simulateLegend = `
Into a rack: bytes over its uplink, as a multiple of the file, the origin's rack left
out; out of the origin's rack in the same way. Seconds above 90 % of an uplink's speed:
of a rack, on average and at most. Left behind: hosts that live and lack something.`
