package documenttest_test

import (
	"context"
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
	for _, fault := range []documenttest.Fault{documenttest.Refused, documenttest.Lost, documenttest.None} {
		next = fault
		before := m.Copy()
		_, err := f.Put(ctx, "a", nil, "")
		if done := m.Len() == 1; done != (fault != documenttest.Refused) || (err == nil) != (fault == documenttest.None) {
			t.Errorf("put with %v: done %v, %v", fault, done, err)
		}
		d, _ := m.Get(ctx, "a")
		_, err = f.Get(ctx, "a")
		if (err == nil) != (fault == documenttest.None) {
			t.Errorf("get with %v: %v", fault, err)
		}
		for _, err := range f.List(ctx, "", "", true) {
			if (err == nil) != (fault == documenttest.None) {
				t.Errorf("list with %v: %v", fault, err)
			}
		}
		err = f.Delete(ctx, "a", d.Version)
		if m.Len() != 0 || (err == nil) != (fault == documenttest.None) {
			t.Errorf("delete with %v: %d left, %v", fault, m.Len(), err)
		}
		if before.Len() != 0 {
			t.Error("a copy is not one of its own")
		}
	}
}
