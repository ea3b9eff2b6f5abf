package dynamodb

import (
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// operation is a kind of request.
type operation uint8

const (
	getItem operation = iota
	batchGetItem
	query
	updateItem
	putItem
	deleteItem
	operations
)

// Figures are what a store has asked for since it was opened.
type Figures struct {
	GetItem, BatchGetItem, Query    uint64 // requests, attempts of the same one counted each
	UpdateItem, PutItem, DeleteItem uint64

	Throttled uint64 // attempts that the service refused because they were too many
	Failed    uint64 // attempts that got no answer, or an error of the server
	Refused   uint64 // announces and scrapes that got swarm.ErrBusy

	// ReadUnits and WriteUnits are what the service says that it charges. They stay 0
	// where an endpoint does not say.
	ReadUnits, WriteUnits float64
}

// counters are figures that are being counted.
type counters struct {
	requests                   [operations]atomic.Uint64
	throttled, failed, refused atomic.Uint64
	read, write                atomic.Uint64 // in thousandths of a unit
}

// Figures returns what the store has asked for.
func (s *Store) Figures() Figures {
	c := &s.server.counters
	return Figures{
		GetItem: c.requests[getItem].Load(), BatchGetItem: c.requests[batchGetItem].Load(), Query: c.requests[query].Load(),
		UpdateItem: c.requests[updateItem].Load(), PutItem: c.requests[putItem].Load(), DeleteItem: c.requests[deleteItem].Load(),
		Throttled: c.throttled.Load(), Failed: c.failed.Load(), Refused: c.refused.Load(),
		ReadUnits: float64(c.read.Load()) / 1000, WriteUnits: float64(c.write.Load()) / 1000,
	}
}

// charged counts what a request cost.
func (c *counters) charged(op operation, all ...types.ConsumedCapacity) {
	to := &c.read
	if op >= updateItem {
		to = &c.write
	}
	for i := range all {
		if all[i].CapacityUnits != nil {
			to.Add(uint64(*all[i].CapacityUnits * 1000))
		}
	}
}
