package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"waggle/config"
	"waggle/locality"
)

func newLocalityCheckCommand() *cobra.Command {
	var inJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE|ADDRESS...",
		Short: "Check a file of subnets, or say where an address is",
		Long: `Check files of subnets, and say where addresses are.

A FILE has a subnet, a comma and a path on each line. It is read as the source
"subnets" of the configuration reads it, with the levels of locality.levels. Each
line that is wrong is named; of a file that is right, what is in it is counted.

For an ADDRESS every source of locality.sources is asked, also those after one
that knows it: what it says, where it has that from, how old that is, and how long
it took. The first one that knows the address wins.

The exit code is 1 if a file is wrong, a source fails or an address is nowhere.`,
		Example: `  waggle locality check topology.csv --locality-levels site,row,rack
  waggle locality check --config waggle.yaml 10.1.2.3 2001:db8::1
  waggle locality check --locality-sources 'subnets: topology.csv' 10.1.2.3 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("%s wants a file of subnets or an address; see %[1]s --help", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return checkLocality(cmd, &loaded.Config.Locality, args, inJSON)
		},
	}
	cmd.Flags().BoolVar(&inJSON, "json", false, "print JSON")
	addLocalityFlags(cmd)
	return cmd
}

// addLocalityFlags adds the flags of the configuration, of which only those on locality are of
// interest.
func addLocalityFlags(cmd *cobra.Command) {
	config.AddFlags(cmd.Flags())
	showFlags(cmd.Flags(), "json", "config", "locality-levels", "locality-sources", "locality-lookup-timeout", "locality-max-groups")
}

// checked is what was found of a file or an address.
type checked interface {
	text() string
	ok() bool
}

func checkLocality(cmd *cobra.Command, c *config.Locality, args []string, inJSON bool) error {
	results, err := checkEach(cmd.Context(), c, args)
	if err != nil {
		return err
	}
	if inJSON {
		err = printJSON(cmd.OutOrStdout(), results)
	}
	wrong := 0
	for _, r := range results {
		if !inJSON {
			_, printErr := io.WriteString(cmd.OutOrStdout(), r.text())
			err = errors.Join(err, printErr)
		}
		if !r.ok() {
			wrong++
		}
	}
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%d of %s failed", wrong, count(len(results), "check"))
	}
	return err
}

// checkEach checks each file and address. The sources are opened once, for the first address.
func checkEach(ctx context.Context, c *config.Locality, args []string) (results []checked, err error) {
	var locator *locality.Locator
	defer func() {
		if locator != nil {
			err = errors.Join(err, locator.Close())
		}
	}()
	for _, arg := range args {
		ip, notAddress := netip.ParseAddr(arg)
		if notAddress != nil {
			file, err := checkSubnets(c, arg)
			if err != nil {
				return nil, err
			}
			results = append(results, file)
			continue
		}
		if locator == nil {
			if !c.On() {
				return nil, errors.New(`no source of locations is configured; set locality.sources, which "waggle config print" explains`)
			}
			if locator, err = newLocator(ctx, c); err != nil {
				return nil, err
			}
		}
		results = append(results, addressIn(locator.Explain(ctx, ip)))
	}
	return results, nil
}

// checkedFile is what is in a file of subnets.
type checkedFile struct {
	File    string       `json:"file"`
	Subnets int          `json:"subnets"`
	IPv4    int          `json:"ipv4"`
	IPv6    int          `json:"ipv6"`
	Levels  []levelCount `json:"levels"`
	Errors  []string     `json:"errors"`
}

// levelCount is how many locations of a level there are.
type levelCount struct {
	Level     string `json:"level"`
	Locations int    `json:"locations"`
}

// checkSubnets checks a file against the levels of the configuration.
func checkSubnets(c *config.Locality, path string) (*checkedFile, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s is neither an address nor a file that can be read: %w", printable(path), err)
	}
	tree, err := newTree(c)
	if err != nil {
		return nil, err
	}
	file := &checkedFile{File: path, Levels: []levelCount{}, Errors: []string{}}
	subnets, err := locality.OpenSubnets(tree, path)
	if err != nil {
		file.Errors = strings.Split(err.Error(), "\n")
		return file, nil
	}
	s := subnets.Summary()
	file.Subnets, file.IPv4, file.IPv6 = s.IPv4+s.IPv6, s.IPv4, s.IPv6
	for i, level := range tree.Levels() {
		file.Levels = append(file.Levels, levelCount{level, s.Groups[i]})
	}
	return file, nil
}

func (f *checkedFile) ok() bool { return len(f.Errors) == 0 }

func (f *checkedFile) text() string {
	if !f.ok() {
		return strings.Join(f.Errors, "\n") + "\n"
	}
	var levels []string
	for _, l := range f.Levels {
		levels = append(levels, commas(l.Locations)+" of level "+printable(l.Level))
	}
	return fmt.Sprintf("%s: %s (%s IPv4, %s IPv6), %s\n",
		printable(f.File), count(f.Subnets, "subnet"), commas(f.IPv4), commas(f.IPv6), strings.Join(levels, ", "))
}

// checkedAddress is what the sources say of an address.
type checkedAddress struct {
	Address  netip.Addr      `json:"address"`
	Location string          `json:"location,omitempty"` // "": nowhere
	Source   string          `json:"source,omitempty"`
	Age      float64         `json:"age_seconds"`
	Answers  []checkedAnswer `json:"answers"`
}

// checkedAnswer is what one source says.
type checkedAnswer struct {
	Source   string  `json:"source"`
	Location string  `json:"location,omitempty"`
	Why      string  `json:"why,omitempty"`
	Error    string  `json:"error,omitempty"`
	Took     float64 `json:"took_seconds"`
	Age      float64 `json:"age_seconds"`
}

func addressIn(f locality.Finding) *checkedAddress {
	a := &checkedAddress{Address: f.Address, Location: pathOf(f.Group), Source: f.Source, Age: f.Age.Seconds()}
	for _, answer := range f.Answers {
		c := checkedAnswer{
			Source: answer.Source, Location: pathOf(answer.Group), Why: answer.Why, Took: answer.Took.Seconds(), Age: answer.Age.Seconds(),
		}
		if answer.Err != nil {
			c.Error = answer.Err.Error()
		}
		a.Answers = append(a.Answers, c)
	}
	return a
}

func pathOf(g *locality.Group) string {
	if g == nil {
		return ""
	}
	return g.Path()
}

func (a *checkedAddress) ok() bool {
	for _, answer := range a.Answers {
		if answer.Error != "" {
			return false
		}
	}
	return a.Location != ""
}

func (a *checkedAddress) text() string {
	var b strings.Builder
	if a.Location == "" {
		fmt.Fprintf(&b, "%v is nowhere: no source knows it\n", a.Address)
	} else {
		fmt.Fprintf(&b, "%v is in %s, by %s\n", a.Address, a.Location, printable(a.Source))
	}
	for _, answer := range a.Answers {
		fmt.Fprintf(&b, "  %s\n", answer.text())
	}
	return b.String()
}

func (a *checkedAnswer) text() string {
	words := []string{"does not know it"}
	if a.Location != "" {
		words[0] = "in " + a.Location
	}
	if a.Why != "" {
		words = append(words, printable(a.Why))
	}
	if a.Age > 0 {
		words = append(words, old(inSeconds(a.Age)))
	}
	if a.Took > 0 {
		words = append(words, "asked now, took "+inSeconds(a.Took).Round(100*time.Microsecond).String())
	}
	if a.Error != "" {
		if a.Location == "" {
			words = words[1:]
		}
		words = append(words, "wrong: "+printable(a.Error))
	}
	return printable(a.Source) + ": " + strings.Join(words, "; ")
}

// old is an age in words.
func old(age time.Duration) string {
	if age < time.Second {
		return "0 seconds old"
	}
	var now time.Time
	return strings.TrimSpace(humanize.RelTime(now.Add(-age), now, "old", ""))
}

// inSeconds is the opposite of time.Duration.Seconds.
func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
