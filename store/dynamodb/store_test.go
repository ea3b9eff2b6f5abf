package dynamodb_test

import (
	"testing"

	"waggle/store/storetest"
	"waggle/swarm"
)

func TestStoreConforms(t *testing.T) {
	t.Parallel()
	storetest.RunOfSize(t, openNew, size)
}

func TestStoreCanBeCopiedInto(t *testing.T) {
	t.Parallel()
	storetest.RunRestore(t, openNew)
}

func TestStoreKeepsRosters(t *testing.T) {
	t.Parallel()
	storetest.RunLocated(t, func(t *testing.T) swarm.Store {
		o := newTable(t)
		o.Group = newTree(t).Group
		return open(t, o)
	})
}
