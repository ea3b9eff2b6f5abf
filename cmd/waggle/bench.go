package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"waggle/bench"
	"waggle/bench/echo"
	"waggle/bench/population"
)

// newBenchCommand returns "waggle bench" and what is below it.
func newBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a tracker and measure it",
		Long: `Load a tracker and measure it: answers a second, with how many peers in each, how
late, and at what cost of processor and memory.

Where the load shares the machine with the tracker, give each its own cores
(taskset), and name the tracker's process with --pid: answers per CPU second of
the tracker say what one core of it can do, whatever else the machine does.`,
		Example: `  waggle bench udp udp://127.0.0.1:6969
  waggle bench http http://127.0.0.1:6969/announce --against echo
  waggle bench ws ws://127.0.0.1:6969 --connections 5000`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchUDPCommand(), newBenchHTTPCommand(), newBenchWSCommand(), newBenchEchoCommand(), newBenchHashesCommand())
	return cmd
}

func newBenchUDPCommand() *cobra.Command {
	l := benchLoad{protocol: "udp"}
	cmd := &cobra.Command{
		Use:   "udp URL",
		Short: "Load a tracker over UDP",
		Long: `Load a tracker over UDP, with a window of requests under way on each socket, or
with --rate at a steady rate, where latency counts from when an announce was
meant to be sent. A path with a passkey, or a query with a token, is sent along
with each announce (BEP 41).` + benchLoadHelp,
		Example: `  waggle bench udp udp://127.0.0.1:6969 --pid $(pidof waggle)
  waggle bench udp udp://127.0.0.1:6969 --against echo --rounds 5 --duration 10s
  waggle bench udp udp://127.0.0.1:6969 --rate 50000 --distribution aquatic --json
  waggle bench udp udp://127.0.0.1:6969 --rate 50000 --spoofed 100000
  waggle bench udp udp://127.0.0.1:6969 --pid $(pidof waggle) --soak`,
		Args: oneArgument("the URL of a tracker"),
		RunE: func(cmd *cobra.Command, args []string) error { return l.run(cmd, args[0]) },
	}
	l.addFlags(cmd.Flags())
	cmd.Flags().Float64Var(&l.options.Spoofed, "spoofed", 0, "packets a second to send beside, with connection ids that nobody was given")
	cmd.Flags().IntVar(&l.options.Window, "window", 0, "requests under way on a socket (default 32, and 4096 with --rate)")
	return cmd
}

func newBenchHTTPCommand() *cobra.Command {
	l := benchLoad{protocol: "http"}
	cmd := &cobra.Command{
		Use:   "http URL",
		Short: "Load a tracker over HTTP",
		Long: `Load a tracker over HTTP, with connections that are kept alive, or with
--no-keepalive a connection for each announce. A tracker that closes its
connections all the same is connected to again.` + benchLoadHelp,
		Example: `  waggle bench http http://127.0.0.1:6969/announce --pid $(pidof waggle)
  waggle bench http http://127.0.0.1:6969/announce --no-keepalive --against http://127.0.0.1:7070/announce`,
		Args: oneArgument("the URL of a tracker"),
		RunE: func(cmd *cobra.Command, args []string) error { return l.run(cmd, args[0]) },
	}
	l.addFlags(cmd.Flags())
	cmd.Flags().IntVar(&l.options.Connections, "connections", 64, "connections of a worker")
	cmd.Flags().IntVar(&l.options.Pipeline, "pipeline", 1, "requests under way on a connection")
	cmd.Flags().BoolVar(&l.noKeepAlive, "no-keepalive", false, "a connection for each announce")
	return cmd
}

const benchLoadHelp = `

First every peer announces once, to fill the tracker. Then any peer announces,
over and over, for --duration. With --against a second tracker gets the same, in
turn; what is compared are the medians of the rounds. "echo" there stands for a
server that does no work, which is started for it.

Distributions:
  rank      100,000 torrents, of which the one of rank r is drawn with a weight of
            1/r; 400,000 peers, 25 % seeders, 30 peers wanted
  aquatic   that of aquatic's load test: 1,000,000 torrents, 2,000,000 peers, 75 %
            seeders, 30 peers wanted, a scrape for every 100 announces
  even      100 torrents of the same weight, 1,000 peers, 25 % seeders, 5 wanted

With --soak peers come and go until --announces or --duration, and the memory of
the tracker (--pid) is looked at: the exit code is 1 unless it stays within 5 %.
Let the tracker forget silent peers soon, and --warm-up be longer than that.`

// benchLoad is the flags of "waggle bench udp", "waggle bench http" and "waggle bench ws".
type benchLoad struct {
	protocol     string
	options      bench.Options
	distribution string
	torrents     int
	peers        int
	connections  int // WebSocket: that announce
	seeders      float64
	numWant      int32
	scrapeEach   int
	against      string
	pid          int
	pidAgainst   int
	noKeepAlive  bool
	soak         bool
	json         bool
}

// Defaults of a soak.
const (
	soakAnnounces = 24_000_000
	soakChurn     = 0.02
	soakWarmUp    = 30 * time.Second
)

func (l *benchLoad) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	o := &l.options
	flags.StringVar(&l.distribution, "distribution", "rank", "how peers spread over torrents: rank, aquatic or even")
	flags.IntVar(&l.torrents, "torrents", 0, "`NUMBER` of torrents (default: as the distribution has it)")
	flags.IntVar(&l.peers, "peers", 0, "`NUMBER` of peers (default: as the distribution has it)")
	flags.Float64Var(&l.seeders, "seeders", 0, "`SHARE` of peers that are seeders, 0 to 1 (default: as the distribution has it)")
	flags.Int32Var(&l.numWant, "numwant", 0, "peers wanted in an answer (default: as the distribution has it)")
	flags.IntVar(&l.scrapeEach, "scrape-each", 0, "announces for each scrape; 0 for no scrapes (default: as the distribution has it)")
	flags.Uint64Var(&o.Seed, "seed", 1, "`NUMBER` that decides what is drawn")
	flags.BoolVar(&o.Fill, "fill", true, "let each peer announce once, before anything is measured")
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "how long a round is; 0 for until --announces")
	flags.Int64Var(&o.Announces, "announces", 0, "announces of a round at most; 0 for no limit")
	flags.IntVar(&o.Rounds, "rounds", 0, "rounds, of each tracker (default 1, and 5 with --against)")
	flags.Float64Var(&o.Rate, "rate", 0, "announces a second, in an open loop; 0 for as fast as answers come")
	flags.DurationVar(&o.Timeout, "timeout", time.Second, "after which a request counts as lost")
	flags.IntVar(&o.Workers, "workers", 1, "threads that load")
	flags.IntVar(&o.Sockets, "sockets", 4, "source addresses of a worker, at least; over UDP a socket each. More suit a tracker with many threads")
	flags.StringVar(&l.against, "against", "", "`URL` of a tracker to compare with, or echo")
	flags.IntVar(&l.pid, "pid", 0, "`PID` of the tracker, for its CPU time and memory")
	flags.IntVar(&l.pidAgainst, "pid-against", 0, "`PID` of the tracker to compare with")
	flags.BoolVar(&l.soak, "soak", false, "let peers come and go, and look at the tracker's memory")
	flags.Float64Var(&o.Churn, "churn", 0, "`SHARE` of announces that end a peer's stay, 0 to 1 (default 0, and 0.02 with --soak)")
	flags.DurationVar(&o.WarmUp, "warm-up", 0, "how long memory is not looked at yet (default 30s with --soak)")
	flags.BoolVar(&o.Remote, "remote", false, "load a tracker that is not on this machine; see that it is yours")
	flags.BoolVar(&l.json, "json", false, "print JSON, with all figures")
}

func (l *benchLoad) run(cmd *cobra.Command, target string) error {
	if err := l.complete(cmd.Flags(), target); err != nil {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	}
	targets := []bench.Target{{URL: target, PID: l.pid}}
	if l.against != "" {
		second := bench.Target{URL: l.against, PID: l.pidAgainst}
		if l.against == "echo" {
			e, err := startEcho(cmd.Context(), l.protocol)
			if err != nil {
				return err
			}
			defer e.stop()
			second = bench.Target{URL: e.url, PID: e.pid}
		}
		targets = append(targets, second)
	}
	l.options.Progress = progressLines(cmd.ErrOrStderr())
	report, err := bench.Run(cmd.Context(), targets, l.options)
	if report == nil {
		return err
	}
	if printed := l.print(cmd.OutOrStdout(), report); printed != nil {
		return printed
	}
	return errors.Join(err, l.verdict(report))
}

// complete works out what flags leave open. Its errors are wrong usage.
func (l *benchLoad) complete(flags *pflag.FlagSet, target string) error {
	for _, u := range []string{target, l.against} {
		if parsed, err := url.Parse(u); u != "" && u != "echo" && (err != nil || parsed.Scheme != l.protocol) {
			return fmt.Errorf("%q is no URL that begins with %s://", u, l.protocol)
		}
	}
	if l.against == "echo" && l.protocol == "ws" {
		return errors.New("there is no echo over WebSocket: compare with the URL of a tracker")
	}
	d, err := population.Named(l.distribution)
	if err != nil {
		return err
	}
	for name, set := range map[string]func(){
		"torrents":    func() { d.Torrents = l.torrents },
		"peers":       func() { d.Peers = l.peers },
		"seeders":     func() { d.Seeders = l.seeders },
		"numwant":     func() { d.NumWant = l.numWant },
		"scrape-each": func() { d.ScrapeEach = l.scrapeEach },
	} {
		if flags.Changed(name) {
			set()
		}
	}
	o := &l.options
	if l.protocol == "ws" {
		d.Peers = l.connections + o.Idle
	}
	o.Distribution = d
	if l.noKeepAlive {
		o.Connection = bench.OneAnnounce
	}
	if l.against != "" && !flags.Changed("rounds") {
		o.Rounds = 5
	}
	l.completeSoak(flags)
	return o.Check()
}

func (l *benchLoad) completeSoak(flags *pflag.FlagSet) {
	if !l.soak {
		return
	}
	o := &l.options
	if !flags.Changed("churn") {
		o.Churn = soakChurn
	}
	if !flags.Changed("warm-up") {
		o.WarmUp = soakWarmUp
	}
	if !flags.Changed("duration") {
		o.Duration = 0
		if o.Announces == 0 {
			o.Announces = soakAnnounces
		}
	}
}

func (l *benchLoad) print(w io.Writer, report *bench.Report) error {
	if !l.json {
		return report.WriteTable(w)
	}
	return printJSON(w, report)
}

// verdict is an error where a soak finds that memory has not stayed.
func (l *benchLoad) verdict(report *bench.Report) error {
	m := report.Results[0].Memory
	switch {
	case !l.soak || l.pid == 0 || report.Interrupted:
		return nil
	case m == nil || m.Samples == 0:
		return fmt.Errorf("the soak was over before it had warmed up (%v), so its memory was not looked at: let it run longer", l.options.WarmUp)
	case !m.Flat:
		return fmt.Errorf("the memory of process %d did not stay within 5 %%: its spread is %.1f %%", l.pid, 100*m.Spread)
	}
	return nil
}

// progressLines returns what writes progress: a line a second on a terminal, and
// otherwise one every ten.
func progressLines(w io.Writer) func(bench.Progress) {
	interval := 10 * time.Second
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		interval = time.Second
	}
	var last bench.Progress
	return func(p bench.Progress) {
		same := p.URL == last.URL && p.Phase == last.Phase && p.Round == last.Round
		since := p.Elapsed
		if same {
			since -= last.Elapsed
		}
		if since < interval-interval/10 {
			return
		}
		last = p
		what := p.Phase
		if p.Round > 0 && p.Rounds > 1 {
			what = fmt.Sprintf("round %d of %d", p.Round, p.Rounds)
		}
		_, _ = fmt.Fprintf(w, "%s: %s, %v: %s answers, %s/s\n", p.URL, what,
			p.Elapsed.Round(time.Second), humanize.Comma(p.Answers), humanize.Comma(int64(p.Rate)))
	}
}

// echoProcess is an echo that runs as a process of its own, so that its CPU time can
// be told from that of the load.
type echoProcess struct {
	url  string
	pid  int
	stop func()
}

// startEcho starts "waggle bench echo".
func startEcho(ctx context.Context, protocol string) (*echoProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("starting the echo: %w", err)
	}
	// It ends when its standard input does: with this process, however that ends.
	child := exec.CommandContext(ctx, program, "bench", "echo", protocol, "--listen", "127.0.0.1:0", "--until-eof")
	child.Stderr = os.Stderr
	in, errIn := child.StdinPipe()
	out, errOut := child.StdoutPipe()
	if err := errors.Join(errIn, errOut, child.Start()); err != nil {
		return nil, fmt.Errorf("starting the echo: %w", err)
	}
	stop := func() {
		_ = in.Close()
		_ = child.Wait() // it was of use, whatever it says now
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return nil, fmt.Errorf("the echo did not start: %w", err)
	}
	return &echoProcess{strings.TrimSpace(line), child.Process.Pid, stop}, nil
}

// benchEcho is the flags of "waggle bench echo".
type benchEcho struct {
	listen   string
	peers    int
	sockets  int
	untilEOF bool
}

func newBenchEchoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "echo",
		Short: "Answer announces without any work: the limit to compare with",
		Long: `Answer announces without any work: the limit to compare a tracker with. Loads start
it by themselves with --against echo.`,
		Example: `  waggle bench echo udp --listen 127.0.0.1:7070
  waggle bench udp udp://127.0.0.1:7070`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, protocol := range []string{"udp", "http"} {
		cmd.AddCommand(newBenchEchoProtocolCommand(protocol))
	}
	return cmd
}

func newBenchEchoProtocolCommand(protocol string) *cobra.Command {
	var e benchEcho
	long := `Answer every announce with the same bytes, in batches of up to 64 packets a system
call, from a thread of its own for each socket. The URL is printed first.`
	if protocol == "http" {
		long = `Answer every announce with the same bytes, from a handler of Go's net/http that
does nothing else. The URL is printed first.`
	}
	cmd := &cobra.Command{
		Use:     protocol,
		Short:   "Answer announces over " + strings.ToUpper(protocol) + " without any work",
		Long:    long,
		Example: "  waggle bench echo " + protocol + " --listen 127.0.0.1:7070",
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.run(cmd, protocol) },
	}
	cmd.Flags().StringVar(&e.listen, "listen", "127.0.0.1:0", "`ADDRESS` and port; port 0 for any")
	cmd.Flags().IntVar(&e.peers, "peers", 30, "peers in each answer, 0 to 200")
	if protocol == "udp" {
		cmd.Flags().IntVar(&e.sockets, "sockets", 1, "sockets at the address, with a thread each (Linux)")
	}
	cmd.Flags().BoolVar(&e.untilEOF, "until-eof", false, "stop when standard input ends")
	return cmd
}

// echoServer is an echo of either protocol.
type echoServer interface {
	Addr() netip.AddrPort
	Serve(ctx context.Context) error
}

func (e *benchEcho) run(cmd *cobra.Command, protocol string) error {
	addr, err := netip.ParseAddrPort(e.listen)
	if err != nil || e.peers < 0 || e.peers > 200 || (protocol == "udp" && (e.sockets < 1 || e.sockets > 1024)) {
		return usageError{fmt.Errorf("want --listen like 127.0.0.1:7070, --peers 0 to 200 and --sockets 1 to 1024; see %s --help", cmd.CommandPath())}
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	var server echoServer
	if protocol == "udp" {
		server, err = echo.ListenUDP(addr, e.sockets, e.peers)
	} else {
		server, err = echo.ListenHTTP(ctx, addr, e.peers)
	}
	if err != nil {
		return err
	}
	if e.untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, cmd.InOrStdin())
			cancel()
		}()
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s://%v/announce\n", protocol, server.Addr()); err != nil {
		return err
	}
	return server.Serve(ctx)
}

func newBenchHashesCommand() *cobra.Command {
	var name string
	var torrents int
	var seed uint64
	cmd := &cobra.Command{
		Use:   "hashes",
		Short: "Print the info hashes of a load, for trackers that want a list",
		Long: `Print the info hashes of the torrents that a load announces, one in hexadecimal
digits a line: what a tracker needs that answers for listed torrents only.`,
		Example: `  waggle bench hashes --distribution rank > whitelist.txt
  waggle bench hashes --torrents 1000000 --seed 7`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := population.Named(name)
			if err != nil {
				return usageError{err}
			}
			if cmd.Flags().Changed("torrents") {
				d.Torrents = torrents
			}
			if err := d.Check(); err != nil {
				return usageError{err}
			}
			return printHashes(cmd.OutOrStdout(), seed, d.Torrents)
		},
	}
	cmd.Flags().StringVar(&name, "distribution", "rank", "rank, aquatic or even")
	cmd.Flags().IntVar(&torrents, "torrents", 0, "`NUMBER` of torrents (default: as the distribution has it)")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "`NUMBER` that the load is given")
	return cmd
}

func printHashes(w io.Writer, seed uint64, torrents int) error {
	lines := bufio.NewWriter(w)
	for torrent := range torrents {
		_, _ = fmt.Fprintln(lines, population.InfoHash(seed, torrent)) // Flush tells
	}
	return lines.Flush()
}
