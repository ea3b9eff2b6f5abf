package metrics

// ofWebSocket are the metrics of browsers, and of their connections.
var ofWebSocket = []Metric{
	{
		Name: "waggle_websocket_peers", Type: Gauge, Labels: []string{"kind"},
		Help: "Browsers, which are not in the store, each counted once for each of its torrents, by kind: seeder, or leecher, which partial seeds count as",
		collect: func(s *Snapshot, e *emitter) {
			e.value(float64(s.Browsers.Seeders), "seeder")
			e.value(float64(s.Browsers.Peers-s.Browsers.Seeders), "leecher")
		},
	},
	gauge("waggle_websocket_swarms", "", "Torrents that have browsers", func(s *Snapshot) float64 { return float64(s.Browsers.Torrents) }),
	gauge("waggle_websocket_connections", "", "WebSocket connections that are open", func(s *Snapshot) float64 { return float64(s.WebSocket.Figures.Open) }),
	gauge("waggle_websocket_connections_limit", "", "WebSocket connections that may be open, by limits.websocket_connections; +Inf: any number", func(s *Snapshot) float64 { return limit(s.Limits.WebSocketConnections) }),
	gauge("waggle_websocket_memory_bytes", inBytes, "Messages that wait for clients to take them, or to send the rest", func(s *Snapshot) float64 { return float64(s.WebSocket.Figures.Memory) }),
	{
		Name: "waggle_websocket_handshakes_total", Type: Counter, Labels: []string{"answer"},
		Help: "Requests for WebSocket, by answer: accepted or refused",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.WebSocket.Figures.Connections, "accepted")
			e.count(s.WebSocket.Figures.Refused, "refused")
		},
	},
	{
		Name: "waggle_websocket_messages_total", Type: Counter, Labels: []string{"direction"},
		Help: "Messages over WebSocket, by direction: in (of clients) or out (to them)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.WebSocket.Figures.Messages, "in")
			e.count(s.WebSocket.Figures.Sent, "out")
		},
	},
	count("waggle_websocket_failures_total", "Messages over WebSocket answered with a failure reason", func(s *Snapshot) uint64 { return s.WebSocket.Figures.Failures }),
	{
		Name: "waggle_websocket_passed_on_total", Type: Counter, Labels: []string{"what"},
		Help: "What browsers had for each other, by what: offer, answer, or undelivered (an answer for which nobody waited any more, or what was for one for whom too much waited)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.WebSocket.Figures.Offers, "offer")
			e.count(s.WebSocket.Figures.Answers, "answer")
			e.count(s.WebSocket.Figures.Undelivered, "undelivered")
		},
	},
	{
		Name: "waggle_websocket_cut_off_total", Type: Counter, Labels: []string{"reason"},
		Help: "WebSocket connections that were ended here, by reason: rules (the client broke them), slow (it did not read, or send the rest of a message), silent (it did not say that it was there)",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.WebSocket.Figures.HungUp, "rules")
			e.count(s.WebSocket.Figures.Slow, "slow")
			e.count(s.WebSocket.Figures.Silent, "silent")
		},
	},
}
