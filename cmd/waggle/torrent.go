package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"waggle/bittorrent"
	"waggle/torrent"
)

// newTorrentCommand returns "waggle torrent" and what is below it.
func newTorrentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "torrent",
		Short: "Make and print .torrent files",
		Long: `Make and print .torrent files.

A .torrent file names the files that peers pass on, the hashes of their pieces,
and the trackers at which the peers meet.`,
		Example: `  waggle torrent create image.iso -a udp://tracker.example:6969
  waggle torrent show image.iso.torrent`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTorrentCreateCommand(), newTorrentShowCommand())
	return cmd
}

// torrentCreation is the flags of "waggle torrent create".
type torrentCreation struct {
	announce  []string
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

All cores hash. The pieces are as large as suits the size of the whole, 16 KiB to
16 MiB, unless --piece-size tells. A folder is taken with all files in it, hidden
ones too. Links to files within it are followed; other links, sockets and devices
are refused. If a file changes while it is read, no .torrent is made.

Each -a is a tier of its own: clients ask the trackers of the first tier, and
those of the next only if none of them answers. Trackers with a comma between
them are one tier, whose trackers clients ask in any order. Where a URL itself
has a comma, write %2C. URLs begin with udp, http, https, ws or wss.`,
		Example: `  waggle torrent create image.iso -a udp://tracker.example:6969
  waggle torrent create photos -a http://a.example/announce,http://b.example/announce -a udp://c.example:6969
  waggle torrent create release -a https://tracker.example/announce --private --source EXAMPLE -o /srv/release.torrent`,
		Args: oneArgument("the file or folder to share"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&c.announce, "announce", "a", nil, "tracker `URL`, or several with commas; repeat for further tiers")
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
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: info hash %s\n", output, made.InfoHash())
	return err
}

// options turns the flags into what Create takes. Its errors are wrong usage.
func (c *torrentCreation) options(path string, now time.Time) (torrent.CreateOptions, error) {
	o := torrent.CreateOptions{
		Path:      path,
		Name:      c.name,
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
	for _, tier := range c.announce {
		o.Announce = append(o.Announce, strings.Split(tier, ","))
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

// torrentPrinting is the flags of "waggle torrent show".
type torrentPrinting struct {
	json  bool
	files bool
}

func newTorrentShowCommand() *cobra.Command {
	var p torrentPrinting
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print what a .torrent file says",
		Long: `Print what a .torrent file says: name, info hash, sizes, trackers by tier, files,
and a magnet link. Torrents of version 1, version 2 and hybrid ones are read.

With --json the output is one object. Lengths are in bytes; announce_list holds
the tiers; info_hash is the hash by which trackers know the torrent, and
info_hash_v2 the whole hash of version 2; keys without a value are left out.`,
		Example: `  waggle torrent show image.iso.torrent
  waggle torrent show --json image.iso.torrent | jq -r .info_hash`,
		Args: oneArgument("a .torrent file"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"torrent"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := torrent.Read(args[0])
			if err != nil {
				return err
			}
			return p.print(cmd.OutOrStdout(), m)
		},
	}
	cmd.Flags().BoolVar(&p.json, "json", false, "print JSON, with all files")
	cmd.Flags().BoolVar(&p.files, "files", false, "print all files, not just the first 20")
	return cmd
}

func (p *torrentPrinting) print(w io.Writer, m *torrent.Metainfo) error {
	if p.json {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(torrentInJSON(m))
	}
	_, err := io.WriteString(w, p.text(m))
	return err
}

func (p *torrentPrinting) text(m *torrent.Metainfo) string {
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-13s %s\n", name, printable(value))
		}
	}
	field("Name", m.Name)
	field("Info hash", m.InfoHash().String())
	if m.Version != torrent.V1 {
		field("Info hash v2", m.InfoHashV2.String())
	}
	field("Version", m.Version.String())
	field("Size", fmt.Sprintf("%s (%s bytes) in %s", iec(m.Length), humanize.Comma(m.Length), count(len(m.Files), "file")))
	field("Pieces", fmt.Sprintf("%s of %s", humanize.Comma(m.PieceCount), iec(m.PieceLength)))
	field("Private", map[bool]string{true: "yes", false: "no"}[m.Private])
	field("Source", m.Source)
	field("Comment", m.Comment)
	if !m.CreationDate.IsZero() {
		field("Created", m.CreationDate.Format("2006-01-02 15:04:05 MST"))
	}
	field("Created by", m.CreatedBy)
	for i, tier := range m.Trackers() {
		for _, tracker := range tier {
			field("Tracker "+strconv.Itoa(i+1), tracker)
		}
	}
	for _, seed := range m.WebSeeds {
		field("Web seed", seed)
	}
	field("Magnet", m.Magnet())
	p.appendFiles(&b, m)
	return b.String()
}

func (p *torrentPrinting) appendFiles(b *strings.Builder, m *torrent.Metainfo) {
	const limit = 20
	shown := m.Files
	if len(shown) > limit && !p.files {
		shown = shown[:limit]
	}
	b.WriteString("Files\n")
	for _, f := range shown {
		fmt.Fprintf(b, "  %10s  %s\n", iec(f.Length), printable(f.Path))
	}
	if rest := len(m.Files) - len(shown); rest > 0 {
		fmt.Fprintf(b, "  and %s more; --files prints all\n", count(rest, "file"))
	}
}

// torrentJSON is what "waggle torrent show --json" prints. Its names stay.
type torrentJSON struct {
	Name         string              `json:"name"`
	InfoHash     bittorrent.InfoHash `json:"info_hash"`
	InfoHashV2   string              `json:"info_hash_v2,omitempty"`
	Version      string              `json:"version"`
	Length       int64               `json:"length"`
	PieceLength  int64               `json:"piece_length"`
	Pieces       int64               `json:"pieces"`
	Private      bool                `json:"private"`
	Source       string              `json:"source,omitempty"`
	Comment      string              `json:"comment,omitempty"`
	CreatedBy    string              `json:"created_by,omitempty"`
	CreationDate *time.Time          `json:"creation_date,omitempty"`
	AnnounceList [][]string          `json:"announce_list,omitempty"`
	WebSeeds     []string            `json:"web_seeds,omitempty"`
	Magnet       string              `json:"magnet"`
	Files        []torrentFileJSON   `json:"files"`
}

type torrentFileJSON struct {
	Path   string `json:"path"`
	Length int64  `json:"length"`
}

func torrentInJSON(m *torrent.Metainfo) torrentJSON {
	out := torrentJSON{
		Name: m.Name, InfoHash: m.InfoHash(), Version: m.Version.String(),
		Length: m.Length, PieceLength: m.PieceLength, Pieces: m.PieceCount,
		Private: m.Private, Source: m.Source, Comment: m.Comment, CreatedBy: m.CreatedBy,
		AnnounceList: m.Trackers(), WebSeeds: m.WebSeeds, Magnet: m.Magnet(),
	}
	if m.Version != torrent.V1 {
		out.InfoHashV2 = m.InfoHashV2.String()
	}
	if !m.CreationDate.IsZero() {
		out.CreationDate = &m.CreationDate
	}
	for _, f := range m.Files {
		out.Files = append(out.Files, torrentFileJSON(f))
	}
	return out
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
