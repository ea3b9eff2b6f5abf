package main

import (
	"context"
	"path/filepath"
	"slices"

	"waggle/console"
	"waggle/console/client"
	"waggle/timeline"
)

// timelineFile lies beside the file of the store.
const timelineFile = "timeline.db"

// overTime is a figure that is kept over time.
type overTime struct {
	client.Series
	kind timeline.Kind
	read func(*figures) float64
}

func rate(name, doc string, read func(*figures) uint64) overTime {
	return overTime{client.Series{Name: name, Unit: client.PerSecond, Doc: doc}, timeline.Rate, func(f *figures) float64 { return float64(read(f)) }}
}

func level(name, unit, doc string, read func(*figures) int) overTime {
	return overTime{client.Series{Name: name, Unit: unit, Doc: doc}, timeline.Level, func(f *figures) float64 { return float64(read(f)) }}
}

// allOverTime are the figures that are kept over time, whatever the store is. Those who
// read the API know them by their names.
var allOverTime = []overTime{
	rate("announces", "Announces, those that were refused included", func(f *figures) uint64 { return f.Tracker.Announces }),
	rate("announces_udp", "Announces over UDP", func(f *figures) uint64 { return f.UDP.Announces }),
	rate("announces_http", "Announces over HTTP", func(f *figures) uint64 { return f.HTTP.Announces }),
	rate("announces_websocket", "Announces over WebSocket", func(f *figures) uint64 { return f.WebSocket.Announces }),
	rate("websocket_messages", "Messages over WebSocket, of clients and to them", func(f *figures) uint64 { return f.WebSocket.Messages + f.WebSocket.Sent }),
	rate("refused", "Announces refused for their address, or because their torrent is denied", func(f *figures) uint64 { return f.Tracker.Refused - f.Tracker.AtDoors + f.Tracker.Denied }),
	rate("barred", "Announces refused by a list of clients, or for want of a good token or passkey", func(f *figures) uint64 { return f.Tracker.AtDoors }),
	rate("unwelcome", "Requests of networks that may not come, and of addresses that announced too early too often", func(f *figures) uint64 { return f.Access.Lists.Networks + f.Tracker.Silenced }),
	rate("early", "Announces refused because they came too early, after others that did", func(f *figures) uint64 { return f.Tracker.Early }),
	rate("passive", "Announces answered without peers, because their torrent is not served", func(f *figures) uint64 { return f.Tracker.Passive }),
	rate("limited", "Requests refused because their address sent too many", func(f *figures) uint64 { return f.Tracker.Limited }),
	rate("shed", "Announces refused because all together were too many", func(f *figures) uint64 { return f.Tracker.Shed }),
	rate("located", "Announces from where a source knows", func(f *figures) uint64 { return f.Tracker.Located }),
	rate("unlocated", "Announces from where no source knows", func(f *figures) uint64 { return f.Tracker.Unlocated }),
	rate("completed", "Peers that completed their download", func(f *figures) uint64 { return f.Tracker.Completed }),
	rate("told", "Peers told to others", func(f *figures) uint64 { return f.Tracker.Told }),
	rate("scrapes", "Scrapes, of one or many torrents", func(f *figures) uint64 { return f.Tracker.Scrapes }),
	rate("store_failures", "Announces, scrapes and cleanings that the store failed at", func(f *figures) uint64 { return f.Tracker.Failed }),
	rate("malformed", "Packets over UDP that are none of the protocol", func(f *figures) uint64 { return f.UDP.Malformed }),
	rate("bad_connection_ids", "Packets over UDP with a connection id that is wrong or too old", func(f *figures) uint64 { return f.UDP.BadConnection }),
	rate("overflowed", "Packets that the system dropped because more came than was read", func(f *figures) uint64 { return f.UDP.Overflowed }),
	rate("http_failures", "Requests over HTTP answered with a failure reason", func(f *figures) uint64 { return f.HTTP.Failures }),
	rate("websocket_failures", "Messages over WebSocket answered with a failure reason", func(f *figures) uint64 { return f.WebSocket.Failures }),
	level("swarms", "", "Torrents that have peers, or a count of completed downloads", func(f *figures) int { return f.Store.Torrents }),
	level("peers", "", "Peers of all torrents", func(f *figures) int { return f.Store.Peers + f.Browsers.Peers }),
	level("seeders", "", "Peers that have everything", func(f *figures) int { return f.Store.Seeders + f.Browsers.Seeders }),
	level("leechers", "", "Peers that have not", func(f *figures) int {
		return f.Store.Peers - f.Store.Seeders + f.Browsers.Peers - f.Browsers.Seeders
	}),
	level("browsers", "", "Peers among them that others reach over WebRTC alone", func(f *figures) int { return f.Browsers.Peers }),
	level("websocket_connections", "", "WebSocket connections that are open", func(f *figures) int { return f.WebSocket.Open }),
	level("active_transfers", "", "Torrents in the catalogue that are distributed now", func(f *figures) int { return f.Catalog.Active }),
	level("memory", client.Bytes, "Memory that the system counts as the process's", func(f *figures) int { return int(f.Process.Memory) }),
	level("goroutines", "", "Tasks within the process", func(f *figures) int { return f.Process.Goroutines }),
}

// remoteOverTime are figures beside these, of a store on a network.
var remoteOverTime = []overTime{
	rate("store_busy", "Announces and scrapes refused because the store could not take them in", func(f *figures) uint64 { return f.Tracker.Busy }),
	rate("store_requests", "Requests to the store, each attempt counted", (*figures).asked),
	rate("store_throttled", "Requests that the store's service refused because they were too many", func(f *figures) uint64 { return f.remote().Throttled }),
	rate("store_unanswered", "Requests that the store did not answer, or with a fault of its own", func(f *figures) uint64 { return f.remote().Unanswered }),
	rate("store_conflicts", "Writes to the store that were done anew because another tracker was quicker", func(f *figures) uint64 { return f.remote().Conflicts + f.remote().Rosters.Conflicts }),
}

// overTime returns the figures that are kept over time.
func (s *service) overTime() []overTime {
	if s.config.Store.Remote() {
		return slices.Concat(allOverTime, remoteOverTime)
	}
	return allOverTime
}

// openTimeline opens the figures over time. A file of them that cannot be opened keeps
// no tracker from answering: then they begin anew, and end with the process.
func (s *service) openTimeline(ctx context.Context) (err error) {
	o := timeline.Options{Read: s.readOverTime, Log: s.log}
	for _, series := range s.overTime() {
		o.Series = append(o.Series, timeline.Series{Name: series.Name, Kind: series.kind})
	}
	if s.config.Store.Path() != "" {
		o.Path = filepath.Join(filepath.Dir(s.config.Store.Path()), timelineFile)
	}
	if s.timeline, err = timeline.Open(ctx, o); err == nil || ctx.Err() != nil {
		return err
	}
	s.log.Error("figures over time are not kept beyond the next stop", "error", err)
	o.Path = ""
	s.timeline, err = timeline.Open(ctx, o)
	return err
}

func (s *service) closeTimeline() error {
	if s.timeline == nil {
		return nil
	}
	return s.timeline.Close()
}

func (s *service) readOverTime(readings []float64) {
	now := s.figures()
	for i, series := range s.overTime() {
		readings[i] = series.read(&now)
	}
}

// consoleOverTime is the same for the console.
func (s *service) consoleOverTime() *console.OverTime {
	o := &console.OverTime{Timeline: s.timeline}
	for _, series := range s.overTime() {
		o.Series = append(o.Series, series.Series)
	}
	return o
}
