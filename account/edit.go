package account

import (
	"context"
	"fmt"
	"io"
	"time"
)

// New is an account to be.
type New struct {
	Name     string
	Role     Role
	Password string    // "": waggle makes a token
	Expires  time.Time // zero: never
}

// Change is a change of an account. Its zero value changes nothing, and ends sessions all
// the same.
type Change struct {
	Role     Role       // Nobody: it stays
	Password string     // in place of the secret; "": that stays
	NewToken bool       // waggle makes a token, in place of the secret
	Expires  *time.Time // nil: it stays; zero: never
}

// Create makes an account, and returns its token where it has one; nobody can ask for
// that again. The first account must be an Admin that does not expire, unless there is
// a token file.
//
// Errors are [ErrExists], [ErrInvalid], [ErrFull], [ErrLastKey], [ErrBusy], that of ctx,
// [ErrConflict], or one of the store, after which nothing has changed. Where the answer of
// a [Shared] store was lost, it may have changed all the same, which [Accounts.Fresh] tells.
func (a *Accounts) Create(ctx context.Context, n New) (created Account, token string, err error) {
	now := a.o.Now().UTC()
	r := Record{Account: Account{Name: n.Name, Role: n.Role, Created: now, Changed: now, Expires: n.Expires}}
	if err := r.check(now); err != nil {
		return Account{}, "", err
	}
	if err := a.Fresh(ctx, -1); err != nil {
		return Account{}, "", err
	}
	if err := a.mayCreate(&r); err != nil { // before a hash is computed
		return Account{}, "", err
	}
	if token, err = a.setSecret(ctx, &r, n.Password); err != nil {
		return Account{}, "", err
	}
	a.edit.Lock()
	defer a.edit.Unlock()
	err = a.decide(ctx, func() error {
		if err := a.mayCreate(&r); err != nil {
			return err
		}
		return a.put(ctx, r)
	})
	if err != nil {
		return Account{}, "", err
	}
	return r.Account, token, nil
}

func (a *Accounts) mayCreate(r *Record) error {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.byName[r.Name] != nil {
		return fmt.Errorf("%q: %w; delete it, or give it a new secret", r.Name, ErrExists)
	}
	if len(a.byName) >= MaxAccounts {
		return fmt.Errorf("%w, %d: delete some", ErrFull, MaxAccounts)
	}
	return a.locksOut(r.Name, r)
}

// Change changes an account, and returns its token where a new one was made. Sessions of
// the account end, and its token is good no more where the secret changed. Errors are as
// those of Create, and [ErrUnknown].
func (a *Accounts) Change(ctx context.Context, name string, c Change) (changed Account, token string, err error) {
	if err := a.Fresh(ctx, -1); err != nil {
		return Account{}, "", err
	}
	if a.find(name) == nil {
		return Account{}, "", unknown(name)
	}
	if c.Password != "" && c.NewToken {
		return Account{}, "", fmt.Errorf("a password or a new token, not both: %w", ErrInvalid)
	}
	secret := Record{Account: Account{Name: name}}
	if c.Password != "" || c.NewToken {
		if token, err = a.setSecret(ctx, &secret, c.Password); err != nil {
			return Account{}, "", err
		}
	}
	a.edit.Lock()
	defer a.edit.Unlock()
	var r Record
	err = a.decide(ctx, func() error {
		e := a.find(name)
		if e == nil {
			return unknown(name)
		}
		r = c.apply(a.recordOf(e), secret, a.o.Now().UTC())
		if err := r.check(r.Changed); err != nil {
			return err
		}
		a.mu.RLock()
		err := a.locksOut(name, &r)
		a.mu.RUnlock()
		if err != nil {
			return err
		}
		return a.put(ctx, r)
	})
	if err != nil {
		return Account{}, "", err
	}
	return r.Account, token, nil
}

// apply returns a record with the change. secret has the new one, if there is one.
func (c *Change) apply(r, secret Record, now time.Time) Record {
	r.Changed = now
	if c.Role != Nobody {
		r.Role = c.Role
	}
	if secret.Hash != "" {
		r.Secret, r.TokenID, r.Hash = secret.Secret, secret.TokenID, secret.Hash
	}
	if c.Expires != nil {
		r.Expires = *c.Expires
	}
	return r
}

// Delete removes an account, and ends its sessions and its token. Errors are
// [ErrUnknown], [ErrLastKey], or one of the store.
func (a *Accounts) Delete(ctx context.Context, name string) error {
	a.edit.Lock()
	defer a.edit.Unlock()
	return a.decide(ctx, func() error {
		if a.find(name) == nil {
			return unknown(name)
		}
		a.mu.RLock()
		err := a.locksOut(name, nil)
		a.mu.RUnlock()
		if err != nil {
			return err
		}
		return a.remove(ctx, name)
	})
}

// remove removes an account from the store and then from memory. The lock edit is the
// caller's.
func (a *Accounts) remove(ctx context.Context, name string) error {
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	if err := a.o.Store.Remove(ctx, name); err != nil {
		return fmt.Errorf("the account cannot be deleted: %w", err)
	}
	a.lose(name)
	return nil
}

// locksOut is [ErrLastKey] where, with an account of this name as it is to be, or
// without it, nobody could manage accounts any more. The lock is the caller's.
func (a *Accounts) locksOut(name string, then *Record) error {
	if a.access.TokenFile {
		return nil
	}
	left := 0
	for other, e := range a.byName {
		if other == name {
			continue
		}
		if e.record.keepsKeys() {
			return nil
		}
		left++
	}
	switch {
	case then != nil && then.keepsKeys(), then == nil && left == 0 && !a.access.Public:
		return nil
	case then != nil && len(a.byName) == 0:
		return fmt.Errorf("the first account must be an admin that does not expire, else %w: make that one first (waggle token create NAME --role admin), or set console.token_file", ErrLastKey)
	case left == 0 && then == nil:
		return fmt.Errorf("this is the last account, and the console listens beyond loopback: %w; make another admin first, set console.token_file, or let listen.console be a loopback address", ErrLastKey)
	}
	return fmt.Errorf("this is the last admin that does not expire: %w; make another one first (waggle token create NAME --role admin), or set console.token_file", ErrLastKey)
}

// keepsKeys reports whether an account can manage accounts, for ever.
func (r *Record) keepsKeys() bool { return r.Role == Admin && r.Expires.IsZero() }

// put writes an account to the store and then to memory. The lock edit is the caller's.
func (a *Accounts) put(ctx context.Context, r Record) error {
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	if err := a.o.Store.Put(ctx, r); err != nil {
		return fmt.Errorf("the account cannot be kept: %w", err)
	}
	a.keep(r)
	return nil
}

// toTheEnd returns a context that does not end with whoever asked: a store that was
// interrupted may have written all the same, and memory would not know.
func toTheEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeTime)
}

func (a *Accounts) recordOf(e *entry) Record {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return e.record
}

// setSecret gives a record the hash of a password, or of a token, which it returns.
func (a *Accounts) setSecret(ctx context.Context, r *Record, password string) (token string, err error) {
	secret := password
	r.Secret, r.TokenID = Password, ""
	if password == "" {
		r.Secret = Token
		if r.TokenID, token, err = makeToken(a.o.Random); err != nil {
			return "", err
		}
		secret = token
	} else if err := checkPassword(password, r.Name); err != nil {
		return "", err
	}
	var salt [saltSize]byte
	if _, err := io.ReadFull(a.o.Random, salt[:]); err != nil {
		return "", err
	}
	err = a.hasher.run(ctx, func() { r.Hash = hash(secret, salt[:], a.o.Hash) })
	return token, err
}
