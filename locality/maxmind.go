package locality

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

const (
	// DefaultMaxMindPath is the path of a MaxMind source for a tree of two levels.
	DefaultMaxMindPath = "{country.iso_code}/AS{autonomous_system_number}"

	maxMindFiles = 4         // of a source
	maxPlaced    = 1_000_000 // combinations of records whose group is remembered
	absent       = ^uintptr(0)
)

// MaxMindOptions say which files a MaxMind source reads.
type MaxMindOptions struct {
	Files []string // 1 to 4, such as GeoLite2-Country.mmdb and GeoLite2-ASN.mmdb; they are read into memory

	// Path is a Template of fields of a record, with dots between their parts: {country.iso_code},
	// {subdivisions.0.iso_code}. A field is taken from the first file that has it; where none has,
	// the address is not known. Default: DefaultMaxMindPath.
	Path string
}

// MaxMind is a Table of files in MaxMind's format, such as those of countries and of AS numbers.
type MaxMind struct {
	tree  *Tree
	o     MaxMindOptions
	path  Template
	state atomic.Pointer[maxMindState]
}

type maxMindState struct {
	readers []*maxminddb.Reader
	built   time.Time // the oldest of the files

	mu     sync.RWMutex
	placed map[records]*Group
	err    error // of the last record that is no location, or of the last Reload
}

// records are where the record of an address lies in each file.
type records [maxMindFiles]uintptr

// OpenMaxMind reads the files. It fails if one of them cannot be read, and on a path that cannot
// be.
func OpenMaxMind(tree *Tree, o MaxMindOptions) (*MaxMind, error) {
	if o.Path == "" {
		o.Path = DefaultMaxMindPath
	}
	if len(o.Files) == 0 || len(o.Files) > maxMindFiles {
		return nil, fmt.Errorf("maxmind: name from 1 to %d files, not %d", maxMindFiles, len(o.Files))
	}
	path, err := parseTemplate("maxmind: path", o.Path)
	if err != nil {
		return nil, err
	}
	if err := path.checkDepth(tree); err != nil {
		return nil, fmt.Errorf("maxmind: path: %w", err)
	}
	m := &MaxMind{tree: tree, o: o, path: path}
	state, err := m.read()
	if err != nil {
		return nil, err
	}
	m.state.Store(state)
	return m, nil
}

func (m *MaxMind) read() (*maxMindState, error) {
	state := &maxMindState{placed: make(map[records]*Group)}
	for _, file := range m.o.Files {
		// Not mapped into memory: a file that is written in place would end the process.
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("maxmind: %w", err)
		}
		reader, err := maxminddb.OpenBytes(data)
		if err != nil {
			return nil, fmt.Errorf("maxmind: %s: %w", file, err)
		}
		if built := reader.Metadata.BuildTime(); state.built.IsZero() || built.Before(state.built) {
			state.built = built
		}
		state.readers = append(state.readers, reader)
	}
	return state, nil
}

// String is "maxmind" and the files.
func (m *MaxMind) String() string { return "maxmind " + strings.Join(m.o.Files, ", ") }

// Locate is the path of an address. It has no errors, and does not wait.
func (m *MaxMind) Locate(_ context.Context, ip netip.Addr) (string, error) {
	return pathOf(m.Group(ip)), nil
}

// Group is the group of an address, or nil.
func (m *MaxMind) Group(ip netip.Addr) *Group {
	state := m.state.Load()
	key := records{absent, absent, absent, absent}
	found := false
	for i, reader := range state.readers {
		if result, ok := lookUp(reader, ip); ok {
			key[i], found = result.Offset(), true
		}
	}
	if !found {
		return nil
	}
	state.mu.RLock()
	g, known := state.placed[key]
	state.mu.RUnlock()
	if known {
		return g
	}
	return m.place(state, key)
}

// lookUp is the record of an address, if there is one.
func lookUp(reader *maxminddb.Reader, ip netip.Addr) (record maxminddb.Result, ok bool) {
	if reader.Metadata.IPVersion == 4 && !ip.Is4() {
		return record, false
	}
	record = reader.Lookup(ip)
	return record, record.Found()
}

// place makes the group of a combination of records, and remembers it.
func (m *MaxMind) place(state *maxMindState, key records) *Group {
	g, err := m.group(state, key)
	state.mu.Lock()
	defer state.mu.Unlock()
	if err != nil {
		state.err = fmt.Errorf("maxmind: %w", err)
	}
	if len(state.placed) >= maxPlaced {
		clear(state.placed)
	}
	state.placed[key] = g
	return g
}

func (m *MaxMind) group(state *maxMindState, key records) (*Group, error) {
	path, err := m.path.Fill(func(field string) (string, error) {
		for i, reader := range state.readers {
			if key[i] == absent {
				continue
			}
			if text, err := fieldOf(reader.LookupOffset(key[i]), field); text != "" || err != nil {
				return text, err
			}
		}
		return "", nil
	})
	if err != nil || path == "" {
		return nil, err
	}
	return m.tree.Group(path)
}

// fieldOf is a field of a record as text, or "" if the record has none such.
func fieldOf(record maxminddb.Result, field string) (string, error) {
	var parts []any
	for part := range strings.SplitSeq(field, ".") {
		if n, err := strconv.Atoi(part); err == nil {
			parts = append(parts, n)
		} else {
			parts = append(parts, part)
		}
	}
	var value any
	if err := record.DecodePath(&value, parts...); err != nil {
		return "", rubbish("{%s}: %w", field, err)
	}
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	case uint64, int32, uint32, uint16, int64, int:
		return fmt.Sprint(value), nil
	default:
		return "", rubbish("{%s} is neither a text nor a whole number", field)
	}
}

// Why is the network that each file has an address in.
func (m *MaxMind) Why(ip netip.Addr) string {
	var networks []string
	for i, reader := range m.state.Load().readers {
		if result, ok := lookUp(reader, ip); ok {
			networks = append(networks, fmt.Sprintf("%s: %v", m.o.Files[i], result.Prefix()))
		}
	}
	return strings.Join(networks, ", ")
}

// Dated is when the oldest of the files was built, and the last error: of a record that is no
// location, or of Reload.
func (m *MaxMind) Dated() (time.Time, error) {
	state := m.state.Load()
	state.mu.RLock()
	defer state.mu.RUnlock()
	return state.built, state.err
}

// Reload reads the files again. If one cannot be read, all stay as they were.
func (m *MaxMind) Reload() error {
	fresh, err := m.read()
	if err != nil {
		state := m.state.Load()
		state.mu.Lock()
		defer state.mu.Unlock()
		state.err = err
		return err
	}
	m.state.Store(fresh)
	return nil
}
