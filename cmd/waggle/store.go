package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"waggle/account"
	"waggle/catalog"
	"waggle/config"
	"waggle/moving"
	"waggle/passkey"
	"waggle/store/memory"
	"waggle/store/sqlite"
)

// newStoreCommand returns "waggle store" and what is below it.
func newStoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Copy or check what a tracker keeps",
		Long: `Copy or check all that a tracker keeps: the peers of its torrents, its catalogue with
history and .torrents, its accounts and its audit log, its passkeys.

A STORE is written as in the key "store" of the configuration.`,
		Example: `  waggle store check sqlite:waggle-data/waggle.db
  waggle store copy sqlite:waggle-data/waggle.db redis://redis.example:6379/0`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStoreCopyCommand(), newStoreCheckCommand())
	return cmd
}

func newStoreCopyCommand() *cobra.Command {
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy all that a tracker keeps to another store",
		Long: `Copy all that a tracker keeps from one store to another, while the tracker runs.

To move a tracker: copy, start it with the new store, and copy once more, which brings over
what came in between. Nothing in TO is replaced by what is older: of a peer the later
announce stays, of a count of downloads the higher one. Transfers, accounts and passkeys that
are in TO already stay as they are there, unless --overwrite is given; history and audit log are
copied where TO has none.

FROM may be in use; TO may be in use too, but for a file of SQLite. Not copied are the
roles of located peers, which are given anew as they announce, the sessions of people who are logged
in, the figures over time, and how far each peer has been counted for its passkey: it is
counted from its next announce on.`,
		Example: `  waggle store copy sqlite:waggle-data/waggle.db redis://redis.example:6379/0
  waggle store copy sqlite:waggle-data/waggle.db 'dynamodb://waggle?region=eu-central-1'
  waggle store copy 's3://bucket/waggle?region=eu-central-1' sqlite:waggle.db`,
		Args: storeArgs(2, "the store to copy from, and the one to copy to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return copyStore(cmd.Context(), args[0], args[1], moving.Options{Overwrite: overwrite}, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace transfers, accounts and passkeys that are there already")
	return cmd
}

func newStoreCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check STORE",
		Short: "Look for mistakes in what a tracker keeps",
		Long: `Read all that a tracker keeps, and tell of what is wrong: counts that differ from what is
counted, peers that cannot be, .torrents that are missing or damaged, what cannot be read.
Nothing is changed, and the tracker may run. The exit code is 1 if something is wrong.`,
		Example: `  waggle store check sqlite:/var/lib/waggle/waggle.db
  waggle store check redis+cluster://redis1,redis2,redis3`,
		Args: storeArgs(1, "the store to check"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return checkStore(cmd.Context(), args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

func storeArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s wants %s; see %[1]s --help", cmd.CommandPath(), what)}
		}
		return nil
	}
}

func copyStore(ctx context.Context, from, to string, o moving.Options, out, err io.Writer) error {
	if from == to {
		return usageError{errors.New("a store cannot be copied to itself")}
	}
	log := slog.New(slog.NewTextHandler(err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	source, closeSource, failed := openKept(ctx, from, false, log)
	if failed != nil {
		return failed
	}
	target, closeTarget, failed := openKept(ctx, to, true, log)
	if failed != nil {
		return errors.Join(failed, closeSource())
	}
	show, done := newMoveProgress(ctx, source, "copying", err)
	o.Progress = show
	result, failed := moving.Copy(ctx, source, target, o)
	done()
	if failed = errors.Join(failed, closeTarget(), closeSource()); failed != nil {
		return fmt.Errorf("copied so far: %s; copy again to go on: %w", describeMove(result), failed)
	}
	_, failed = fmt.Fprintf(out, "copied %s\n", describeMove(result))
	return failed
}

func checkStore(ctx context.Context, url string, out, err io.Writer) error {
	log := slog.New(slog.NewTextHandler(err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	kept, closeKept, failed := openKept(ctx, url, false, log)
	if failed != nil {
		return failed
	}
	show, done := newMoveProgress(ctx, kept, "checking", err)
	wrong := 0
	result, failed := moving.Check(ctx, kept, func(what string) {
		wrong++
		_, _ = fmt.Fprintln(out, what)
	}, show)
	done()
	if failed = errors.Join(failed, closeKept()); failed != nil {
		return fmt.Errorf("checked so far: %s: %w", describeMove(result), failed)
	}
	_, _ = fmt.Fprintf(out, "checked %s\n", describeMove(result))
	if wrong > 0 {
		return fmt.Errorf("%d things are wrong", wrong)
	}
	return nil
}

func describeMove(r moving.Result) string {
	n := func(n int) string { return humanize.Comma(int64(n)) }
	return fmt.Sprintf("%s peers of %s torrents, %s transfers and %s of their history, %s accounts and %s lines of the audit log, %s passkeys",
		n(r.Peers), n(r.Torrents), n(r.Transfers), n(r.Periods), n(r.Accounts), n(r.Entries), n(r.Passkeys))
}

// openKept opens all that is kept in a store, to be read or to be written.
func openKept(ctx context.Context, text string, write bool, log *slog.Logger) (moving.Kept, func() error, error) {
	url, err := config.ParseStoreURL(text)
	if err != nil {
		return moving.Kept{}, nil, usageError{err}
	}
	switch {
	case url.Remote():
		return openRemoteKept(ctx, url, log)
	case url.Scheme() == "memory":
		return moving.Kept{}, nil, usageError{errors.New("memory: is gone with its tracker: name the store of one that keeps something")}
	case write:
		return openFiles(ctx, url.Path(), log)
	}
	return readFiles(ctx, url.Path(), log)
}

// openRemoteKept opens a store on a network.
func openRemoteKept(ctx context.Context, url config.StoreURL, log *slog.Logger) (k moving.Kept, closeAll func() error, err error) {
	s, err := openRemote(ctx, url, remoteOptions{log: log})
	if err != nil {
		return k, nil, err
	}
	k.Swarms = s
	torrents, err := catalog.OpenDocuments(ctx, s.Documents())
	if err != nil {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	k.Catalog = torrents
	accounts, err := account.OpenDocuments(ctx, s.Documents())
	if err != nil {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	k.Accounts = accounts
	keys, err := passkey.OpenDocuments(ctx, s.Documents())
	if err != nil {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	k.Passkeys = keys
	return k, closeKept(k), nil
}

// openFiles opens the files of a tracker that does not run, and makes those that are
// not there.
func openFiles(ctx context.Context, path string, log *slog.Logger) (k moving.Kept, closeAll func() error, err error) {
	dir := filepath.Dir(path)
	swarms, err := sqlite.Open(ctx, path, sqlite.Options{Memory: memory.Options{Details: true}, Log: log})
	if err != nil {
		return k, nil, err
	}
	k.Swarms = swarms
	torrents, err := catalog.OpenSQLite(ctx, filepath.Join(dir, catalogFile))
	if err != nil {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	k.Catalog = torrents
	accounts, err := account.OpenSQLite(ctx, filepath.Join(dir, accountsFile))
	if err != nil {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	k.Accounts = accounts
	keys, err := passkey.OpenSQLite(ctx, filepath.Join(dir, passkeysFile))
	if err != nil {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	k.Passkeys = keys
	return k, closeKept(k), nil
}

// readFiles opens the files of a tracker that may run. A tracker without a console has
// no accounts, one that wants none no passkeys, and one that never ran no catalogue.
func readFiles(ctx context.Context, path string, log *slog.Logger) (k moving.Kept, closeAll func() error, err error) {
	dir := filepath.Dir(path)
	read, err := sqlite.Read(ctx, path, log)
	if err != nil {
		return k, nil, err
	}
	k.Swarms = read
	if c, err := catalog.ReadSQLite(ctx, filepath.Join(dir, catalogFile)); err == nil {
		k.Catalog = c
	} else if !errors.Is(err, os.ErrNotExist) {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	if a, err := account.ReadSQLite(ctx, filepath.Join(dir, accountsFile)); err == nil {
		k.Accounts = a
	} else if !errors.Is(err, os.ErrNotExist) {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	if p, err := passkey.ReadSQLite(ctx, filepath.Join(dir, passkeysFile)); err == nil {
		k.Passkeys = p
	} else if !errors.Is(err, os.ErrNotExist) {
		return k, nil, errors.Join(err, closeKept(k)())
	}
	return k, closeKept(k), nil
}

// closeKept returns what closes all that was opened.
func closeKept(k moving.Kept) func() error {
	return func() error {
		var errs []error
		if k.Passkeys != nil {
			errs = append(errs, k.Passkeys.Close())
		}
		if k.Accounts != nil {
			errs = append(errs, k.Accounts.Close())
		}
		if k.Catalog != nil {
			errs = append(errs, k.Catalog.Close())
		}
		return errors.Join(append(errs, k.Swarms.Close())...)
	}
}

// moveEvery is how often a line says how far a copy is, where there is no terminal.
const moveEvery = 5 * time.Second

// newMoveProgress returns what shows how far a copy or a check is, and what ends that:
// a bar of peers on a terminal, else lines.
func newMoveProgress(ctx context.Context, k moving.Kept, what string, w io.Writer) (show func(moving.Result), done func()) {
	total, of := int64(0), ""
	if t, err := k.Swarms.Totals(ctx); err == nil {
		total, of = int64(t.Peers), fmt.Sprintf(", of %s peers", humanize.Comma(int64(t.Peers)))
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		bar := progressbar.NewOptions64(max(total, 1), progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("peers"),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		return func(r moving.Result) { _ = bar.Set(min(r.Peers, int(max(total, 1)))) }, func() { _, _ = bar.Clear(), bar.Exit() }
	}
	var mu sync.Mutex
	next := time.Now().Add(moveEvery)
	return func(r moving.Result) {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.After(next) {
			next = now.Add(moveEvery)
			_, _ = fmt.Fprintf(w, "%s: %s so far%s\n", what, describeMove(r), of)
		}
	}, func() {}
}
