package client

import (
	"time"

	"waggle/bittorrent"
)

// Torrent is what the tracker knows of a .torrent.
type Torrent struct {
	InfoHash bittorrent.InfoHash `json:"info_hash" doc:"By which trackers know it: of version 1, or the first 20 bytes of version 2." pattern:"^[0-9a-f]{40}$"`
	Name     string              `json:"name" doc:"Of the folder or the only file."`
	File     string              `json:"file" doc:"Base name of the .torrent."`
	Size     int64               `json:"size" doc:"Bytes of all files." minimum:"0"`
	Version  string              `json:"version" enum:"1,2,hybrid"`
	Private  bool                `json:"private" doc:"Whether clients get peers from trackers alone (BEP 27)."`
	Source   string              `json:"source" enum:"directory,upload" doc:"Where the .torrent came from."`
	Active   bool                `json:"active" doc:"Whether it is distributed now."`
	Profile  string              `json:"profile,omitempty" doc:"Which profile of locality it has for itself; left out where that is the tracker's." example:"balanced"`
}

// Times are when things happened to a torrent, in UTC; zero, and left out of JSON,
// is not yet. Those of started and completed are of the present period, or of the
// last one if the torrent is not active.
type Times struct {
	Registered     time.Time `json:"registered,omitzero"`
	FirstStarted   time.Time `json:"first_started,omitzero" doc:"When a peer began to download for the first time."`
	LastStarted    time.Time `json:"last_started,omitzero"`
	FirstCompleted time.Time `json:"first_completed,omitzero" doc:"When a peer had everything for the first time."`
	LastCompleted  time.Time `json:"last_completed,omitzero"`
	Deactivated    time.Time `json:"deactivated,omitzero"`
}

// Live is how far a transfer is at this moment. A hybrid torrent has a swarm for
// each of its hashes: a peer that is in both counts once.
type Live struct {
	Peers        int     `json:"peers" minimum:"0"`
	Seeders      int     `json:"seeders" minimum:"0" doc:"Peers that have everything."`
	PartialSeeds int     `json:"partial_seeds" minimum:"0" doc:"Peers that have all that they want (BEP 21)."`
	Leechers     int     `json:"leechers" minimum:"0"`
	Downloaded   uint64  `json:"downloaded" doc:"Completed downloads since the tracker knows the torrent."`
	Left         int64   `json:"left" minimum:"0" doc:"Bytes left over all peers. A peer that cannot say counts as one that has nothing."`
	Progress     float64 `json:"progress" minimum:"0" maximum:"1" doc:"1 - left/(size*peers); 0 without peers."`
}

// Transfer is a torrent that is, or was, being distributed.
type Transfer struct {
	Torrent
	Times
	Live
}

// Uploaded is a transfer that has just been registered.
type Uploaded struct {
	Transfer
	Warnings []string `json:"warnings,omitempty" nullable:"false" doc:"Why uplinks may carry more of it than its profile says, and what to do."`
}

// Edit is a change of a transfer.
type Edit struct {
	Profile string `json:"profile" maxLength:"64" doc:"Its profile of locality: strict, balanced or parity; empty for the tracker's." example:"balanced"`
}

// Period is a part of a transfer's history: the torrent as it was when it was
// deactivated.
type Period struct {
	Torrent
	Times
}

// Request is a torrent that clients asked for, and that was not served.
type Request struct {
	InfoHash bittorrent.InfoHash `json:"info_hash" pattern:"^[0-9a-f]{40}$"`
	First    time.Time           `json:"first"`
	Last     time.Time           `json:"last"`
	Count    uint64              `json:"count" doc:"Announces that asked for it."`
}

// What Peer.Reachable may be, beside "": nobody knows.
const (
	Yes = "yes"
	No  = "no"
)

// Peer is what the tracker knows of a peer of one torrent. Without
// torrents.peer_details that is its address, kind and when it was seen last.
type Peer struct {
	InfoHash   bittorrent.InfoHash `json:"info_hash" pattern:"^[0-9a-f]{40}$"`
	Name       string              `json:"name,omitempty" doc:"Of the torrent; left out where the catalogue does not know it, and in the list of one torrent." example:"image.iso"`
	Address    string              `json:"address" doc:"IP address and port at which other peers reach it." example:"192.0.2.1:6881"`
	Kind       string              `json:"kind" enum:"seeder,partial seed,leecher"`
	Client     string              `json:"client,omitempty" doc:"Name and version, as its id tells (BEP 20)." example:"qBittorrent 4.5.2"`
	ID         string              `json:"id,omitempty" doc:"Its id, with what is not printable ASCII escaped as in a URL."`
	Uploaded   int64               `json:"uploaded" minimum:"0" doc:"Bytes, as it said last."`
	Downloaded int64               `json:"downloaded" minimum:"0" doc:"Bytes, as it said last."`
	Left       *int64              `json:"left,omitempty" minimum:"0" doc:"Bytes, as it said last; left out if it cannot say."`
	Reachable  string              `json:"reachable,omitempty" enum:"yes,no" doc:"Whether the tracker could connect to it by TCP; left out if nobody knows, as without announce.nat_check."`
	FirstSeen  time.Time           `json:"first_seen,omitzero"`
	LastSeen   time.Time           `json:"last_seen,omitzero"`
	Browser    bool                `json:"browser,omitempty" doc:"Others reach it over WebRTC alone, and the address is that of its connection to this tracker. What it transferred is not kept."`
}

// Pages of lists. Next is the cursor of the next page, empty on the last.
type (
	// TorrentPage is a page of torrents, by name.
	TorrentPage struct {
		Torrents []Torrent `json:"torrents" nullable:"false"`
		Next     string    `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
	}
	// TransferPage is a page of transfers, by name.
	TransferPage struct {
		Transfers []Transfer `json:"transfers" nullable:"false"`
		Next      string     `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
	}
	// PeriodPage is a page of history, the latest first.
	PeriodPage struct {
		Periods []Period `json:"periods" nullable:"false"`
		Next    string   `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
	}
	// RequestPage is a page of requests, the latest first.
	RequestPage struct {
		Requests []Request `json:"requests" nullable:"false"`
		Next     string    `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
	}
	// PeerPage is a page of peers, by torrent and address.
	PeerPage struct {
		Peers []Peer `json:"peers" nullable:"false"`
		Next  string `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
	}
)

// Version is what answers.
type Version struct {
	Name    string `json:"name" enum:"waggle"`
	Version string `json:"version"`
}
