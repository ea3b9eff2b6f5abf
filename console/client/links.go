package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// What the other end of a [Link] is to this tracker.
const (
	RoleHub  = "hub"  // this tracker joined it
	RoleLeaf = "leaf" // it joined this tracker
)

// States of a [Link].
const (
	LinkActive     = "active"     // both ends know of each other's peers
	LinkHealing    = "healing"    // they are comparing what they know
	LinkConnecting = "connecting" // it was never there, or not since this tracker began
	LinkSplit      = "split"      // it was there, and is not
	LinkRefused    = "refused"    // one end does not want it: why says what to do
)

// What of .torrent files a leaf may do, as [Rights] say.
const (
	ShareOff     = "off"
	ShareReceive = "receive"
	ShareSend    = "send"
	ShareBoth    = "both"
)

// Links is what a tracker has of its links with others.
type Links struct {
	Name      string    `json:"name" doc:"Of this tracker, as others see it." example:"ams"`
	Listening []string  `json:"listening" nullable:"false" doc:"Addresses at which leaves join; none where it is no hub." example:"[\"0.0.0.0:6971\"]"`
	Hub       string    `json:"hub,omitempty" doc:"Name of the tracker that this one joined; left out if there is none, or it did not say yet what it is called: there is a link of role hub then."`
	Own       int       `json:"own" minimum:"0" doc:"Peers that announced here latest; 0, as the next two are, before there was any link."`
	Relayed   int       `json:"relayed" minimum:"0" doc:"Peers that announced at other trackers."`
	Torrents  int       `json:"torrents" minimum:"0" doc:"That these peers are of."`
	Links     []Link    `json:"links" nullable:"false" doc:"The hub first, then the leaves by name."`
	Invited   []Invited `json:"invited" nullable:"false" doc:"Leaves that have not come yet, by name."`
}

// Link is one tracker that this one is linked with.
type Link struct {
	Name         string     `json:"name" doc:"Of the other tracker; hub where that one did not say yet what it is called." example:"fra"`
	Role         string     `json:"role" enum:"hub,leaf" doc:"What it is to this tracker: hub, which this one joined, or leaf, which joined this one."`
	State        string     `json:"state" enum:"active,healing,connecting,split,refused" doc:"active: each end knows what the other does; healing: they compare; connecting: not there yet; split: not there any more, which is being mended; refused: one end does not want the other, see why."`
	Why          string     `json:"why,omitempty" doc:"What is wrong, and what to do; left out if nothing is."`
	Since        time.Time  `json:"since,omitzero" doc:"When this state began."`
	Address      string     `json:"address,omitempty" doc:"Where it is connected from, or to; while it is not, where it was, or was tried, last." example:"192.0.2.1:40000"`
	Software     string     `json:"software,omitempty" doc:"As it calls itself." example:"waggle 0.1.0"`
	Peers        int        `json:"peers" minimum:"0" doc:"Whose latest announce came through it: they are forgotten when it is dropped."`
	ChangesIn    float64    `json:"changes_in" minimum:"0" doc:"Of peers, a second over the last ten."`
	ChangesOut   float64    `json:"changes_out" minimum:"0" doc:"Of peers, a second over the last ten."`
	BytesIn      float64    `json:"bytes_in" minimum:"0" doc:"A second over the last ten."`
	BytesOut     float64    `json:"bytes_out" minimum:"0" doc:"A second over the last ten."`
	Lag          float64    `json:"lag_seconds" minimum:"0" doc:"From an announce here to when the other end had taken it in."`
	LastHeal     *Heal      `json:"last_heal,omitempty" doc:"Left out if there was none."`
	Waiting      int        `json:"waiting" minimum:"0" doc:"Changes that wait here to be sent, those included that links were not told of yet."`
	Capped       uint64     `json:"capped" doc:"Changes that were not taken in since the start, because it told of more peers than it may."`
	Rights       Rights     `json:"rights" doc:"What the leaf of the two may do."`
	AnnounceURLs []string   `json:"announce_urls" nullable:"false" doc:"Where clients reach it, as it says."`
	Totals       LinkTotals `json:"totals"`
}

// HubText returns what the hub is called that the tracker has joined: words, where it has
// not said that yet. It is empty if there is none.
func (l *Links) HubText() string {
	if l.Hub != "" {
		return l.Hub
	}
	for i := range l.Links {
		if l.Links[i].Role == RoleHub {
			return "a hub that did not say yet what it is called"
		}
	}
	return ""
}

// RightsOf returns what a leaf may do, be it linked or only invited; false: there is none
// of that name.
func (l *Links) RightsOf(leaf string) (Rights, bool) {
	for i := range l.Links {
		if one := &l.Links[i]; one.Name == leaf && one.Role == RoleLeaf {
			return one.Rights, true
		}
	}
	for i := range l.Invited {
		if one := &l.Invited[i]; one.Name == leaf {
			return one.Rights, true
		}
	}
	return Rights{}, false
}

// Heal is a time at which two ends compared what they know, and mended it.
type Heal struct {
	At      time.Time `json:"at" doc:"When it ended."`
	Took    float64   `json:"took_seconds" minimum:"0"`
	Entries int       `json:"entries" minimum:"0" doc:"Peers and departures that were missing here."`
}

// LinkTotals count from when this tracker began.
type LinkTotals struct {
	ChangesIn  uint64 `json:"changes_in"`
	ChangesOut uint64 `json:"changes_out"`
	BytesIn    uint64 `json:"bytes_in"`
	BytesOut   uint64 `json:"bytes_out"`
	Heals      uint64 `json:"heals"`
}

// Rights are what a leaf may do on its link.
type Rights struct {
	Receive          bool     `json:"receive" doc:"Whether the leaf is told of peers."`
	Send             bool     `json:"send" doc:"Whether the leaf tells of peers."`
	Torrents         []string `json:"torrents,omitempty" nullable:"false" maxItems:"2048" doc:"Info hashes in hexadecimal, of which alone the leaf may tell and be told; left out for all."`
	Share            string   `json:"share,omitempty" enum:"off,receive,send,both" doc:"What of .torrent files the leaf may do; left out for off."`
	Peers            int      `json:"peers,omitempty" minimum:"0" maximum:"1000000000" doc:"That may come by the leaf at most; left out for the most that the hub has room for."`
	ChangesPerSecond int      `json:"changes_per_second,omitempty" minimum:"0" maximum:"1000000000" doc:"That the leaf may tell at most; left out for the most that the hub takes from any."`
}

// Invited is a leaf that was invited and has not come yet.
type Invited struct {
	Name   string    `json:"name" example:"fra"`
	At     time.Time `json:"at" doc:"When it was invited."`
	Rights Rights    `json:"rights"`
}

// NewInvitation is a leaf to be invited.
type NewInvitation struct {
	Name      string   `json:"name" minLength:"1" maxLength:"64" doc:"Of the leaf: letters of ASCII, digits, - and _, and not hub." example:"fra"`
	Rights    Rights   `json:"rights"`
	Addresses []string `json:"addresses,omitempty" nullable:"false" maxItems:"16" doc:"host:port where the leaf reaches this tracker; left out for those of link.addresses." example:"[\"tracker.example:6971\"]"`
}

// Invitation is what a leaf joins with. Its line is a secret, and is shown this once.
type Invitation struct {
	Name string `json:"name"`
	Line string `json:"line,omitempty" doc:"For waggle link join on the leaf. It is not shown again. Left out where both meet at a NATS of their own (link.nats), to which the leaf has its own key." example:"waggle-link-1.eyJh..."`
}

// NewHub is a hub to be joined.
type NewHub struct {
	Line string `json:"line" minLength:"1" maxLength:"16384" doc:"That the hub's invitation has."`
}

// AnnounceList is where clients reach this tracker and all that it is linked with, also
// through others.
type AnnounceList struct {
	Tiers [][]string `json:"tiers" nullable:"false" doc:"As announce-list has them (BEP 12): the first has one URL of each tracker, the second their others. Those are left out that do not tell all peers, or are not told of all."`
}

// Links returns what the tracker has of its links. If it cannot have any, the error is
// a [*Problem] of status 404 that says why.
func (c *Client) Links(ctx context.Context) (l Links, err error) {
	err = c.json(ctx, http.MethodGet, c.url("links", nil), nil, &l)
	return l, err
}

// Invite makes an invitation for a leaf.
func (c *Client) Invite(ctx context.Context, n NewInvitation) (i Invitation, err error) {
	body, err := json.Marshal(n)
	if err != nil {
		return Invitation{}, err
	}
	err = c.json(ctx, http.MethodPost, c.url("links/invitations", nil), body, &i)
	return i, err
}

// Join makes the tracker the leaf of the hub that a line invites to.
func (c *Client) Join(ctx context.Context, line string) (l Link, err error) {
	body, err := json.Marshal(NewHub{Line: line})
	if err != nil {
		return Link{}, err
	}
	err = c.json(ctx, http.MethodPost, c.url("links/join", nil), body, &l)
	return l, err
}

// Leave ends the link with the hub, and forgets the peers that came through it.
func (c *Client) Leave(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodDelete, c.url("links/hub", nil), nil)
	return err
}

// Drop ends the link with a leaf, or its invitation, and forgets the peers that came
// through it.
func (c *Client) Drop(ctx context.Context, name string) error {
	_, err := c.do(ctx, http.MethodDelete, c.url(linkPath(name), nil), nil)
	return err
}

// Reset ends the connection of a link, which then begins anew and heals.
func (c *Client) Reset(ctx context.Context, name string) error {
	_, err := c.do(ctx, http.MethodPost, c.url(linkPath(name)+"/reset", nil), nil)
	return err
}

// SetRights gives a leaf other rights in place of all that it has.
func (c *Client) SetRights(ctx context.Context, name string, r Rights) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPut, c.url(linkPath(name)+"/rights", nil), body)
	return err
}

// AnnounceLists returns where clients reach the tracker and all that it is linked with, as
// tiers of BEP 12.
func (c *Client) AnnounceLists(ctx context.Context) ([][]string, error) {
	var l AnnounceList
	err := c.json(ctx, http.MethodGet, c.url("links/announce-list", nil), nil, &l)
	return l.Tiers, err
}

func linkPath(name string) string { return "links/" + url.PathEscape(name) }
