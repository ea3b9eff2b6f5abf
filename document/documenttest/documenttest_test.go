package documenttest_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"waggle/document"
	"waggle/document/documenttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryConforms(t *testing.T) {
	documenttest.Run(t, func(*testing.T) document.Store { return documenttest.NewMemory() })
	documenttest.RunTogether(t, func(*testing.T) (a, b document.Store) {
		m := documenttest.NewMemory()
		return m, m
	})
}

func TestFaultsComeWhereTheyAreWanted(t *testing.T) {
	m := documenttest.NewMemory()
	var next documenttest.Fault
	f := &documenttest.Faulty{Store: m, Fault: func(string, string) documenttest.Fault { return next }}
	ctx := context.Background()
	for fault, putErr := range map[documenttest.Fault]error{
		documenttest.Refused: documenttest.ErrFault, documenttest.Lost: documenttest.ErrFault, documenttest.Again: document.ErrChanged, documenttest.None: nil,
	} {
		next = fault
		before := m.Copy()
		_, err := f.Put(ctx, "a", nil, "")
		if done := m.Len() == 1; done != (fault != documenttest.Refused) || !errors.Is(err, putErr) {
			t.Errorf("put with %v: done %v, %v", fault, done, err)
		}
		answers := !errors.Is(putErr, documenttest.ErrFault)
		d, _ := m.Get(ctx, "a")
		_, err = f.Get(ctx, "a")
		if (err == nil) != answers {
			t.Errorf("get with %v: %v", fault, err)
		}
		for _, err := range f.List(ctx, "", "", true) {
			if (err == nil) != answers {
				t.Errorf("list with %v: %v", fault, err)
			}
		}
		err = f.Delete(ctx, "a", d.Version)
		if m.Len() != 0 || (err == nil) != answers {
			t.Errorf("delete with %v: %d left, %v", fault, m.Len(), err)
		}
		if before.Len() != 0 {
			t.Error("a copy is not one of its own")
		}
	}
}
