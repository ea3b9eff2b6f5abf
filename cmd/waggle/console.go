package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"waggle/console/client"
)

// defaultConsole is where a tracker on this machine has its console.
const defaultConsole = "http://127.0.0.1:6970"

// consoleFlags say which running tracker to ask.
type consoleFlags struct {
	url       string
	tokenFile string
	caFile    string
}

func (f *consoleFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "console", defaultConsole, "`URL` of the tracker's console")
	flags.StringVar(&f.caFile, "ca-file", "", "`FILE` with the certificates that vouch for the console's, in PEM, where the system does not trust it")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` with the token of the console, where it wants one")
}

// client returns a client of the console. Whoever has it closes it.
func (f *consoleFlags) client() (*client.Client, error) {
	token := ""
	if f.tokenFile != "" {
		var err error
		if token, err = client.ReadToken(f.tokenFile); err != nil {
			return nil, err
		}
	}
	c, err := client.New(f.url, token)
	if err != nil {
		return nil, usageError{fmt.Errorf("--console: %w", err)}
	}
	if f.caFile != "" {
		roots, err := readRoots(f.caFile)
		if err != nil {
			return nil, err
		}
		c.Trust(roots)
	}
	return c, nil
}

// readRoots reads certificates that vouch for others.
func readRoots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca-file: %s has no certificate in PEM", path)
	}
	return roots, nil
}

// listing is the flags of a command that prints what a running tracker has.
type listing struct {
	console consoleFlags
	json    bool
}

func (l *listing) add(flags *pflag.FlagSet) {
	flags.SortFlags = false
	l.console.add(flags)
	flags.BoolVar(&l.json, "json", false, "print JSON, as the API has it")
}

// list prints what find finds: as a table, or as JSON.
func list[T any](cmd *cobra.Command, args []string, l *listing,
	find func(context.Context, *client.Client, []string) ([]T, error), table func(io.Writer, []T) error,
) error {
	c, err := l.console.client()
	if err != nil {
		return err
	}
	defer c.Close()
	found, err := find(cmd.Context(), c, args)
	if err != nil {
		return err
	}
	if l.json {
		return printJSON(cmd.OutOrStdout(), found)
	}
	return table(cmd.OutOrStdout(), found)
}
