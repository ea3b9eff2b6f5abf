package main

import (
	"waggle/metrics"
	"waggle/store/dynamodb"
	"waggle/store/redis"
	"waggle/store/s3"
	replicas "waggle/store/shared"
	"waggle/swarm"
)

// remoteFigures are what a store on a network did, which it has counted anyway; nil: it
// is on this machine.
func remoteFigures(store swarm.Store) *metrics.RemoteStore {
	r := new(metrics.RemoteStore)
	switch s := store.(type) {
	case *redis.Store:
		f := s.Figures()
		r.Requests = []metrics.Requests{{Operation: "script", Count: f.Scripts}, {Operation: "read", Count: f.Reads}}
		r.Unanswered, r.Refused = f.Failed, f.Refused
		r.Rosters = rosters(s.LocatedFigures())
	case *dynamodb.Store:
		f := s.Figures()
		r.Requests = []metrics.Requests{
			{Operation: "GetItem", Count: f.GetItem},
			{Operation: "BatchGetItem", Count: f.BatchGetItem},
			{Operation: "Query", Count: f.Query},
			{Operation: "UpdateItem", Count: f.UpdateItem},
			{Operation: "PutItem", Count: f.PutItem},
			{Operation: "DeleteItem", Count: f.DeleteItem},
		}
		r.Throttled, r.Unanswered, r.Refused = f.Throttled, f.Failed, f.Refused
		r.ReadUnits, r.WriteUnits = f.ReadUnits, f.WriteUnits
		r.Rosters = rosters(s.LocatedFigures())
	case *s3.Store:
		f := s.Figures()
		r.Requests = []metrics.Requests{
			{Operation: "GET", Count: f.Get}, {Operation: "PUT", Count: f.Put}, {Operation: "DELETE", Count: f.Delete}, {Operation: "LIST", Count: f.List},
		}
		r.Throttled, r.Unanswered, r.Conflicts, r.Refused = f.Throttled, f.Failed, f.Conflicts, f.Refused
		r.Changes, r.Objects, r.Splits, r.Joins = f.Batched, f.Batches, f.Splits, f.Joins
		r.Rosters = rosters(s.LocatedFigures())
	default:
		return nil
	}
	return r
}

func rosters(f replicas.Figures) metrics.Rosters {
	return metrics.Rosters{
		Torrents: f.Replicas, Peers: f.Members, Waiting: f.Waiting,
		Updates: f.Steps, Loads: f.Loads, Commits: f.Commits, Conflicts: f.Conflicts, Lost: f.Lost,
	}
}

// remote returns what a store on a network did; zeros where it is on this machine.
func (f *figures) remote() metrics.RemoteStore {
	if f.Remote == nil {
		return metrics.RemoteStore{}
	}
	return *f.Remote
}

// asked returns how often a store on a network was asked.
func (f *figures) asked() (n uint64) {
	for _, of := range f.remote().Requests {
		n += of.Count
	}
	return n
}
