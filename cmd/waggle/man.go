package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/config"
	"waggle/manpage"
)

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man FOLDER",
		Short: "Write manual pages and shell completions",
		Long: `Write manual pages and shell completions into a FOLDER such as /usr/local/share,
where man, bash, zsh and fish look for them: a page of every command, one of the
configuration, and a completion for each shell. Packages of waggle have them already.`,
		Example: `  sudo waggle man /usr/local/share
  man waggle-serve
  man waggle.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s wants one FOLDER, such as /usr/local/share", c.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := manuals(cmd.Root(), builtOn())
			if err != nil {
				return err
			}
			for _, path := range slices.Sorted(maps.Keys(files)) {
				if err := writeManual(filepath.Join(args[0], path), files[path]); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files\n", args[0], len(files))
			return err
		},
	}
}

// writeManual writes a file that everybody may read, whatever the umask is.
func writeManual(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

// manuals returns the pages and completions of all commands, by their paths.
func manuals(root *cobra.Command, date string) (map[string][]byte, error) {
	files := map[string][]byte{"man/man5/waggle.yaml.5": configurationPage(date)}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		files["man/man1/"+pageName(c)+".1"] = commandPage(c, date)
		for _, sub := range manualCommands(c) {
			walk(sub)
		}
	}
	walk(root)
	for path, write := range map[string]func(io.Writer) error{
		"bash-completion/completions/waggle":    func(w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh/site-functions/_waggle":            root.GenZshCompletion,
		"fish/vendor_completions.d/waggle.fish": func(w io.Writer) error { return root.GenFishCompletion(w, true) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return nil, err
		}
		files[path] = b.Bytes()
	}
	return files, nil
}

// manualCommands returns what of a command's own commands has a page: those of cobra have none.
func manualCommands(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(sub *cobra.Command) bool {
		return !sub.IsAvailableCommand() || sub.Name() == "help" || sub.Name() == "completion"
	})
}

// pageName is the name of a command's page: waggle-torrent-create.
func pageName(c *cobra.Command) string {
	return strings.ReplaceAll(c.CommandPath(), " ", "-")
}

func commandPage(c *cobra.Command, date string) []byte {
	var p manpage.Page
	p.Title(pageName(c), 1, date, "waggle "+version, "waggle")
	p.Name(pageName(c), lowered(c.Short))
	p.Section("SYNOPSIS")
	below := manualCommands(c)
	if len(below) > 0 {
		p.Synopsis(c.CommandPath() + " COMMAND")
	} else {
		p.Synopsis(c.UseLine())
	}
	p.Section("DESCRIPTION")
	p.Text(c.Long)
	if len(below) > 0 {
		p.Section("COMMANDS")
		for _, sub := range below {
			p.Item(sub.CommandPath(), sub.Short+": "+pageName(sub)+"(1).")
		}
	}
	if flags := c.NonInheritedFlags(); flags.HasAvailableFlags() {
		p.Section("OPTIONS")
		flags.VisitAll(func(f *pflag.Flag) { addFlag(&p, f) })
	}
	if c.Parent() == nil {
		addSurroundings(&p)
	}
	if c.Example != "" {
		p.Section("EXAMPLES")
		p.Example(c.Example)
	}
	p.Section("EXIT STATUS")
	p.Text("0: done. 1: failed, and standard error says at what. 2: wrong usage.")
	p.Section("SEE ALSO")
	p.Text(seeAlso(c))
	return p.Bytes()
}

// lowered is a sentence as what stands behind the name of a page.
func lowered(short string) string {
	if len(short) > 1 && (short[1] == ' ' || short[1] >= 'a' && short[1] <= 'z') {
		return strings.ToLower(short[:1]) + short[1:]
	}
	return short
}

func addFlag(p *manpage.Page, f *pflag.Flag) {
	if f.Hidden || f.Deprecated != "" {
		return
	}
	placeholder, usage := pflag.UnquoteUsage(f)
	term := "--" + f.Name
	if f.Shorthand != "" {
		term = "-" + f.Shorthand + ", " + term
	}
	if placeholder != "" {
		term += " " + placeholder
	}
	text := strings.ToUpper(usage[:min(1, len(usage))]) + usage[min(1, len(usage)):]
	switch f.DefValue {
	case "", "false", "[]", "0", "0s":
	default:
		text += " (default " + f.DefValue + ")"
	}
	p.Item(term, text+".")
}

// addSurroundings says what all commands have in common.
func addSurroundings(p *manpage.Page) {
	p.Section("ENVIRONMENT")
	p.Item("WAGGLE_CONFIG", "The configuration file, where --config names none.")
	p.Item("WAGGLE_...", "Every key of the configuration, such as WAGGLE_ANNOUNCE_INTERVAL for announce.interval: waggle.yaml(5).")
	p.Section("FILES")
	p.Item("waggle-data", "What a tracker keeps that is told nothing else, below the folder in which it was started.")
	p.Item("/etc/waggle/waggle.yaml, /var/lib/waggle", "Configuration and data of the Debian package.")
}

func seeAlso(c *cobra.Command) string {
	pages := []string{"waggle(1)"}
	if parent := c.Parent(); parent == nil {
		pages = nil
	} else if parent.Parent() != nil {
		pages = append(pages, pageName(parent)+"(1)")
		for _, sibling := range manualCommands(parent) {
			if sibling != c {
				pages = append(pages, pageName(sibling)+"(1)")
			}
		}
	}
	pages = append(pages, "waggle.yaml(5)")
	slices.Sort(pages)
	return strings.Join(pages, ", ")
}

func configurationPage(date string) []byte {
	var p manpage.Page
	p.Title("waggle.yaml", 5, date, "waggle "+version, "waggle")
	p.Name("waggle.yaml", "configuration of waggle")
	introduction, sections := config.Manual()
	p.Section("DESCRIPTION")
	p.Text(introduction)
	p.Section("KEYS")
	open := ""
	for _, s := range config.Defaults().Effective() {
		if section := cmp.Or(s.Section, s.Key); section != open {
			p.Subsection(section)
			p.Text(sections[section])
			open = section
		}
		p.Item(s.Key+": "+s.Default, s.Doc)
	}
	p.Section("EXAMPLES")
	p.Example("listen:\n  udp: [\":6969\"]\n  http: [\":6969\"]\nstore: sqlite:///var/lib/waggle/waggle.db\nannounce:\n  interval: 10m")
	p.Section("SEE ALSO")
	p.Text("waggle(1), waggle-config-check(1), waggle-config-print(1), waggle-serve(1)")
	return p.Bytes()
}
