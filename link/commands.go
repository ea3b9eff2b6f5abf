package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"waggle/link/carrier"
)

// Errors of commands, wrapped in words that name the remedy.
var (
	ErrUnknown  = errors.New("there is no such link")
	ErrInvalid  = errors.New("this cannot be done with links")
	ErrConflict = errors.New("this is in the way of a link")
)

// failure is one of these, in other words than its own.
type failure struct {
	kind error
	text string
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.kind }

func invalid(err error) error  { return &failure{ErrInvalid, err.Error()} }
func conflict(err error) error { return &failure{ErrConflict, err.Error()} }

func unknownLink(name string) error {
	return &failure{ErrUnknown, fmt.Sprintf("there is no link named %q; \"waggle links\" lists those that there are", name[:min(len(name), 64)])}
}

// editing keeps others from changing which links there are until the returned function is
// called.
func (l *Links) editing() (end func(), err error) {
	l.edit.Lock()
	if l.closed {
		l.edit.Unlock()
		return nil, errClosed
	}
	return l.edit.Unlock, nil
}

// Invite makes an invitation for a leaf, and returns the line that it joins with, a
// secret that is kept nowhere. Without addresses those of this tracker are in it. Over a
// NATS that was there already, the leaf is let in and there is no line: it sets link.nats
// and the name.
func (l *Links) Invite(name string, r carrier.Rights, addresses []string) (line string, err error) {
	end, err := l.editing()
	if err != nil {
		return "", err
	}
	defer end()
	if err := cmp.Or(carrier.CheckName(name), checkRights(&r)); err != nil {
		return "", invalid(err)
	}
	if name == hubKey {
		return "", invalid(errors.New("no leaf can have the name hub, which stands for the tracker that was joined: choose another"))
	}
	if name == l.o.Name {
		return "", invalid(errors.New("this tracker itself has that name: choose another"))
	}
	if _, known := l.book.Find(name); known {
		return "", conflict(fmt.Errorf("there is a leaf named %s already: drop it first, or choose another name", name))
	}
	hub, leaf := l.ends()
	switch {
	case leaf != nil && leaf.Status().Name == name:
		return "", conflict(fmt.Errorf("the hub that this tracker joined is named %s too: choose another name for the leaf", name))
	case hub == nil:
		return "", conflict(errors.New("leaves cannot join this tracker: set link.listen, and start it again"))
	case hub.Addr() == nil:
		if err := l.book.Allow(name, r, time.Now()); err != nil {
			return "", conflict(err)
		}
		l.o.Log.Info("a leaf may come over NATS", "leaf", name)
		return "", nil
	}
	if len(addresses) == 0 {
		addresses = l.addresses()
	}
	if err := carrier.CheckAddresses(addresses); err != nil {
		return "", invalid(err)
	}
	in, err := l.book.Invite(name, r, addresses, time.Now())
	if err != nil {
		return "", conflict(err)
	}
	in.Hub = l.o.Name
	l.o.Log.Info("a leaf was invited", "leaf", name, "addresses", strings.Join(addresses, " "))
	return in.Line(), nil
}

// Join makes this tracker the leaf of the hub that a line invites to, keeps what it needs
// for that in the directory, and begins to dial. Errors do not hold the line.
func (l *Links) Join(ctx context.Context, line string) error {
	end, err := l.editing()
	if err != nil {
		return err
	}
	defer end()
	if l.o.Outside != nil && !l.o.OutsideHub {
		return conflict(errors.New("this tracker finds its hub over link.nats: take that out of the configuration, and start it again"))
	}
	if _, leaf := l.ends(); leaf != nil {
		return conflict(errors.New("this tracker has joined a hub already: leave that one first"))
	}
	parsed, err := carrier.ParseInvitation(line)
	if err != nil {
		return invalid(err)
	}
	if _, taken := l.book.Find(parsed.Hub); taken {
		return conflict(fmt.Errorf("the hub is named %s, as a leaf of this tracker is: drop that leaf and invite it by another name, "+
			"or have the hub's owner set another link.name and invite again", parsed.Hub))
	}
	in, err := carrier.Join(l.o.Directory, line)
	if err != nil {
		return conflict(err)
	}
	var began error
	if err := l.do(func() { began = l.begin(ctx) }); err != nil {
		return err
	}
	if began == nil {
		began = l.dial(in)
	}
	if began != nil {
		return errors.Join(began, carrier.Part(l.o.Directory))
	}
	l.o.Log.Info("a hub was joined", "as", in.Name, "addresses", strings.Join(in.Addresses, " "))
	return nil
}

// Leave ends the link with the hub for good, and forgets the peers that came through it.
func (l *Links) Leave() error {
	end, err := l.editing()
	if err != nil {
		return err
	}
	defer end()
	_, leaf := l.ends()
	switch {
	case leaf == nil:
		return &failure{ErrUnknown, "this tracker has joined no hub"}
	case l.o.Outside != nil && !l.o.OutsideHub:
		return conflict(errors.New("the hub is found over link.nats: take that out of the configuration, and start this tracker again"))
	}
	leaf.Close()
	l.mu.Lock()
	l.leaf = nil
	l.mu.Unlock()
	return errors.Join(carrier.Part(l.o.Directory), l.revoke(hubKey))
}

// revoke forgets the peers that came through a link.
func (l *Links) revoke(name string) error {
	return l.do(func() {
		if l.node == nil {
			return
		}
		peers := l.node.Revoke(time.Now(), name)
		title := l.know(name).title(name)
		l.sharing.forget(name)
		delete(l.known, name)
		l.changed = true
		l.o.Log.Info("a link was dropped with its peers", "link", title, "peers", peers)
	})
}

// Drop ends the link with a leaf for good, or takes its invitation back, and forgets the
// peers that came through it. The name hub is that of the hub.
func (l *Links) Drop(name string) error {
	if l.isHubName(name) {
		return l.Leave()
	}
	end, err := l.editing()
	if err != nil {
		return err
	}
	defer end()
	if _, known := l.book.Find(name); !known {
		return unknownLink(name)
	}
	// First the key, so that it does not come again, then what came.
	hub, _ := l.ends()
	if hub != nil {
		err = hub.Revoke(name)
	} else {
		err = l.book.Revoke(name)
	}
	if err != nil {
		return err
	}
	return l.revoke(name)
}

// Reset closes the connection of a link, which begins anew and heals.
func (l *Links) Reset(name string) error {
	hub, leaf := l.ends()
	if l.isHubName(name) {
		leaf.Reset()
		l.o.Log.Info("a link was reset", "link", name)
		return nil
	}
	if _, known := l.book.Find(name); !known {
		return unknownLink(name)
	}
	if hub != nil && hub.Reset(name) {
		l.o.Log.Info("a link was reset", "link", name)
	}
	return nil
}

// SetRights gives a leaf, invited or linked, other rights in place of all that it has. A
// link that is open is opened anew with them.
func (l *Links) SetRights(name string, r carrier.Rights) error {
	end, err := l.editing()
	if err != nil {
		return err
	}
	defer end()
	if err := checkRights(&r); err != nil {
		return err
	}
	if l.isHubName(name) {
		return conflict(errors.New("the rights of a link are its hub's to set: ask the owner of the hub that this tracker joined"))
	}
	if _, known := l.book.Find(name); !known {
		return unknownLink(name)
	}
	if err := l.book.Change(name, r); err != nil {
		return err
	}
	l.o.Log.Info("a leaf has other rights", "leaf", name)
	return l.do(func() { l.withdraw(time.Now(), name) })
}

// isHubName reports whether a name is that of the hub that was joined: "hub", or its own
// where no leaf has that.
func (l *Links) isHubName(name string) bool {
	_, leaf := l.ends()
	if leaf == nil {
		return false
	}
	if _, is := l.book.Find(name); is {
		return false
	}
	return name == hubKey || name == leaf.Status().Name && name != ""
}
