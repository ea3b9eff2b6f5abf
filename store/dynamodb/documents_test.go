package dynamodb_test

import (
	"testing"

	"waggle/document"
	"waggle/document/documenttest"
)

func TestDocumentsConform(t *testing.T) {
	t.Parallel()
	documenttest.Run(t, func(t *testing.T) document.Store { return open(t, newTable(t)).Documents() })
}

func TestDocumentsOfTwoStoresAreTheSame(t *testing.T) {
	documenttest.RunTogether(t, func(t *testing.T) (a, b document.Store) {
		o := newTable(t)
		return open(t, o).Documents(), open(t, o).Documents()
	})
}
