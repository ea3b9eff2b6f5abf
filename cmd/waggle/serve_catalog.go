package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"waggle/catalog"
	"waggle/config"
	"waggle/console"
	"waggle/console/client"
	"waggle/swarm"
	"waggle/torrent"
	"waggle/tracker"
)

// catalogFile lies beside the file of the store.
const catalogFile = "catalog.db"

// memoryOfTorrents bounds the .torrent files of a catalogue in memory, in bytes.
const memoryOfTorrents = 256 << 20

// openCatalog opens the catalogue and what keeps it.
func (s *service) openCatalog(ctx context.Context) (err error) {
	if s.catalogStore, err = s.openCatalogStore(ctx); err != nil {
		return err
	}
	s.catalog, err = catalog.Open(ctx, catalog.Options{
		Store:     s.catalogStore,
		Directory: string(s.config.Torrents.Directory),
		MaxBytes:  maxUpload(s.config),
		Profiles:  swarm.Profiles,
		Refresh:   s.refresh,
		Log:       s.log,
	})
	if err != nil {
		return errors.Join(err, s.catalogStore.Close())
	}
	return nil
}

func (s *service) openCatalogStore(ctx context.Context) (catalog.Store, error) {
	if documents := s.documents(); documents != nil {
		return catalog.OpenDocuments(ctx, documents)
	}
	if path := s.config.Store.Path(); path != "" {
		return catalog.OpenSQLite(ctx, filepath.Join(filepath.Dir(path), catalogFile))
	}
	return catalog.NewMemory(memoryOfTorrents), nil
}

func (s *service) closeCatalog() error {
	if s.catalog == nil {
		return nil
	}
	return errors.Join(s.catalog.Close(), s.catalogStore.Close())
}

// maxUpload is the size of the largest .torrent, in bytes.
func maxUpload(c config.Config) int64 { return min(int64(c.Torrents.MaxUpload), torrent.MaxFileSize) }

// denied reads the torrents that are refused.
func denied(c config.Config) (tracker.Denied, error) {
	path := string(c.Torrents.Deny)
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("torrents.deny: %w", err)
	}
	defer func() { _ = f.Close() }()
	list, err := tracker.ReadDenied(f)
	if err != nil {
		return nil, fmt.Errorf("torrents.deny: %s: %w", path, err)
	}
	return list, nil
}

func (s *service) listenConsole(ctx context.Context) error {
	options, err := s.consoleOptions(ctx)
	if err != nil {
		return err
	}
	if s.config.TLS.Console {
		options.TLS = s.certificates.Config()
	}
	s.console, err = console.Listen(ctx, string(s.config.Listen.Console), options)
	return err
}

// consoleOptions opens what the console needs.
func (s *service) consoleOptions(ctx context.Context) (options console.Options, err error) {
	if err := s.openAccounts(ctx); err != nil {
		return options, err
	}
	options = console.Options{
		Figures:   func() any { return s.figures() },
		Version:   version,
		Accounts:  s.accounts,
		Catalog:   s.catalog,
		Swarms:    s.shownSwarms(),
		Links:     s.shownLinks(),
		Cluster:   s.shownCluster(),
		Passkeys:  s.shownPasskeys(),
		Reach:     s.shownReach(),
		MaxUpload: maxUpload(s.config),
		Log:       s.log,

		Configuration: func() client.Configuration { return *s.configuration.Load() },
	}
	if err := s.showFigures(ctx, &options); err != nil {
		return options, err
	}
	options.Roster, _ = s.store.(console.Roster)
	if s.locator != nil {
		options.Locality = s.locator
		options.Policy = func() console.Policy { return *s.policy.Load() }
	}
	if path := string(s.config.Console.TokenFile); path != "" {
		if options.Token, err = client.ReadToken(path); err != nil {
			return options, fmt.Errorf("console.token_file: %w", err)
		}
	}
	return options, nil
}

func (s *service) consoleName() string {
	if s.config.Console.TokenFile == "" && s.accounts.Len() == 0 {
		return "console (this machine only)"
	}
	return "console (others need a token or a log-in)"
}
