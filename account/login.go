package account

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Errors of those who log in.
var (
	ErrWrong   = errors.New("the name or the secret is wrong")
	ErrExpired = errors.New("this account has expired: let an admin give it more time")
)

// Token returns who has a token. Verifying it takes a hash once; from then on it is
// known until the account is changed, and costs next to nothing. from is the client's
// address.
//
// Errors are [ErrWrong], [ErrExpired], a [*LimitedError], [ErrBusy], or that of ctx.
// Wrong tokens count, and the first of them are in the audit log.
func (a *Accounts) Token(ctx context.Context, from netip.Addr, token string) (Identity, error) {
	id, _ := idOf(token)
	a.mu.RLock()
	e := a.byToken[id]
	a.mu.RUnlock()
	if e == nil {
		return Identity{}, a.strangeToken(ctx, from)
	}
	if err := a.verifyToken(ctx, e, token); err != nil {
		a.noteWrong(ctx, e, from, ViaToken, err)
		return Identity{}, err
	}
	return Identity{Name: e.record.Name, Role: e.record.Role, Via: ViaToken, Address: from, entry: e}, nil
}

// strangeToken counts for the address. A token that is known counts for itself alone,
// so that a machine with one that is not good any more keeps out no other.
func (a *Accounts) strangeToken(ctx context.Context, from netip.Addr) error {
	if wait := a.limits.take(a.o.Now(), a.limits.address(from)); wait > 0 {
		return &LimitedError{wait}
	}
	err := fmt.Errorf("this token is not known, or not any more: %w", ErrWrong)
	a.noteWrong(ctx, nil, from, ViaToken, err)
	return err
}

func (a *Accounts) verifyToken(ctx context.Context, e *entry, token string) error {
	sum := sha256.Sum256([]byte(token))
	known, right := e.remembers(&sum)
	if !known {
		// One at a time: the others find it remembered.
		select {
		case e.verifying <- struct{}{}:
			defer func() { <-e.verifying }()
		case <-ctx.Done():
			return ctx.Err()
		}
		if known, right = e.remembers(&sum); !known {
			var err error
			if right, err = a.attempt(ctx, e, token, a.limits.token(e.record.TokenID)); err != nil {
				return err
			}
		}
	}
	if !right {
		return fmt.Errorf("this token is not known, or not any more: %w", ErrWrong)
	}
	e.verified.Store(&sum) // an expired one too, so that it takes no more hashes
	if e.expired(a.o.Now()) {
		return ErrExpired
	}
	return nil
}

// remembers reports whether the token of an entry is known, and whether it is the one
// with this SHA-256.
func (e *entry) remembers(sum *[sha256.Size]byte) (known, right bool) {
	verified := e.verified.Load()
	if verified == nil {
		return false, false
	}
	return true, subtle.ConstantTimeCompare(sum[:], verified[:]) == 1
}

// verify returns the account of a name whose secret this is: a password, or a token. The
// entry comes with an error too, where there is one of that name.
func (a *Accounts) verify(ctx context.Context, from netip.Addr, name, secret string) (*entry, error) {
	e := a.find(name)
	subjects := []subject{a.limits.address(from), a.limits.name(name)}
	right, err := a.attempt(ctx, e, secret, subjects...)
	switch {
	case err != nil:
		return e, err
	case !right:
		return e, ErrWrong
	case e.expired(a.o.Now()):
		a.limits.take(a.o.Now(), subjects...) // it counts as wrong, since it takes a hash each time
		return e, ErrExpired
	}
	return e, nil
}

// attempt reports whether a secret is that of an account; nil is none, which takes as
// long. What is wrong counts for the subjects.
func (a *Accounts) attempt(ctx context.Context, e *entry, secret string, subjects ...subject) (right bool, err error) {
	if wait := a.limits.take(a.o.Now(), subjects...); wait > 0 {
		return false, &LimitedError{wait}
	}
	encoded := a.dummy
	if e != nil {
		encoded = a.recordOf(e).Hash
	}
	var failed error
	err = a.hasher.run(ctx, func() { right, failed = matches(secret[:min(len(secret), maxSecret+1)], encoded) })
	if err = errors.Join(err, failed); err != nil {
		a.limits.giveBack(subjects...)
		return false, err
	}
	if right = right && e != nil; right {
		a.limits.giveBack(subjects...)
		a.renewHash(ctx, e, secret)
	}
	return right, nil
}

// renewHash computes a hash again that was computed at another cost.
func (a *Accounts) renewHash(ctx context.Context, e *entry, secret string) {
	old := a.recordOf(e)
	if costs(old.Hash, a.o.Hash) {
		return
	}
	var salt [saltSize]byte
	var renewed string
	_, err := io.ReadFull(a.o.Random, salt[:])
	if err == nil {
		err = a.hasher.run(ctx, func() { renewed = hash(secret, salt[:], a.o.Hash) })
	}
	if err == nil {
		err = a.replaceHash(ctx, e, renewed)
	}
	if err != nil {
		a.o.Log.Warn("the hash of an account was not renewed; the next log-in tries again", "account", old.Name, "error", err)
	}
}

func (a *Accounts) replaceHash(ctx context.Context, e *entry, renewed string) error {
	a.edit.Lock()
	defer a.edit.Unlock()
	r := a.recordOf(e)
	if a.find(r.Name) != e {
		return nil // changed meanwhile
	}
	r.Hash = renewed
	ctx, cancel := toTheEnd(ctx)
	defer cancel()
	if err := a.o.Store.Put(ctx, r); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e.record.Hash = renewed
	return nil
}
