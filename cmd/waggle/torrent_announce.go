package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/torrent"
)

// torrentAnnouncing is the flags of "waggle torrent announce".
type torrentAnnouncing struct {
	announce  []string
	fromLinks bool
	srv       bool
	console   consoleFlags
	remove    bool
	recursive bool
	dryRun    bool
	backup    bool
	json      bool

	tiers [][]string // that the files are to name
}

func newTorrentAnnounceCommand() *cobra.Command {
	var a torrentAnnouncing
	cmd := &cobra.Command{
		Use:   "announce FILE|FOLDER... -a URL",
		Short: "Change the trackers in .torrent files",
		Long: `Change the trackers in .torrent files: those that are named, and all that lie in a
folder that is named. The trackers of -a take the place of all that a file names.
Its info dictionary keeps every byte, so it has the same info hash and is the
same torrent; what else stands in it is kept as well.

-a is as with "waggle torrent create": each is a tier, and commas stand between
the trackers of one. With --from-links the trackers are a running tracker and all
that it is linked with ("waggle links"), as its console says (--console), also
those that it knows through others: each with the URL that it names first in the
first tier, and its others in the second. Their order is another in each file.

With --srv no file is changed, and none is named: records for DNS are printed, as
lines of a zone file. The TXT record of BEP 34 says at which ports a host has
trackers. Below the name of the zone, SRV records (RFC 2782) name all trackers.

A file is replaced as a whole or not at all. A link to a file stays a link, and
the file that it leads to is changed; links to folders are not followed. A file
that cannot be changed is named, the others are changed all the same, and the
exit code is 1.

With --json the output is one object: the files with their info_hash, trackers
before and after, changed, backup and error, then how many of them were changed,
were unchanged and failed.`,
		Example: `  waggle torrent announce image.iso.torrent -a udp://tracker.example:6969
  waggle torrent announce torrents --recursive --dry-run -a http://a.example/announce,http://b.example/announce
  waggle torrent announce torrents --backup -a https://tracker.example/announce
  waggle torrent announce torrents --recursive --from-links
  waggle torrent announce --from-links --srv
  waggle torrent announce image.iso.torrent --remove`,
		ValidArgsFunction: completeTorrentFiles,
		RunE:              a.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVarP(&a.announce, "announce", "a", nil, "tracker `URL`, or several with commas; repeat for further tiers")
	flags.BoolVar(&a.fromLinks, "from-links", false, "name a running tracker and all that it is linked with")
	flags.BoolVar(&a.srv, "srv", false, "print the DNS records of the trackers, and change no file")
	flags.BoolVar(&a.remove, "remove", false, "name no tracker at all")
	flags.BoolVarP(&a.recursive, "recursive", "r", false, "look in the folders below a folder, too")
	flags.BoolVarP(&a.dryRun, "dry-run", "n", false, "print what would change, and change nothing")
	flags.BoolVar(&a.backup, "backup", false, "keep the old file as FILE.bak, or .bak1 and so on")
	flags.BoolVar(&a.json, "json", false, "print JSON")
	a.console.add(flags)
	return cmd
}

// announceReport is what "waggle torrent announce --json" prints. Its names stay.
type announceReport struct {
	Files     []announceResult `json:"files"`
	Changed   int              `json:"changed"` // or would be, with DryRun
	Unchanged int              `json:"unchanged"`
	Failed    int              `json:"failed"`
	DryRun    bool             `json:"dry_run"`
}

type announceResult struct {
	Path     string               `json:"path"`
	InfoHash *bittorrent.InfoHash `json:"info_hash,omitempty"`
	Before   [][]string           `json:"before,omitempty"`
	After    [][]string           `json:"after,omitempty"`
	Changed  bool                 `json:"changed"`
	Backup   string               `json:"backup,omitempty"`
	Error    string               `json:"error,omitempty"` // begins with the path
}

func (a *torrentAnnouncing) run(cmd *cobra.Command, args []string) error {
	if err := a.check(args); err != nil {
		return usageError{err}
	}
	if err := a.find(cmd.Context()); err != nil {
		return err
	}
	if a.srv {
		return a.printRecords(cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	report := announceReport{Files: []announceResult{}, DryRun: a.dryRun}
	err := a.each(cmd.Context(), args, func(r announceResult) error {
		report.add(r)
		if a.json {
			return nil
		}
		return a.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), r)
	})
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("stopped before the end; files that were not named are as they were: %w", err)
	}
	if err := errors.Join(err, a.printEnd(cmd.OutOrStdout(), &report)); err != nil {
		return err
	}
	if report.Failed > 0 {
		return fmt.Errorf("%s of %d could not be changed", count(report.Failed, "file"), len(report.Files))
	}
	return nil
}

// check returns what is wrong with the command line.
func (a *torrentAnnouncing) check(args []string) error {
	switch {
	case a.srv && (len(args) > 0 || a.remove || a.json):
		return errors.New("--srv prints records of trackers, and changes no file: give it -a or --from-links, and no file")
	case len(args) == 0 && !a.srv:
		return errors.New("no file; name .torrent files, or folders of them")
	case len(a.announce) == 0 && !a.remove && !a.fromLinks:
		return errors.New("no tracker; name one with -a, such as -a udp://tracker.example:6969, take those of a running tracker with --from-links, or take all away with --remove")
	case len(a.announce) > 0 && a.remove:
		return errors.New("-a names trackers and --remove takes all away; give one of the two")
	case a.fromLinks && (len(a.announce) > 0 || a.remove):
		return errors.New("--from-links asks a running tracker which trackers to name; leave out -a and --remove")
	}
	return checkTiers(tiersOf(a.announce))
}

func checkTiers(tiers [][]string) error {
	for _, tier := range tiers {
		for _, u := range tier {
			if err := torrent.CheckTrackerURL(u); err != nil {
				return err
			}
		}
	}
	return nil
}

// find finds the trackers that the files are to name.
func (a *torrentAnnouncing) find(ctx context.Context) error {
	if a.tiers = tiersOf(a.announce); !a.fromLinks {
		return nil
	}
	return withConsole(&a.console, func(c *client.Client) (err error) {
		if a.tiers, err = c.AnnounceLists(ctx); err != nil {
			return err
		}
		a.tiers = slices.DeleteFunc(a.tiers, func(tier []string) bool { return len(tier) == 0 })
		if len(a.tiers) == 0 {
			return errors.New("the tracker knows of no address where clients reach it: let it listen for them (listen.udp, listen.http)")
		}
		if err := checkTiers(a.tiers); err != nil {
			return fmt.Errorf("a linked tracker says that it is reached where it cannot be; correct its addresses, or drop it: %w", err)
		}
		return nil
	})
}

// printRecords prints what belongs into a zone file.
func (a *torrentAnnouncing) printRecords(stdout, stderr io.Writer) error {
	lines, without := records(a.tiers)
	for _, u := range without {
		_, _ = fmt.Fprintf(stderr, "%s: its host has no name that could have a record\n", printable(u)) // the others have
	}
	if len(lines) == 0 {
		return errors.New("no tracker has a host with a name, so there are no records: DNS has them for names alone")
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// each changes the files that are named, and those in the folders, and yields what
// became of them, until ctx ends or yield fails.
func (a *torrentAnnouncing) each(ctx context.Context, args []string, yield func(announceResult) error) error {
	for _, arg := range args {
		stat, err := os.Stat(arg)
		if err == nil && stat.IsDir() {
			err = a.eachIn(ctx, arg, yield)
		} else if err = ctx.Err(); err == nil {
			err = yield(a.change(arg))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eachIn is each of the .torrent files of a folder.
func (a *torrentAnnouncing) eachIn(ctx context.Context, folder string, yield func(announceResult) error) error {
	found := false
	// A link to a folder is followed where the user has named it.
	err := filepath.WalkDir(folder+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		path = filepath.Clean(path)
		if err != nil {
			found = true
			return yield(announceResult{Path: path, Error: fmt.Sprintf("%s: cannot be read: %v", path, causeOf(err))})
		}
		if entry.IsDir() {
			if path != filepath.Clean(folder) && !a.recursive {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.EqualFold(filepath.Ext(path), ".torrent") {
			return nil
		}
		if stat, err := os.Stat(path); err == nil && stat.IsDir() {
			return nil
		}
		found = true
		return yield(a.change(path))
	})
	if err == nil && !found {
		err = yield(announceResult{Path: folder, Error: folder + ": there is no .torrent file in the folder" +
			map[bool]string{true: "", false: "; --recursive looks in the folders below, too"}[a.recursive]})
	}
	return err
}

// change gives one file other trackers.
func (a *torrentAnnouncing) change(path string) announceResult {
	r := announceResult{Path: path}
	if err := a.changeFile(&r); err != nil {
		r.Error = err.Error()
	}
	return r
}

func (a *torrentAnnouncing) changeFile(r *announceResult) error {
	old, err := torrent.ReadFile(r.Path)
	if err != nil {
		return err
	}
	m, err := torrent.Parse(old)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Path, err)
	}
	hash := m.InfoHash()
	r.InfoHash, r.Before, r.After = &hash, m.Trackers(), a.tiers
	if a.fromLinks {
		r.After = shuffled(a.tiers, hash)
	}
	changed, err := torrent.WithTrackers(old, r.After)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Path, err)
	}
	if r.Changed = !bytes.Equal(old, changed); !r.Changed || a.dryRun {
		return nil
	}
	if err := a.replace(r, old, changed); err != nil {
		r.Changed, r.Backup = false, ""
		return err
	}
	return nil
}

// shuffled returns tiers of which each is in an order that comes from an info hash, so that
// clients that do not shuffle spread over the trackers too, and a file that has them
// already stays as it is, whichever tracker was asked.
func shuffled(tiers [][]string, h bittorrent.InfoHash) [][]string {
	all := make([][]string, len(tiers))
	order := rand.New(rand.NewPCG(binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])))
	for i, tier := range tiers {
		all[i] = slices.Sorted(slices.Values(tier))
		order.Shuffle(len(tier), func(a, b int) { all[i][a], all[i][b] = all[i][b], all[i][a] })
	}
	return all
}

func (a *torrentAnnouncing) replace(r *announceResult, old, changed []byte) error {
	target, err := filepath.EvalSymlinks(r.Path)
	if err != nil {
		return fmt.Errorf("%s: cannot be read: %w", r.Path, causeOf(err))
	}
	if a.backup {
		if r.Backup, err = torrent.Backup(target, old); err != nil {
			return err
		}
	}
	err = torrent.Replace(target, changed)
	if err != nil && r.Backup != "" {
		_ = os.Remove(r.Backup) // of a file that is as it was
	}
	return err
}

func (r *announceReport) add(result announceResult) {
	r.Files = append(r.Files, result)
	switch {
	case result.Error != "":
		r.Failed++
	case result.Changed:
		r.Changed++
	default:
		r.Unchanged++
	}
}

// print tells what became of one file.
func (a *torrentAnnouncing) print(stdout, stderr io.Writer, r announceResult) error {
	if r.Error != "" {
		_, err := fmt.Fprintln(stderr, printable(r.Error))
		return err
	}
	var b strings.Builder
	b.WriteString(printable(r.Path))
	switch {
	case !r.Changed:
		b.WriteString(": has these trackers already\n")
	case a.dryRun:
		b.WriteString(": would be changed\n")
		for _, tier := range r.Before {
			fmt.Fprintf(&b, "  - %s\n", printable(strings.Join(tier, ",")))
		}
		for _, tier := range r.After {
			fmt.Fprintf(&b, "  + %s\n", printable(strings.Join(tier, ",")))
		}
	case r.Backup != "":
		fmt.Fprintf(&b, ": changed, and was kept as %s\n", printable(r.Backup))
	default:
		b.WriteString(": changed\n")
	}
	_, err := io.WriteString(stdout, b.String())
	return err
}

// printEnd prints the closing line, or all of it as JSON.
func (a *torrentAnnouncing) printEnd(w io.Writer, report *announceReport) error {
	if a.json {
		return printJSON(w, report)
	}
	_, err := fmt.Fprintf(w, "%s: %s %s, %s unchanged, %s failed\n", count(len(report.Files), "file"), humanize.Comma(int64(report.Changed)),
		map[bool]string{true: "would be changed", false: "changed"}[a.dryRun],
		humanize.Comma(int64(report.Unchanged)), humanize.Comma(int64(report.Failed)))
	return err
}

// causeOf strips an error of the name of the call and the path.
func causeOf(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
