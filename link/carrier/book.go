package carrier

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nkeys"
)

// MaxLeaves is the most leaves that a hub knows.
const MaxLeaves = 1000

const bookRemedy = "delete it: the hub then knows no leaf, and every one must be invited anew"

// Invited is a leaf that a hub knows.
type Invited struct {
	Name   string    `json:"name"`
	Key    string    `json:"key,omitempty"` // public; none: it comes over a NATS that is there already
	Rights Rights    `json:"rights"`
	Since  time.Time `json:"since"`
}

// Book is the leaves that a hub knows, in the file leaves.json of a folder, beside the
// hub's key. Several processes may change it; each sees what others did. It is safe for
// use by many goroutines; who only looks something up does not wait for the file.
type Book struct {
	dir    string
	leaves atomic.Pointer[[]Invited] // by name; never changed in place

	mu   sync.Mutex // of the file
	read fs.FileInfo
}

// OpenBook reads the book in dir, which need not be there. A damaged file is an error
// that says what to do.
func OpenBook(dir string) (*Book, error) {
	b := &Book{dir: dir}
	b.leaves.Store(new([]Invited))
	return b, b.Refresh()
}

type inBook struct {
	Leaves []Invited `json:"leaves"`
}

func (b *Book) path() string { return filepath.Join(b.dir, "leaves.json") }

// Refresh reads the file if it was changed. At an error the book stays as it was.
func (b *Book) Refresh() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refresh()
}

func (b *Book) refresh() error {
	stat, err := os.Stat(b.path())
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if err == nil && b.read != nil && os.SameFile(stat, b.read) && stat.ModTime().Equal(b.read.ModTime()) && stat.Size() == b.read.Size() {
		return nil
	}
	var in inBook
	if _, err := readJSON(b.path(), bookRemedy, &in); err != nil {
		return err
	}
	slices.SortFunc(in.Leaves, compareNames)
	if !areGood(in.Leaves) {
		return damaged(b.path(), bookRemedy)
	}
	b.leaves.Store(&in.Leaves)
	b.read = stat
	return nil
}

// areGood reports whether leaves can be those of a book; they are by name.
func areGood(leaves []Invited) bool {
	if len(leaves) > MaxLeaves {
		return false
	}
	for i := range leaves {
		leaf := &leaves[i]
		if CheckName(leaf.Name) != nil || leaf.Rights.Check() != nil || leaf.Key != "" && !nkeys.IsValidPublicUserKey(leaf.Key) {
			return false
		}
		if i > 0 && leaves[i-1].Name == leaf.Name {
			return false
		}
	}
	return true
}

// All returns the leaves, by name.
func (b *Book) All() []Invited { return slices.Clone(*b.leaves.Load()) }

// Find returns the leaf of a name.
func (b *Book) Find(name string) (leaf Invited, ok bool) {
	return b.find(func(leaf *Invited) bool { return leaf.Name == name })
}

// withKey returns the leaf that has a public key.
func (b *Book) withKey(key string) (leaf Invited, ok bool) {
	return b.find(func(leaf *Invited) bool { return key != "" && leaf.Key == key })
}

func (b *Book) find(is func(*Invited) bool) (leaf Invited, ok bool) {
	leaves := *b.leaves.Load()
	for i := range leaves {
		if is(&leaves[i]) {
			return leaves[i], true
		}
	}
	return Invited{}, false
}

// Invite makes a key for a new leaf, and the hub's own where it has none yet, and
// returns the invitation, whose secret is kept nowhere else. The addresses are where
// leaves reach the hub. An error may be that the name is taken.
func (b *Book) Invite(name string, rights Rights, addresses []string, now time.Time) (*Invitation, error) {
	if err := CheckAddresses(addresses); err != nil {
		return nil, err
	}
	id, err := openIdentity(b.dir)
	if err != nil {
		return nil, err
	}
	pin, err := id.pin()
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	if err != nil {
		return nil, err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, err
	}
	in := &Invitation{Name: name, Addresses: slices.Clone(addresses), Pin: pin, seed: newSecret(string(seed))}
	return in, b.add(Invited{Name: name, Key: public, Rights: rights, Since: now.UTC()})
}

// Allow adds a leaf that comes over a NATS that is there already, which knows it.
func (b *Book) Allow(name string, rights Rights, now time.Time) error {
	return b.add(Invited{Name: name, Rights: rights, Since: now.UTC()})
}

func (b *Book) add(leaf Invited) error {
	if err := CheckName(leaf.Name); err != nil {
		return err
	}
	if err := leaf.Rights.Check(); err != nil {
		return err
	}
	return b.edit(leaf.Name, func(leaves []Invited, at int, found bool) ([]Invited, error) {
		switch {
		case found:
			return nil, fmt.Errorf("there is a leaf named %s already: revoke it first, or choose another name", leaf.Name)
		case len(leaves) >= MaxLeaves:
			return nil, fmt.Errorf("a hub has at most %d leaves: revoke one first, or make a leaf the hub of others", MaxLeaves)
		}
		return slices.Insert(leaves, at, leaf), nil
	})
}

// Change gives a leaf other rights. A link that is open is opened anew with them.
func (b *Book) Change(name string, rights Rights) error {
	if err := rights.Check(); err != nil {
		return err
	}
	return b.edit(name, func(leaves []Invited, at int, found bool) ([]Invited, error) {
		if !found {
			return nil, unknownLeaf(name)
		}
		leaves[at].Rights = rights
		return leaves, nil
	})
}

// Revoke strikes a leaf out. A hub that runs closes its link within about a second, or
// at once by [Hub.Revoke].
func (b *Book) Revoke(name string) error {
	return b.edit(name, func(leaves []Invited, at int, found bool) ([]Invited, error) {
		if !found {
			return nil, unknownLeaf(name)
		}
		return slices.Delete(leaves, at, at+1), nil
	})
}

func unknownLeaf(name string) error {
	return fmt.Errorf("this hub has no leaf named %q; \"waggle links\" lists those that it has", cut(name, 80))
}

// edit changes the file. change gets a copy of the leaves, and where the name is or
// would be.
func (b *Book) edit(name string, change func(leaves []Invited, at int, found bool) ([]Invited, error)) error {
	return locked(b.dir, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if err := b.refresh(); err != nil {
			return err
		}
		leaves := b.All()
		at, found := slices.BinarySearchFunc(leaves, Invited{Name: name}, compareNames)
		leaves, err := change(leaves, at, found)
		if err != nil {
			return err
		}
		if err := writeJSON(b.path(), inBook{Leaves: leaves}); err != nil {
			return err
		}
		b.read = nil
		return b.refresh()
	})
}

func compareNames(a, b Invited) int { return strings.Compare(a.Name, b.Name) }
