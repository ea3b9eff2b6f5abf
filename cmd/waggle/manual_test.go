package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"waggle/config"
	"waggle/docs/walk"
	"waggle/metrics"
)

// These tests hold README.md and the pages in docs to what the program has. Package docs/walk
// runs their commands.

var inlineCode = regexp.MustCompile("`([^`]+)`")

func manualPages(t *testing.T) []walk.Page {
	t.Helper()
	pages, err := walk.Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// inlineCodes calls f with what stands between backticks, and where.
func inlineCodes(page walk.Page, f func(where, code string)) {
	for i, line := range page.Prose() {
		for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
			f(fmt.Sprintf("%s:%d", page.Path, i+1), m[1])
		}
	}
}

const (
	schemaMark    = "waggle 1"       // a value in Redis, and no command
	oldRedis      = "waggle needs"   // of a message
	sessionCookie = "waggle_session" // and no metric

	alternator = "docs/alternator/compatibility.md" // of another house
)

func TestCommandsOfTheManualExist(t *testing.T) {
	found, root := 0, commandTree()
	check := func(where, line string) {
		for _, words := range waggleCommands(line) {
			found++
			if wrong := wrongCommand(root, words); wrong != "" {
				t.Errorf("%s: waggle %s: %s", where, strings.Join(words, " "), wrong)
			}
		}
	}
	for _, page := range manualPages(t) {
		for _, b := range page.Blocks {
			if b.Kind != "sh" {
				continue
			}
			for i, line := range strings.Split(strings.ReplaceAll(b.Text, "\\\n", "  "), "\n") {
				check(fmt.Sprintf("%s:%d", page.Path, b.Line+i), line)
			}
		}
		inlineCodes(page, func(where, code string) {
			if code != schemaMark && !strings.Contains(code, oldRedis) {
				check(where, code)
			}
		})
	}
	if found < 100 {
		t.Errorf("only %d commands were found", found)
	}
}

func TestCommandsThatDoNotExistAreFound(t *testing.T) {
	root := commandTree()
	for _, line := range []string{
		"waggle sreve", "waggle serve --lisen-udp :1", "cat x | waggle link jion -", "(cd a && ./waggle token create --rolle admin)",
		"id=$(waggle passkeys crate anna)", "X=1 waggle config chek waggle.yaml", "waggle serve --store 'a b' --nothing", "waggle health -x",
	} {
		commands := waggleCommands(line)
		if len(commands) != 1 || wrongCommand(root, commands[0]) == "" {
			t.Errorf("%s: %q", line, commands)
		}
	}
	for line, want := range map[string]int{
		"waggle serve &": 1,
		"waggle --help":  1,
		"waggle health --wait 10s && waggle transfers":     2,
		"pidof waggle; sudo systemctl reload waggle":       0,
		"waggle bench udp URL --pid $(pidof waggle)":       1,
		"waggle push build.img --tracker udp://[::1]:6969": 1,
		"# waggle sreve":      0,
		"echo 'waggle sreve'": 0,
		"kubectl exec waggle-0 -- /waggle health --live": 1,
		"podman run -v waggle:/var/lib/waggle i":         0,
	} {
		commands := waggleCommands(line)
		if len(commands) != want {
			t.Errorf("%s: %q", line, commands)
		}
		for _, words := range commands {
			if wrong := wrongCommand(root, words); wrong != "" {
				t.Errorf("%s: %s", line, wrong)
			}
		}
	}
}

// waggleCommands returns the words behind "waggle" of each command of it in a line of shell.
func waggleCommands(line string) [][]string {
	var all [][]string
	for _, words := range shellCommands(line) {
		for i, word := range words {
			if strings.TrimLeft(word, "./") == "waggle" && i+1 < len(words) && begins(words[:i]) {
				all = append(all, words[i+1:])
				break
			}
		}
	}
	return all
}

var assignment = regexp.MustCompile(`^[A-Za-z_]+=`)

// begins reports whether a command may begin behind these words.
func begins(words []string) bool {
	for len(words) > 0 && assignment.MatchString(words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return true
	}
	last := words[len(words)-1]
	return slices.Contains([]string{"sudo", "--", "then", "do", "until", "while", "if", "!", "{", "time", "exec"}, last) ||
		len(words) > 3 && words[len(words)-2] == "exec" // ip netns exec NAME
}

// shellCommands splits a line of shell into its commands, and these into words: as far as a manual
// goes. What is within $( ) is a command of its own, for which $ stands.
func shellCommands(line string) [][]string {
	var all [][]string
	var words []string
	var word strings.Builder
	begun, quote := false, rune(0)
	endWord := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	var outer [][]string
	for i, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == '\'':
			word.WriteRune(r)
		case r == '(' && i > 0 && line[i-1] == '$':
			outer, words = append(outer, append(words, "$")), nil
			word.Reset()
			begun, quote = false, 0
		case r == ')' && len(outer) > 0:
			endCommand()
			words, outer = outer[len(outer)-1], outer[:len(outer)-1]
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case strings.ContainsRune(" \t", r):
			endWord()
		case r == '#' && !begun:
			endCommand()
			return all
		case strings.ContainsRune("|&;()\n", r):
			endCommand()
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	endCommand()
	return all
}

// commandTree returns all commands, with those that cobra adds.
func commandTree() *cobra.Command {
	root := newRootCommand()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

// wrongCommand returns what is wrong with a command of waggle as a manual has it; "": nothing.
func wrongCommand(root *cobra.Command, words []string) string {
	if end := slices.IndexFunc(words, func(w string) bool {
		return strings.HasPrefix(w, ">") || strings.HasPrefix(w, "<") || strings.HasPrefix(w, "2>")
	}); end >= 0 {
		words = words[:end]
	}
	cmd, rest, err := root.Find(words)
	if err != nil {
		return err.Error()
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	if cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return "there is no such command"
	}
	for _, word := range rest {
		name, isFlag := strings.CutPrefix(word, "-")
		if !isFlag || name == "" || name == "-" {
			continue
		}
		if wrong := wrongFlag(cmd, name); wrong != "" {
			return wrong
		}
	}
	return ""
}

// wrongFlag returns what is wrong with a flag, that is written without its first dash.
func wrongFlag(cmd *cobra.Command, name string) string {
	long, isLong := strings.CutPrefix(name, "-")
	long, _, _ = strings.Cut(long, "=")
	if isLong && cmd.Flags().Lookup(long) == nil && cmd.InheritedFlags().Lookup(long) == nil {
		return "there is no flag --" + long
	}
	if !isLong && cmd.Flags().ShorthandLookup(name[:1]) == nil {
		return "there is no flag -" + name[:1]
	}
	return ""
}

var nestedIn = regexp.MustCompile(`^of ([a-z._]+)$`)

func TestConfigurationsOfTheManualAreValid(t *testing.T) {
	found := 0
	for _, page := range manualPages(t) {
		for _, b := range page.Blocks {
			if b.Kind != "yaml" || b.Note == "not waggle's configuration" {
				continue
			}
			found++
			text := strings.Repeat("\n", b.Line-1) + b.Text // so that the lines of problems are those of the page
			if m := nestedIn.FindStringSubmatch(b.Note); m != nil {
				text = nested(m[1], b)
			}
			if err := config.Check(page.Path, []byte(text)); err != nil {
				t.Error(err)
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d were found", found)
	}
}

// nested returns a configuration in which a block is the value of a key.
func nested(key string, b walk.Block) string {
	parts := strings.Split(key, ".")
	var s strings.Builder
	s.WriteString(strings.Repeat("\n", max(0, b.Line-1-len(parts))))
	for i, part := range parts {
		s.WriteString(strings.Repeat("  ", i) + part + ":\n")
	}
	for line := range strings.Lines(b.Text) {
		s.WriteString(strings.Repeat("  ", len(parts)) + line)
	}
	return s.String()
}

func TestMetricsOfTheManualExist(t *testing.T) {
	known := map[string]bool{}
	for _, m := range slices.Concat(metrics.Table, metrics.ClusterTable, metrics.EventsTable, metrics.ReachTable) {
		known[m.Name] = true
	}
	name := regexp.MustCompile(`\bwaggle_[a-z_]+[a-z]\b`)
	ofHistogram := regexp.MustCompile(`_(bucket|sum|count)$`)
	found := 0
	for _, page := range manualPages(t) {
		for i, line := range page.Lines {
			for _, m := range name.FindAllString(line, -1) {
				if m == sessionCookie {
					continue
				}
				found++
				of := ofHistogram.ReplaceAllString(m, "")
				prefix := strings.Contains(line, m+"_") && slices.ContainsFunc(slices.Collect(maps.Keys(known)), func(k string) bool { return strings.HasPrefix(k, m+"_") })
				if !known[m] && !known[of] && !prefix {
					t.Errorf("%s:%d: there is no metric %s", page.Path, i+1, m)
				}
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d were found", found)
	}
}

func TestKeysOfTheManualExist(t *testing.T) {
	known, variables := map[string]bool{}, map[string]bool{"WAGGLE_CONFIG": true}
	for _, setting := range config.Defaults().Effective() {
		known[setting.Key] = true
		variables[setting.Environment] = true
	}
	sections := config.Sections()
	key := regexp.MustCompile(`^([a-z]+)\.[a-z_]+$`)
	variable := regexp.MustCompile(`\bWAGGLE_[A-Z_]+\b`)
	found := 0
	for _, page := range manualPages(t) {
		inlineCodes(page, func(where, code string) {
			name, _, _ := strings.Cut(code, ":")
			m := key.FindStringSubmatch(name)
			if m == nil || sections[m[1]] == "" || slices.Contains([]string{".json", ".crt", ".secret"}, filepath.Ext(name)) {
				return
			}
			found++
			if !known[name] {
				t.Errorf("%s: there is no key %s", where, name)
			}
		})
		for i, line := range page.Lines {
			for _, name := range variable.FindAllString(line, -1) {
				found++
				if !variables[name] {
					t.Errorf("%s:%d: no key is set by %s", page.Path, i+1, name)
				}
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d were found", found)
	}
}

// TestFilesOfTheManualExist looks for what is named like a file in a folder of the checkout.
func TestFilesOfTheManualExist(t *testing.T) {
	named := regexp.MustCompile(`^([a-z]+)/[A-Za-z0-9_./-]+\.[a-z]+$`)
	found := 0
	for _, page := range manualPages(t) {
		inlineCodes(page, func(where, code string) {
			m := named.FindStringSubmatch(code)
			if m == nil || code == alternator {
				return
			}
			if info, err := os.Stat(filepath.Join("../..", m[1])); err != nil || !info.IsDir() {
				return
			}
			found++
			if _, err := os.Stat(filepath.Join("../..", code)); err != nil {
				t.Errorf("%s: there is no %s", where, code)
			}
		})
	}
	if found < 10 {
		t.Errorf("only %d were found", found)
	}
}
