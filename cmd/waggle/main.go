// Command waggle is a BitTorrent tracker, and what belongs to one: it serves,
// passes files on, tells of what a running tracker serves, and makes torrents.
// Each command has a file of its own here, which wires the packages together and
// decides nothing.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is that of the next release; a build from a checkout adds the commit. "make
// release" puts its own here, and into commit and built, which are empty otherwise.
var (
	version = "0.1.0"
	commit  = "" // 40 hexadecimal digits
	built   = "" // the day of the commit: 2026-11-22
)

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	// After the first signal the second one kills, as it would without us.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	if len(args) == 0 && os.Getenv(runtimeAPI) != "" {
		args = []string{"lambda"}
	}
	root := newRootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "waggle:", err)
	}
	return exitCode(err)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "waggle",
		Short: "A BitTorrent tracker that knows where its peers are",
		Long: `A BitTorrent tracker that knows where its peers are.

"waggle serve" answers BitTorrent clients over UDP and HTTP, and browsers over
WebSocket. It needs no configuration; "waggle config print" shows what can be set.`,
		Example: `  waggle serve
  waggle torrent create image.iso -a udp://tracker.example:6969/announce`,
		Version:       versionText(),
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("waggle {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(newServeCommand(), newHealthCommand(), newLambdaCommand(), newOpenWhiskCommand())
	root.AddCommand(peerCommands()...)
	root.AddCommand(newTransfersCommand(), newPeersCommand(), newExplainCommand(), newTokenCommand(), newPasskeysCommand(), newLinkCommand(), newLinksCommand(), newClusterCommand(), newEventsCommand(),
		newStoreCommand(), newBackupCommand(), newDynamoDBCommand(),
		newTorrentCommand(), newLocalityCommand(), newSimulateCommand(), newConfigCommand(), newBenchCommand(), newManCommand())
	completeValues(root)
	return root
}

// knownCommand refuses the name of a command that does not exist below cmd.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s?", strings.Join(near, " or "))
	}
	return usageError{fmt.Errorf("%s has no command %q: %s", cmd.CommandPath(), args[0], hint)}
}

func versionText() string {
	if revision := sourceRevision(); revision != "" {
		return version + " (" + revision[:min(12, len(revision))] + ", " + runtime.Version() + ")"
	}
	return version + " (" + runtime.Version() + ")"
}

// sourceRevision returns the commit that this was built from; "": nobody knows.
func sourceRevision() string {
	return cmp.Or(commit, buildSetting("vcs.revision"))
}

// builtOn returns the day of that commit; "": nobody knows.
func builtOn() string {
	day, _, _ := strings.Cut(buildSetting("vcs.time"), "T")
	return cmp.Or(built, day)
}

// buildSetting returns what the go command noted while it built this; "": nothing.
func buildSetting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == key {
			return setting.Value
		}
	}
	return ""
}
