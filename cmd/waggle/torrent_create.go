package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"waggle/torrent"
)

// torrentCreation is the flags of "waggle torrent create".
type torrentCreation struct {
	announce  []string
	version   string
	output    string
	pieceSize string
	private   bool
	comment   string
	source    string
	webSeeds  []string
	name      string
	force     bool
	noDate    bool
}

func newTorrentCreateCommand() *cobra.Command {
	var c torrentCreation
	cmd := &cobra.Command{
		Use:   "create PATH -a URL",
		Short: "Make a .torrent file of a file or folder",
		Long: `Make a .torrent file of a file or folder.

Version 1 is what every client knows. Version 2 (BEP 52) has SHA-256 instead of
SHA-1, in a hash tree for each file: a client can tell which 16 KiB are damaged,
and which files two torrents share. A hybrid is both in one file, for old clients
and new, and has two info hashes. All cores hash, and files are read once.

The pieces are as large as suits the size of the whole, 16 KiB to 16 MiB, unless
--piece-size tells. A folder is taken with all files in it, hidden ones too. Links
to files within it are followed; other links, sockets and devices are refused. If
a file changes while it is read, no .torrent is made.

Each -a is a tier of its own: clients ask the trackers of the first tier, and
those of the next only if none of them answers. Trackers with a comma between
them are one tier, whose trackers clients ask in any order. Where a URL itself
has a comma, write %2C. URLs begin with udp, http, https, ws or wss.`,
		Example: `  waggle torrent create image.iso -a udp://tracker.example:6969
  waggle torrent create photos -a http://a.example/announce,http://b.example/announce -a udp://c.example:6969
  waggle torrent create image.iso -a udp://tracker.example:6969 --version hybrid
  waggle torrent create release -a https://tracker.example/announce --private --source EXAMPLE -o /srv/release.torrent`,
		Args: oneArgument("the file or folder to share"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&c.announce, "announce", "a", nil, "tracker `URL`, or several with commas; repeat for further tiers")
	flags.StringVar(&c.version, "version", "1", "`FORMAT`: 1, 2 or hybrid")
	flags.StringVarP(&c.output, "output", "o", "", "`FILE` to write (default: the name and .torrent, in this folder)")
	flags.StringVar(&c.pieceSize, "piece-size", "", "`SIZE`, a power of two such as 1MiB (default: chosen by size)")
	flags.BoolVar(&c.private, "private", false, "clients get peers from the trackers alone (BEP 27)")
	flags.StringVar(&c.comment, "comment", "", "`TEXT` for people")
	flags.StringVar(&c.source, "source", "", "`TEXT` that gives the same files another info hash")
	flags.StringArrayVar(&c.webSeeds, "web-seed", nil, "`URL` that serves the same files, ending in / for a folder; may be repeated")
	flags.StringVar(&c.name, "name", "", "`NAME` of the torrent (default: the last part of PATH)")
	flags.BoolVar(&c.force, "force", false, "replace the .torrent if there is one")
	flags.BoolVar(&c.noDate, "no-date", false, "do not tell when it was made, so that the same files give the same .torrent")
	return cmd
}

func (c *torrentCreation) run(cmd *cobra.Command, path string) error {
	options, err := c.options(path, time.Now())
	if err != nil {
		return usageError{err}
	}
	output, err := c.outputFor(path)
	if err != nil {
		return err
	}
	progress, done := newHashProgress(cmd.ErrOrStderr())
	options.Progress = progress
	b, err := torrent.Create(cmd.Context(), options)
	done()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("stopped before the end, and no .torrent was written: %w", err)
	}
	if err != nil {
		return err
	}
	made, err := torrent.Parse(b)
	if err != nil {
		return err
	}
	write := torrent.WriteNew
	if c.force {
		write = torrent.Replace
	}
	if err := write(output, b); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", output, hashesInWords(made))
	return err
}

// options turns the flags into what Create takes. Its errors are wrong usage.
func (c *torrentCreation) options(path string, now time.Time) (torrent.CreateOptions, error) {
	o := torrent.CreateOptions{
		Path:      path,
		Name:      c.name,
		Announce:  tiersOf(c.announce),
		WebSeeds:  c.webSeeds,
		Private:   c.private,
		Source:    c.source,
		Comment:   c.comment,
		CreatedBy: "waggle " + version,
	}
	if !c.noDate {
		o.CreationDate = now
	}
	if len(c.announce) == 0 {
		return o, errors.New("no tracker; name one with -a, such as -a udp://tracker.example:6969")
	}
	for _, v := range []torrent.Version{torrent.V1, torrent.V2, torrent.Hybrid} {
		if c.version == v.String() {
			o.Version = v
		}
	}
	if o.Version == 0 {
		return o, fmt.Errorf("--version: %q is none of 1, 2 and hybrid", c.version)
	}
	if c.pieceSize != "" {
		size, err := humanize.ParseBytes(c.pieceSize)
		if err != nil || size == 0 || size > math.MaxInt64 {
			return o, fmt.Errorf("--piece-size: %q is not a size; write it like 256KiB or 1MiB", c.pieceSize)
		}
		o.PieceLength = int64(size)
	}
	return o, o.Check()
}

// outputFor returns where to write, and refuses a place that would not do, before
// time goes into hashing.
func (c *torrentCreation) outputFor(path string) (string, error) {
	source, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	output := c.output
	if output == "" {
		name := c.name
		if name == "" {
			name = filepath.Base(source)
		}
		output = name + ".torrent"
	}
	if isWithin(source, output) {
		return "", fmt.Errorf("%s: would lie in what it describes; choose another place with -o", output)
	}
	stat, err := os.Stat(output)
	if err == nil && stat.IsDir() {
		return "", fmt.Errorf("%s: is a folder; name a file in it with -o", output)
	}
	if _, err := os.Lstat(output); err == nil && !c.force {
		return "", fmt.Errorf("%s: is there already; choose another name with -o, or replace it with --force: %w", output, fs.ErrExist)
	}
	folder := filepath.Dir(output)
	if stat, err := os.Stat(folder); err != nil || !stat.IsDir() {
		return "", fmt.Errorf("%s: there is no folder %s; make it first", output, folder)
	}
	return output, nil
}

// isWithin tells whether writing output would change source: they are one file,
// or output is at any depth in the folder source. It looks through links.
func isWithin(source, output string) bool {
	source, err := filepath.EvalSymlinks(source)
	if err != nil {
		return false // Create says what is wrong with it
	}
	folder, err := filepath.Abs(filepath.Dir(output))
	if err != nil {
		return false
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return false
	}
	way, err := filepath.Rel(source, filepath.Join(folder, filepath.Base(output)))
	if err == nil && way != ".." && !strings.HasPrefix(way, ".."+string(filepath.Separator)) {
		return true
	}
	a, errA := os.Stat(source)
	b, errB := os.Stat(output)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// newHashProgress returns what tells the progress of hashing on w, and what to
// call at its end: a bar on a terminal, else lines.
func newHashProgress(w io.Writer) (progress func(hashed, total int64), done func()) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return hashBar(w)
	}
	return hashLines(w, time.Now), func() {}
}

func hashBar(w io.Writer) (progress func(hashed, total int64), done func()) {
	var bar *progressbar.ProgressBar
	progress = func(hashed, total int64) {
		if bar == nil {
			bar = progressbar.NewOptions64(total,
				progressbar.OptionSetWriter(w),
				progressbar.OptionSetDescription("hashing"),
				progressbar.OptionShowBytes(true),
				progressbar.OptionShowCount(),
				progressbar.OptionUseIECUnits(true),
				progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionClearOnFinish())
		}
		_ = bar.Set64(hashed)
	}
	return progress, func() {
		if bar != nil {
			_ = bar.Clear()
			_ = bar.Exit()
		}
	}
}

// hashLines writes a line every five seconds, so none where hashing is soon done.
func hashLines(w io.Writer, now func() time.Time) func(hashed, total int64) {
	const interval = 5 * time.Second
	start := now()
	next := start.Add(interval)
	return func(hashed, total int64) {
		t := now()
		if t.Before(next) {
			return
		}
		next = t.Add(interval)
		rate := float64(hashed) / t.Sub(start).Seconds()
		_, _ = fmt.Fprintf(w, "hashed %s of %s (%d%%), %s/s\n",
			iec(hashed), iec(total), int(100*float64(hashed)/float64(total)), iec(int64(rate)))
	}
}
