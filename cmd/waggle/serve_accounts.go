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
	options := account.Options{Log: s.log}
	if s.config.Store.Scheme() != "memory" {
		path := filepath.Join(filepath.Dir(s.config.Store.Path()), accountsFile)
		if options.Store, err = account.OpenSQLite(ctx, path); err != nil {
			return err
		}
	}
	if s.accounts, err = account.Open(ctx, options); err != nil && options.Store != nil {
		return errors.Join(err, options.Store.Close())
	}
	return err
}

func (s *service) closeAccounts() error {
	if s.accounts == nil {
		return nil
	}
	return s.accounts.Close()
}
