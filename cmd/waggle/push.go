//go:build !function

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waggle/console/client"
	"waggle/peer"
	"waggle/swarm"
	"waggle/torrent"
)

// pushing is the flags of "waggle push".
type pushing struct {
	peerFlags
	trackers []string
	console  consoleFlags
	until    string
	keep     bool
	private  bool
	name     string
	profile  string
}

func newPushCommand() *cobra.Command {
	var p pushing
	cmd := &cobra.Command{
		Use:   "push PATH --tracker URL",
		Short: "Distribute a file or folder to many machines",
		Long: `Distribute a file or folder to many machines: make a torrent of it, upload the
.torrent to the tracker, seed, and follow the transfer until it has arrived. On
the other side waggle get NAME, or any BitTorrent client, fetches it.

--until tells when it has arrived: at a percentage, which is what all peers
together have, ours not counted (100%: all that came have everything, and one at
least came), or at a number of peers that have everything. A tracker that knows
the torrent already is no hindrance.

Where the tracker knows locations, racks that are not complete are shown as well,
and --profile says how their uplinks are spared: strict, balanced or parity. That
needs --private: other torrents find peers around the tracker.

With --json a line a second, and one at the end whose event is done, stopped or
failed; have and size are those of all other peers together. Lines whose event is
racks tell of racks that are not complete.`,
		Example: `  waggle push image.iso --tracker udp://tracker.example:6969
  waggle push release --tracker udp://10.0.0.1:6969 --console http://10.0.0.1:6970 --token-file token --until 40`,
		Args: oneArgument("the file or folder to distribute"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&p.trackers, "tracker", "t", nil, "announce `URL` of the tracker; repeat for further ones, each a tier")
	p.console.add(flags)
	flags.StringVar(&p.until, "until", "100%", "`SHARE` of what the others have, or how many have everything")
	flags.BoolVar(&p.keep, "keep", false, "go on seeding after that, until a signal")
	flags.BoolVar(&p.private, "private", false, "clients get peers from the tracker alone (BEP 27)")
	flags.StringVar(&p.name, "name", "", "`NAME` of the torrent (default: the last part of PATH)")
	flags.StringVar(&p.profile, "profile", "", "`PROFILE` of locality: strict, balanced or parity (default: the tracker's)")
	p.add(flags)
	return cmd
}

func (p *pushing) run(cmd *cobra.Command, path string) error {
	options, err := p.options()
	if err != nil {
		return err
	}
	goal, err := parseGoal(p.until)
	if err != nil {
		return usageError{err}
	}
	if p.profile != "" && !slices.Contains(swarm.Profiles, p.profile) {
		return usageError{fmt.Errorf("--profile: no profile is called %s; say %s", printable(p.profile), strings.Join(swarm.Profiles, ", "))}
	}
	if len(p.trackers) == 0 {
		return usageError{errors.New("no tracker; name one with --tracker, such as --tracker udp://tracker.example:6969")}
	}
	tracker, err := p.console.client()
	if err != nil {
		return err
	}
	defer tracker.Close()
	ctx := cmd.Context()
	metainfo, err := p.create(cmd, path)
	if err != nil {
		return err
	}
	d := newDisplay(cmd.OutOrStdout(), cmd.ErrOrStderr(), p.json)
	options.Say = d.say
	f := &following{tracker: tracker, goal: goal, display: d, rates: startRates(), others: startRates()}
	if f.before, err = p.upload(ctx, tracker, metainfo, d); err != nil {
		return err
	}
	return p.distribute(ctx, f, metainfo, path, options)
}

// create makes the torrent.
func (p *pushing) create(cmd *cobra.Command, path string) ([]byte, error) {
	o := torrent.CreateOptions{Path: path, Name: p.name, Private: p.private, CreatedBy: "waggle " + version}
	for _, u := range p.trackers {
		o.Announce = append(o.Announce, []string{u})
	}
	if err := o.Check(); err != nil {
		return nil, usageError{err}
	}
	progress, done := newHashProgress(cmd.ErrOrStderr())
	o.Progress = progress
	b, err := torrent.Create(cmd.Context(), o)
	done()
	if errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("stopped while hashing, and nothing was uploaded: %w", err)
	}
	return b, err
}

// upload gives the .torrent to the tracker, and returns the transfer as it is
// before anybody is told of it. One that the tracker knows goes on.
func (p *pushing) upload(ctx context.Context, c *client.Client, metainfo []byte, d *display) (client.Transfer, error) {
	m, err := torrent.Parse(metainfo)
	if err != nil {
		return client.Transfer{}, err
	}
	uploaded, err := c.UploadWithProfile(ctx, m.Name+".torrent", metainfo, p.profile)
	var problem *client.Problem
	known := errors.As(err, &problem) && problem.Status == http.StatusConflict && problem.InfoHash == m.InfoHash().String()
	if err != nil && !known {
		return client.Transfer{}, fmt.Errorf("uploading %s.torrent: %w", printable(m.Name), err)
	}
	for _, warning := range uploaded.Warnings {
		d.say(m.Name + ": " + warning)
	}
	t, err := c.Transfer(ctx, m.InfoHash())
	if err == nil && p.profile != "" && t.Profile != p.profile {
		t, err = c.SetProfile(ctx, m.InfoHash(), p.profile)
	}
	if err == nil && !t.Active {
		t, err = c.Activate(ctx, m.InfoHash())
	}
	if err != nil {
		return t, err
	}
	verb := "uploaded"
	if known {
		verb = "known to the tracker already"
	}
	d.finishPart(fmt.Sprintf("%s: %s, info hash %s", printable(m.Name), verb, m.InfoHash()))
	return t, nil
}

// distribute seeds until the goal is reached, or with --keep until ctx ends.
func (p *pushing) distribute(ctx context.Context, f *following, metainfo []byte, path string, o peer.Options) error {
	data, err := peer.OpenHashed(ctx, metainfo, path)
	if err != nil {
		return err
	}
	c, err := peer.New(o)
	if err != nil {
		return errors.Join(err, data.Close())
	}
	if f.torrent, err = c.Add(ctx, data); err != nil {
		return errors.Join(err, c.Close())
	}
	last, err := f.follow(ctx)
	name := printable(f.torrent.Metainfo().Name)
	if err == nil && p.keep {
		f.display.finishPart(fmt.Sprintf("%s: %s; seeding on until a signal", name, f.summary(&last)))
		last, err = f.keep(ctx)
	}
	err = errors.Join(err, c.Close())
	if err != nil {
		last.Error = err.Error()
	} else {
		last.Event, last.Path = "done", filepath.Clean(path)
	}
	words := ""
	if err == nil {
		words = fmt.Sprintf("%s: %s", name, f.summary(&last))
	}
	f.display.finish(last, words)
	return err
}

// goal is when a transfer has arrived.
type goal struct {
	share float64 // of what the others have, 0 to 1; 0: not asked for
	peers int     // that have everything; 0: not asked for
}

func parseGoal(text string) (goal, error) {
	if number, is := strings.CutSuffix(text, "%"); is {
		percent, err := strconv.ParseFloat(number, 64)
		if err == nil && percent > 0 && percent <= 100 {
			return goal{share: percent / 100}, nil
		}
	} else if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return goal{peers: n}, nil
	}
	return goal{}, fmt.Errorf("--until: %q is neither a percentage, such as 100%%, nor a number of peers, such as 40", text)
}

// arrival is how far the others are.
type arrival struct {
	others   int     // peers that the tracker knows now, without ours
	complete int     // that have everything, or had it when they left
	leechers int     // that have not
	share    float64 // of everything, that others have now; 1 where none is left that has not
	have     int64   // bytes, of all others together
}

// arrivalOf takes ourselves, who have everything, from a transfer's figures.
func arrivalOf(t, before *client.Transfer, us bool) arrival {
	ours := 0
	if us {
		ours = 1
	}
	a := arrival{others: max(t.Peers-ours, 0), leechers: t.Leechers + t.PartialSeeds}
	finished := 0
	if t.Downloaded > before.Downloaded {
		finished = int(t.Downloaded - before.Downloaded)
	}
	a.complete = max(t.Seeders-ours, finished, 0)
	a.have = max(int64(a.others)*t.Size-t.Left, 0)
	switch {
	case a.others > 0:
		a.share = float64(a.have) / (float64(a.others) * float64(max(t.Size, 1)))
	case a.complete > 0:
		a.share = 1
	}
	return a
}

func (g goal) reached(a arrival) bool {
	if g.peers > 0 {
		return a.complete >= g.peers
	}
	if g.share == 1 {
		return a.complete > 0 && a.leechers == 0
	}
	return a.share >= g.share
}

// following asks the tracker how far a transfer is.
type following struct {
	tracker *client.Client
	before  client.Transfer
	goal    goal
	torrent *peer.Torrent
	display *display
	rates   rates
	others  rates // of what all others fetch
	now     arrival
	racks   racksView
}

// askEvery is how often the tracker is asked.
const askEvery = time.Second

// follow returns once the goal is reached.
func (f *following) follow(ctx context.Context) (transferProgress, error) {
	return f.each(ctx, func() bool { return f.goal.reached(f.now) })
}

// keep goes on until ctx ends, which is no failure.
func (f *following) keep(ctx context.Context) (transferProgress, error) {
	last, err := f.each(ctx, func() bool { return false })
	if ctx.Err() != nil {
		err = nil
	}
	return last, err
}

func (f *following) each(ctx context.Context, over func() bool) (last transferProgress, err error) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	lost := ""
	for {
		select {
		case <-ctx.Done():
			last.Event = "stopped"
			return last, fmt.Errorf("stopped before %s", f.summary(&last))
		case <-f.torrent.Failed():
			last.Event = "failed"
			return last, f.torrent.Wait(context.WithoutCancel(ctx))
		case now := <-tick.C:
			t, err := f.ask(ctx)
			if err != nil && ctx.Err() == nil && err.Error() != lost {
				lost = err.Error() // a tracker that restarts comes back
				f.display.say("the transfer cannot be followed: " + lost)
			}
			if err != nil {
				continue
			}
			lost = ""
			last = f.look(&t, now)
			f.display.show(last, now)
			f.showRacks(ctx, now)
			if over() {
				return last, nil
			}
		}
	}
}

func (f *following) ask(ctx context.Context) (client.Transfer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return f.tracker.Transfer(ctx, f.before.InfoHash)
}

// look is how far the others are.
func (f *following) look(t *client.Transfer, now time.Time) transferProgress {
	s := f.torrent.Stats()
	f.now = arrivalOf(t, &f.before, t.Seeders > 0)
	p := transferProgress{
		Name: t.Name, InfoHash: t.InfoHash.String(), Phase: "pushing",
		Size: int64(f.now.others) * t.Size, Have: f.now.have,
		Uploaded: s.Uploaded, Peers: f.now.others, Seeders: max(f.now.complete, 0),
	}
	f.rates.measure(&p, now, func() int64 { return 0 }, func() int64 { return 0 })
	theirs := transferProgress{Downloaded: p.Have}
	f.others.measure(&theirs, now, func() int64 { return p.Size - p.Have }, func() int64 { return f.others.down })
	p.ETA = theirs.ETA
	return p
}

// summary is how far the others are, in words.
func (f *following) summary(p *transferProgress) string {
	return fmt.Sprintf("%s complete, %s incomplete, %s uploaded in %s",
		count(f.now.complete, "peer"), strconv.Itoa(f.now.leechers), iec(p.Uploaded), seconds(p.Elapsed))
}
