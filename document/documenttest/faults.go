package documenttest

import (
	"context"
	"errors"
	"iter"
	"sync"

	"waggle/document"
)

// Fault is what happens to a request.
type Fault int

// The faults that there are.
const (
	None    Fault = iota // it is done and answered
	Refused              // it is not done
	Lost                 // it is done, and its answer is lost
	Again                // the same, and the store asks again: what is put is document.ErrChanged
)

// fails reports whether what asks and changes nothing gets no answer.
func (f Fault) fails() bool { return f == Refused || f == Lost }

// ErrFault is the error of a request that failed.
var ErrFault = errors.New("the request failed")

// Faulty is a store whose requests fail where Fault says so. A List that fails, fails
// at its beginning.
type Faulty struct {
	document.Store

	// Fault is asked before each request, one at a time: "get", "put", "delete" or
	// "list", and the name or prefix. It may itself use other stores, to come in between.
	Fault func(verb, name string) Fault

	mu sync.Mutex
}

func (f *Faulty) fault(verb, name string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Fault(verb, name)
}

// Get gets.
func (f *Faulty) Get(ctx context.Context, name string) (document.Document, error) {
	if f.fault("get", name).fails() {
		return document.Document{}, ErrFault
	}
	return f.Store.Get(ctx, name)
}

// Put puts.
func (f *Faulty) Put(ctx context.Context, name string, value []byte, version string) (string, error) {
	fault := f.fault("put", name)
	if fault == Refused {
		return "", ErrFault
	}
	next, err := f.Store.Put(ctx, name, value, version)
	switch fault {
	case Lost:
		return "", ErrFault
	case Again:
		return f.Store.Put(ctx, name, value, version)
	}
	return next, err
}

// Delete deletes.
func (f *Faulty) Delete(ctx context.Context, name, version string) error {
	fault := f.fault("delete", name)
	if fault == Refused {
		return ErrFault
	}
	err := f.Store.Delete(ctx, name, version)
	if fault == Lost {
		return ErrFault
	}
	return err
}

// List lists.
func (f *Faulty) List(ctx context.Context, prefix, after string, values bool) iter.Seq2[document.Document, error] {
	return func(yield func(document.Document, error) bool) {
		if f.fault("list", prefix).fails() {
			yield(document.Document{}, ErrFault)
			return
		}
		f.Store.List(ctx, prefix, after, values)(yield)
	}
}
