package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/config"
)

// newConfigCommand returns "waggle config" and what is below it.
func newConfigCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "config",
		Short: "Print or check the configuration",
		Long: `Print the configuration that is in force, or check a configuration file.

Every setting is a key in a YAML file, a flag and an environment variable: what
is announce.interval in the file is --announce-interval and
WAGGLE_ANNOUNCE_INTERVAL. Flags win over the environment, the environment wins
over the file, and the file wins over the defaults.`,
		Example: `  waggle config print > waggle.yaml
  waggle config check waggle.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usageError{fmt.Errorf("%s has no command %q; see %[1]s --help", c.CommandPath(), args[0])}
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	command.AddCommand(newConfigPrintCommand(), newConfigCheckCommand())
	return command
}

func newConfigPrintCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in force, each key with what it means",
		Long: `Print the configuration that "waggle serve" would run with, given the same file,
environment and flags, as a file in which each key is explained. Beside a value
that was set stands where it comes from. Where nothing is set, the defaults are
printed.`,
		Example: `  waggle config print > waggle.yaml
  WAGGLE_STORE=memory: waggle config print --config waggle.yaml --announce-interval 20m`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("config print takes no arguments, but --config %s perhaps", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := config.Load(c.Flags(), os.Environ())
			if err != nil {
				return err
			}
			return loaded.Print(c.OutOrStdout())
		},
	}
	config.AddFlags(command.Flags())
	return command
}

func newConfigCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file",
		Long: `Check a configuration file without running anything. Every mistake is one line
on standard error, with the line of the file, the key, and what to write
instead. The lists of torrents, clients and networks that it names are read,
too. Flags and environment are not looked at.`,
		Example: `  waggle config check waggle.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("config check wants one FILE")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			err := config.CheckFile(args[0])
			if err == nil {
				err = checkLists(args[0])
			}
			if err != nil {
				c.PrintErrln(err)
				return fmt.Errorf("%s: not a valid configuration", args[0])
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", args[0])
			return err
		},
	}
}

// checkLists returns what is wrong with the lists that a configuration names, which is good itself.
func checkLists(path string) error {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Set("config", path); err != nil {
		return err
	}
	loaded, err := config.Load(flags, nil)
	if err != nil {
		return err
	}
	_, lists := readLists(loaded.Config)
	_, torrents := denied(loaded.Config)
	return errors.Join(torrents, lists)
}
