package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"waggle/config"
	"waggle/locality"
)

// newLocalityCommand returns "waggle locality" and what is below it.
func newLocalityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "locality",
		Short: "Say where addresses are",
		Long: `Say where addresses are, as "waggle serve" finds them: by the sources of
locations in its configuration.`,
		Example: `  waggle locality check topology.csv
  waggle locality check --config waggle.yaml 10.1.2.3`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLocalityCheckCommand())
	return cmd
}

// newLocator opens the sources of a configuration. Whoever has the locator closes it. ctx bounds
// the wait for a first answer of the network.
func newLocator(ctx context.Context, c *config.Locality) (*locality.Locator, error) {
	tree, err := newTree(c)
	if err != nil {
		return nil, err
	}
	var sources []locality.Source
	for _, source := range c.Sources {
		s, err := openSource(ctx, tree, source)
		if err != nil {
			return nil, errors.Join(err, closeSources(sources))
		}
		sources = append(sources, s)
	}
	l, err := locality.New(tree, locality.Options{
		Sources: sources, LookupTimeout: c.LookupTimeout, CacheTime: c.CacheTime, CacheUnknown: c.CacheUnknown,
		Addresses: int(c.CacheAddresses), Lookups: c.Lookups,
	})
	if err != nil {
		return nil, errors.Join(err, closeSources(sources))
	}
	return l, nil
}

// newTree makes the tree of a configuration.
func newTree(c *config.Locality) (*locality.Tree, error) {
	levels := make([]string, 0, len(c.Levels))
	for _, level := range c.Levels {
		levels = append(levels, string(level))
	}
	return locality.NewTree(int(c.MaxGroups), levels...)
}

func openSource(ctx context.Context, tree *locality.Tree, c config.LocalitySource) (locality.Source, error) {
	switch {
	case c.Subnets != nil:
		return locality.OpenSubnets(tree, string(c.Subnets.File))
	case c.REST != nil:
		return locality.NewREST(locality.RESTOptions{URL: string(c.REST.URL), Path: string(c.REST.Path), Host: string(c.REST.Host), TokenFile: string(c.REST.TokenFile)})
	case c.DNS != nil:
		return locality.NewDNS(locality.DNSOptions{TXT: string(c.DNS.TXT), LOC: string(c.DNS.LOC), Path: string(c.DNS.Path), Server: string(c.DNS.Server)})
	case c.Hostname != nil:
		return locality.NewHostname(tree, locality.HostnameOptions{
			Pattern: string(c.Hostname.Pattern), Unconfirmed: !c.Hostname.Confirm, Server: string(c.Hostname.Server),
		})
	case c.Program != nil:
		return locality.NewProgram(c.Program.Command...)
	case c.MaxMind != nil:
		o := locality.MaxMindOptions{Path: string(c.MaxMind.Path)}
		for _, file := range c.MaxMind.Files {
			o.Files = append(o.Files, string(file))
		}
		return locality.OpenMaxMind(tree, o)
	default:
		k := c.Kubernetes
		return locality.OpenKubernetes(ctx, tree, locality.KubernetesOptions{
			Path: string(k.Path), URL: string(k.URL), TokenFile: string(k.TokenFile), CAFile: string(k.CAFile), Interval: k.Interval,
		})
	}
}

// closeSources closes sources that no locator has.
func closeSources(sources []locality.Source) error {
	var errs []error
	for _, s := range sources {
		if c, ok := s.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}
