package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/config"
	"waggle/moving"
)

// clusterFile lies beside the file of the store.
const clusterFile = "cluster.json"

func newBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy all that a tracker keeps on this machine into a new folder, while it runs",
		Long: `Copy all that a tracker keeps on this machine into a new folder, while it runs: peers and
counts, torrents with their history, accounts and audit log, passkeys, figures over time,
what links and a cluster need, certificates by ACME. FOLDER is there when all of it is.

What is kept where is read from the same file, environment and flags as those of
"waggle serve". To restore: stop the tracker, put what is in FOLDER in the place of its
data (waggle-data, unless the store is elsewhere), and start it. FOLDER holds secrets, and is for its
owner alone.

Not copied are events that wait to be delivered, and what the tracker only reads: its
configuration and the files that this names. A store on a network is copied by
"waggle store copy". docs/backup.md leads through it.`,
		Example: `  waggle backup /backup/waggle-$(date +%F)
  sudo -u waggle waggle backup --config /etc/waggle/waggle.yaml /var/lib/waggle/backup`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s wants a folder to make, such as /backup/waggle; see %[1]s --help", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return backUp(cmd.Context(), &loaded.Config, args[0], cmd.OutOrStdout())
		},
	}
	config.AddFlags(cmd.Flags())
	showFlags(cmd.Flags(), "config", "store", "link-directory", "tls-acme-cache")
	return cmd
}

// showFlags hides all flags but some.
func showFlags(flags *pflag.FlagSet, shown ...string) {
	interesting := make(map[string]bool, len(shown))
	for _, name := range shown {
		interesting[name] = true
	}
	flags.VisitAll(func(f *pflag.Flag) { f.Hidden = !interesting[f.Name] })
}

func backUp(ctx context.Context, c *config.Config, to string, out io.Writer) error {
	switch {
	case c.Store.Remote():
		return fmt.Errorf("the store is %s, which is on a network: \"waggle store copy %[1]s sqlite:%s\" copies what it has into a file",
			c.Store, filepath.Join(to, "waggle.db"))
	case c.Store.Path() == "":
		return errors.New("the store is memory:, which keeps nothing")
	}
	if _, err := os.Stat(c.Store.Path()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no store at %s: go to the folder that \"waggle serve\" is started in, or name its file by --config", c.Store.Path())
	}
	saved, size, err := moving.Save(ctx, keptFiles(c), to)
	if err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	names := make([]string, len(saved))
	for i := range saved {
		names[i] = printable(filepath.FromSlash(saved[i].As))
	}
	_, err = fmt.Fprintf(out, "copied %s: %s in %s\n", strings.Join(names, ", "), iec(size), printable(to))
	return err
}

// keptFiles are the files and folders in which a tracker keeps something, as they lie to each
// other.
func keptFiles(c *config.Config) []moving.Part {
	dir, store := filepath.Split(c.Store.Path())
	parts := []moving.Part{{Path: c.Store.Path(), As: store, Database: true}}
	for _, name := range []string{catalogFile, accountsFile, passkeysFile, timelineFile} {
		parts = append(parts, moving.Part{Path: filepath.Join(dir, name), As: name, Database: true})
	}
	parts = append(parts, moving.Part{Path: filepath.Join(dir, clusterFile), As: clusterFile})
	for _, folder := range []struct {
		path config.Path
		name string
	}{{c.Link.Directory, "link"}, {c.TLS.ACMECache, "acme"}} {
		if path := string(folder.path); path != "" {
			parts = append(parts, moving.Part{Path: path, As: placeBelow(dir, path, folder.name)})
		}
	}
	return parts
}

// placeBelow returns where path is below dir, or, if it is elsewhere, a name.
func placeBelow(dir, path, name string) string {
	below, err := filepath.Rel(filepath.Clean(dir), path)
	if err != nil || !filepath.IsLocal(below) {
		return name
	}
	return filepath.ToSlash(below)
}
