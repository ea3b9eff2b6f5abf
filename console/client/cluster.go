package client

import (
	"context"
	"net"
	"net/http"
	"strconv"
)

// What an instance is to its cluster.
const (
	ClusterNewcomer = "newcomer" // it looks for others, or joins
	ClusterSlave    = "slave"
	ClusterMaster   = "master"
	ClusterLeft     = "left" // it has left, until it is started again
)

// Cluster is what an instance of a cluster has of it.
type Cluster struct {
	Role       string          `json:"role" enum:"newcomer,slave,master,left" doc:"Of this instance: newcomer, which looks for others or joins; slave; master, which answers peers; left, until it is started again."`
	ID         string          `json:"id,omitempty" doc:"Of this instance, in 40 hexadecimal digits; the lowest is master. Left out while it has none." example:"6f1c0a9e2b7d4f3a8c5e9d0b1a2f3c4d00000000"`
	Address    string          `json:"address" doc:"By which the others know it." example:"192.0.2.1:40000"`
	Group      string          `json:"group,omitempty" doc:"Multicast group of the instances; left out if they speak by a NATS." example:"239.192.0.69:6968"`
	PeersGroup string          `json:"peers_group,omitempty" doc:"Multicast group that peers ask; left out if there is none." example:"239.192.0.69:6969"`
	Master     string          `json:"master,omitempty" doc:"Its address; left out while there is none." example:"192.0.2.2:40000"`
	Serving    bool            `json:"serving" doc:"Whether announces are taken in."`
	Electing   bool            `json:"electing" doc:"Whether a master is being elected: nobody is answered meanwhile."`
	Members    []ClusterMember `json:"members" nullable:"false" doc:"All others that are alive, by address."`
	Peers      int             `json:"peers" minimum:"0" doc:"That are there, over all torrents."`
	Rows       int             `json:"rows" minimum:"0" doc:"Those, with peers that have left lately and counts of completed downloads."`
	UnderWay   int             `json:"under_way" minimum:"0" doc:"Requests that are not committed by all yet."`
	Ahead      float64         `json:"ahead_seconds" doc:"By how much the time of the cluster is ahead of this instance's clock."`
	Totals     ClusterTotals   `json:"totals"`
}

// ClusterMember is another instance.
type ClusterMember struct {
	IP        string  `json:"ip" example:"192.0.2.2"`
	Port      int     `json:"port" minimum:"0" maximum:"65535"`
	ID        string  `json:"id,omitempty" doc:"Left out while it has none."`
	Role      string  `json:"role" enum:"newcomer,slave,master"`
	Keepalive float64 `json:"keepalive_seconds" minimum:"0" doc:"Since its last keepalive. They come every second, and it is held for down after two and a half."`
	State     string  `json:"state,omitempty" enum:"joining,read,copied to,equal" doc:"joining: it has no ID yet. Of a slave, as its master has it: read, the master looks what it has; copied to, it is brought what it lacks; equal, it has all."`
	Sequence  uint64  `json:"sequence,omitempty" doc:"Of a slave, as its master has it: how many requests it said that it has recorded. Left out where there were none, and by slaves, whom nobody tells."`
	Lag       float64 `json:"lag_seconds,omitempty" minimum:"0" doc:"Of a slave, as its master has it: from when that takes up a request to when the slave has recorded it, on average of about the last hundred. Left out where sequence is."`
}

// ClusterTotals count what an instance did since it began.
type ClusterTotals struct {
	Committed uint64  `json:"committed" doc:"Requests that all have recorded."`
	Heard     uint64  `json:"heard" doc:"Requests that waited for a master."`
	Again     uint64  `json:"again" doc:"Requests that were committed before: their peers have asked again."`
	Resent    uint64  `json:"resent" doc:"Requests and commits that were sent to a member again."`
	Elections uint64  `json:"elections" doc:"That this instance took part in."`
	Refused   uint64  `json:"refused" doc:"Requests for which there was no room."`
	Full      uint64  `json:"full" doc:"Peers for which there was no room: see cluster.max_rows."`
	Bad       uint64  `json:"bad" doc:"Packets that are none of a cluster's."`
	Strange   uint64  `json:"strange" doc:"Messages that are not for this instance as things are: they came late, or from strangers."`
	Forged    uint64  `json:"forged" doc:"Packets sealed with another secret, or of another cluster."`
	Replayed  uint64  `json:"replayed" doc:"Packets that came before, or far too late."`
	Lost      uint64  `json:"lost" doc:"Packets that there was no room for."`
	Failed    uint64  `json:"failed" doc:"Packets that could not be sent: fault says why the last one."`
	Fault     string  `json:"fault,omitempty" doc:"Why the last packet could not be sent."`
	Commit    float64 `json:"commit_seconds" minimum:"0" doc:"That a request takes until all have it, on average of about the last hundred."`
}

// Addr returns an instance's address as IP:PORT.
func (m *ClusterMember) Addr() string { return net.JoinHostPort(m.IP, strconv.Itoa(m.Port)) }

// Cluster returns what the tracker has of its cluster. If it is in none, the error is a
// [*Problem] of status 404 that says so.
func (c *Client) Cluster(ctx context.Context) (v Cluster, err error) {
	err = c.json(ctx, http.MethodGet, c.url("cluster", nil), nil, &v)
	return v, err
}

// StepDown has the tracker, which is the master of its cluster, give its place to another.
func (c *Client) StepDown(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodPost, c.url("cluster/stepdown", nil), nil)
	return err
}

// LeaveCluster has the tracker leave its cluster until it is started again.
func (c *Client) LeaveCluster(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodPost, c.url("cluster/leave", nil), nil)
	return err
}
