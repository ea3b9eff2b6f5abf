package main

import (
	"context"
	"errors"
	"path/filepath"

	"waggle/account"
)

// accountsFile lies beside the file of the store.
const accountsFile = "accounts.db"

// openAccounts opens the accounts of the console, which closeAccounts closes.
func (s *service) openAccounts(ctx context.Context) (err error) {
	options := account.Options{Refresh: s.refresh, Log: s.log}
	if options.Store, err = s.openAccountStore(ctx); err != nil {
		return err
	}
	if s.accounts, err = account.Open(ctx, options); err != nil && options.Store != nil {
		return errors.Join(err, options.Store.Close())
	}
	return err
}

// openAccountStore returns nil where nothing is to outlive the process.
func (s *service) openAccountStore(ctx context.Context) (account.Store, error) {
	if documents := s.documents(); documents != nil {
		return account.OpenDocuments(ctx, documents)
	}
	if path := s.config.Store.Path(); path != "" {
		return account.OpenSQLite(ctx, filepath.Join(filepath.Dir(path), accountsFile))
	}
	return nil, nil
}

func (s *service) closeAccounts() error {
	if s.accounts == nil {
		return nil
	}
	return s.accounts.Close()
}
