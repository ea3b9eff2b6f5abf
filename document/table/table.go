package table

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"

	"waggle/document"
)

// Errors of tables, wrapped in words that say what to do.
var (
	ErrConflict = errors.New("somebody else has changed the same at the same time: try again")
	ErrTooLarge = errors.New("too much for one change")
	ErrNewer    = errors.New("was written by a newer waggle: upgrade this one")
	ErrDamaged  = errors.New("is not as waggle wrote it: restore it from a backup")
)

// Bounds of a table.
const (
	MaxBatch = document.MaxValue - 4096 // bytes of a change, as encoded
	MaxKey   = 100                      // bytes of a key, which is a part of a document's name
	MaxBlob  = 64 << 20                 // bytes

	keepChanges = 1024 // of which others can learn one by one
	atOnce      = 16   // requests under way, of one call
)

// Options are the settings of a table.
type Options struct {
	// Prefix is what the names of all its documents begin with, followed by "/".
	Prefix string

	// MaxLines is how many lines are kept.
	MaxLines int64

	// Serial has any change of somebody else's that was not known conflict with one's
	// own. Otherwise only those do that touch the same keys.
	Serial bool

	// Join returns the value of a row that is to be next in place of old, which perhaps
	// was merged since next was made. It is called often, and has no effect but its
	// answer. nil: next.
	Join func(old, next json.RawMessage) json.RawMessage
}

// Row is a value with a key.
type Row struct {
	Key   string
	Value json.RawMessage
}

// Change is a change of one row.
type Change struct {
	Key string // letters, digits, "-" and "_"

	// Also is another key that this change touches, so that others which touch it
	// conflict. "": none.
	Also string

	Value  json.RawMessage // is put in place of the row's; what was deleted has none
	Delete bool            // instead: the row is removed, with its blob
	Blob   []byte          // is kept with the row; nil: what is kept stays
}

// Batch is what is changed at a time. Lines and notes conflict with nothing.
type Batch struct {
	Changes []Change
	Lines   []json.RawMessage // are added, in their order

	// Notes are told to others as News, and kept nowhere.
	Notes []Row
}

// Table is a table. Use [Open]. All methods may be called concurrently, but [Table.Load],
// which one may call at a time.
type Table struct {
	store document.Store
	o     Options
	chunk int // how many bytes of a blob lie in one document: document.MaxValue

	mu      sync.Mutex // held while a call decides; one call at a time
	head    head       // as it was read or written last
	version string     // of its document; "": there is none
	last    *change    // that the head names; nil: not read
	news    []*change  // that were read and not given out
	behind  bool       // News cannot be told one by one: all must be loaded
	loading bool       // Load is under way: news are kept until it has ended
	follows bool       // rows were loaded or changed: what others change matters
	applied uint64     // the latest change that is in its rows, as far as is known

	// stale are empty rows that were found while loading, with their incarnations.
	// Whose they are may still be about to use them.
	stale map[string]string
}

// Open opens the table that lies in documents with a prefix; there need be none yet.
// Rows are not read, but for those of a change whose maker has died. Errors are
// [ErrNewer], [ErrDamaged], or one of the store.
func Open(ctx context.Context, store document.Store, o Options) (*Table, error) {
	if o.Join == nil {
		o.Join = func(_, next json.RawMessage) json.RawMessage { return next }
	}
	t := &Table{store: store, o: o, chunk: document.MaxValue}
	return t, t.begin(ctx)
}

// schema is the number of this layout.
const schema = 1

// head says which change is the latest.
type head struct {
	Schema int    `json:"schema"`
	Number uint64 `json:"number"` // 0: none
	Nonce  string `json:"nonce"`
	Lines  int64  `json:"lines"` // that were ever added
}

// change is what was changed at a time.
type change struct {
	Number   uint64            `json:"number"` // from 1, without gaps
	Nonce    string            `json:"nonce"`
	Previous string            `json:"previous"` // nonce of the change before
	Rows     []rowChange       `json:"rows,omitempty"`
	First    int64             `json:"first,omitempty"` // number of the first line
	Lines    []json.RawMessage `json:"lines,omitempty"`
	Notes    []noted           `json:"notes,omitempty"`
}

type rowChange struct {
	Key         string          `json:"key"`
	Also        string          `json:"also,omitempty"`
	Incarnation string          `json:"incarnation"`
	Delete      bool            `json:"delete,omitempty"`
	Value       json.RawMessage `json:"value,omitempty"`
	Blob        *blob           `json:"blob,omitempty"`   // nil: what is there stays
	NoBlob      bool            `json:"noBlob,omitempty"` // what is there goes
	Clean       bool            `json:"clean,omitempty"`  // other chunks may be there
}

type noted struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// row is the document of a row.
type row struct {
	Incarnation string          `json:"incarnation"`
	Number      uint64          `json:"number"` // of the change that wrote it; 0: empty, and not there yet
	Value       json.RawMessage `json:"value,omitempty"`
	Blob        *blob           `json:"blob,omitempty"`
	Blobs       bool            `json:"blobs,omitempty"` // there are chunks of blobs, or were
}

func (t *Table) headName() string { return t.o.Prefix + "/head" }

func (t *Table) changesPrefix() string { return t.o.Prefix + "/change/" }

func (t *Table) changeName(number uint64, nonce string) string {
	return fmt.Sprintf("%s%016d-%s", t.changesPrefix(), number, nonce)
}

func (t *Table) rowsPrefix() string { return t.o.Prefix + "/row/" }

func (t *Table) rowName(key string) string { return t.rowsPrefix() + key }

func (t *Table) linesPrefix() string { return t.o.Prefix + "/line/" }

// lineName counts down.
func (t *Table) lineName(number int64) string {
	return fmt.Sprintf("%s%019d", t.linesPrefix(), math.MaxInt64-number)
}

// lineNumber is the number of the line with a name, 0 of what is none.
func (t *Table) lineNumber(name string) int64 {
	down, err := strconv.ParseInt(name[len(t.linesPrefix()):], 10, 64)
	if err != nil || down < 0 {
		return 0
	}
	return math.MaxInt64 - down
}

// newNonce returns 16 hexadecimal digits that nobody else has.
func newNonce() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// get reads a document and decodes its value. The error is document.ErrNone,
// [ErrDamaged], or one of the store.
func (t *Table) get(ctx context.Context, name string, value any) (version string, err error) {
	d, err := t.store.Get(ctx, name)
	if err != nil {
		return "", err
	}
	return d.Version, decode(d, value)
}

func decode(d document.Document, value any) error {
	if err := json.Unmarshal(d.Value, value); err != nil {
		return fmt.Errorf("the document %s %w (%w)", d.Name, ErrDamaged, err)
	}
	return nil
}

// unlessDone returns the error of putting a document under a name that nobody else writes
// anything else to: where it is there, it has been done, and the answer was lost.
func unlessDone(err error) error {
	if errors.Is(err, document.ErrChanged) {
		return nil
	}
	return err
}

func (t *Table) put(ctx context.Context, name string, value any, version string) (next string, err error) {
	b, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	return t.store.Put(ctx, name, b, version)
}
