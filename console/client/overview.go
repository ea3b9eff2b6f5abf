package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Spans of a [Timeline].
const (
	Hour = "hour" // in steps of 10 s
	Day  = "day"  // in steps of 4 min
)

// Units of figures and series. What counts things has none.
const (
	PerSecond = "1/s"
	Bytes     = "B"
)

// Figure is a number as it is now.
type Figure struct {
	Name  string   `json:"name" doc:"As the series of the timeline." example:"announces"`
	Unit  string   `json:"unit" enum:"1/s,B," doc:"Per second, bytes, or empty for a number of things."`
	Doc   string   `json:"doc" doc:"What it counts."`
	Value *float64 `json:"value" doc:"null: nobody knows, as of rates in the first second."`
}

// Series is a figure over time.
type Series struct {
	Name   string     `json:"name" example:"announces"`
	Unit   string     `json:"unit" enum:"1/s,B," doc:"Per second, bytes, or empty for a number of things."`
	Doc    string     `json:"doc" doc:"What it counts."`
	Values []*float64 `json:"values" nullable:"false" doc:"One a step, the oldest first; null where waggle was down or the value is not known. Rates are means over the step, other figures are those at its end."`
}

// Timeline is what figures were in the last hour or day.
type Timeline struct {
	Span   string    `json:"span" enum:"hour,day"`
	Step   int       `json:"step_seconds" minimum:"1" doc:"Between two values, in seconds."`
	From   time.Time `json:"from" doc:"When the step of the first value began."`
	Series []Series  `json:"series" nullable:"false"`
}

// Overview is what the tracker is and does now.
type Overview struct {
	Version  string           `json:"version"`
	Started  time.Time        `json:"started"`
	Uptime   float64          `json:"uptime_seconds" minimum:"0"`
	Store    OverviewStore    `json:"store"`
	Listen   []Listener       `json:"listen" nullable:"false" doc:"Where it is reached."`
	Locality OverviewLocality `json:"locality"`
	Torrents OverviewTorrents `json:"torrents"`
	Limits   []Limit          `json:"limits" nullable:"false" doc:"How much of what it may use is in use."`
	Events   *OverviewEvents  `json:"events,omitempty" doc:"Who is told of announces; left out where nobody is."`
	Over     float64          `json:"over_seconds" minimum:"0" doc:"The time before this moment that rates are of, 5 to 15 seconds where it has run for so long; 0: there are none yet."`
	Figures  []Figure         `json:"figures" nullable:"false"`
}

// OverviewStore is where swarms are kept.
type OverviewStore struct {
	Kind    string `json:"kind" example:"sqlite" doc:"What store begins with in the configuration."`
	Healthy bool   `json:"healthy"`
	Problem string `json:"problem,omitempty" doc:"What is wrong although announces are answered, and what to do; left out if nothing is."`
}

// Listener is an address that the tracker listens on.
type Listener struct {
	Protocol string `json:"protocol" enum:"udp,http,console"`
	Address  string `json:"address" example:"0.0.0.0:6969" doc:"0.0.0.0 and [::] are all of the machine's."`
}

// OverviewLocality is whether peers are told of those near them.
type OverviewLocality struct {
	On      bool   `json:"on"`
	Profile string `json:"profile,omitempty" example:"strict" doc:"Of the tracker; left out if it is off."`
}

// OverviewTorrents is how many torrents are listed. Those that somebody announces
// without are among the swarms of the figures.
type OverviewTorrents struct {
	Mode   string `json:"mode" enum:"open,listed" doc:"Whether any torrent is served, or those that are listed."`
	Listed int    `json:"listed" minimum:"0"`
	Active int    `json:"active" minimum:"0" doc:"Of these, those that are distributed now."`
}

// OverviewEvents is how those are who are told of announces.
type OverviewEvents struct {
	Taken   uint64      `json:"taken" doc:"Events since the start."`
	Disk    int64       `json:"disk_bytes" minimum:"0" doc:"Of what waits."`
	Memory  int64       `json:"memory_bytes" minimum:"0" doc:"Of what waits, as there is no folder for it or that cannot be written."`
	Problem string      `json:"problem,omitempty" doc:"Why nothing can be written to disk; left out if it can."`
	Ends    []EventsEnd `json:"ends" nullable:"false"`
}

// EventsEnd is one that is told of announces.
type EventsEnd struct {
	Name    string    `json:"name" enum:"webhook,nats"`
	Target  string    `json:"target" example:"https://accounts.example" doc:"Where it is, without what is secret in that."`
	Sent    uint64    `json:"sent" doc:"Events that it has taken since the start."`
	Waiting uint64    `json:"waiting" doc:"Events that it lacks."`
	Oldest  float64   `json:"oldest_seconds" minimum:"0" doc:"The age of the oldest of these; 0: there is none."`
	Lost    uint64    `json:"lost" doc:"Events since the start that it will never have."`
	Problem string    `json:"problem,omitempty" doc:"What was wrong with the latest attempt; left out if nothing was."`
	Since   time.Time `json:"since,omitzero" doc:"When that began."`
	Last    time.Time `json:"last,omitzero" doc:"When it last took something."`
}

// Limit is how much is used of what is bounded.
type Limit struct {
	Name string `json:"name" enum:"peers,swarms,torrents,memory" doc:"memory is that of the process, and its limit the least that the system, its container or GOMEMLIMIT sets."`
	Unit string `json:"unit" enum:"B," doc:"Bytes, or empty for a number of things."`
	Key  string `json:"key,omitempty" example:"limits.peers" doc:"Of the configuration; left out if it is none."`
	Used int64  `json:"used" minimum:"0"`
	Max  int64  `json:"max" minimum:"0" doc:"0: no limit."`
}

// Figure returns a figure by its name; ok is false where nobody knows it.
func (o *Overview) Figure(name string) (value float64, ok bool) {
	for _, f := range o.Figures {
		if f.Name == name && f.Value != nil {
			return *f.Value, true
		}
	}
	return 0, false
}

// Overview returns what the tracker is and does now.
func (c *Client) Overview(ctx context.Context) (Overview, error) {
	var o Overview
	err := c.json(ctx, http.MethodGet, c.url("overview", nil), nil, &o)
	return o, err
}

// Timeline returns what figures were in the last [Hour] or [Day]: those of some names,
// or all.
func (c *Client) Timeline(ctx context.Context, span string, names ...string) (Timeline, error) {
	query := url.Values{"span": {span}}
	if len(names) > 0 {
		query.Set("series", strings.Join(names, ","))
	}
	var t Timeline
	err := c.json(ctx, http.MethodGet, c.url("timeline", query), nil, &t)
	return t, err
}
