package main

import (
	"time"

	"waggle/config"
	"waggle/frontend"
	"waggle/frontend/http"
	"waggle/frontend/websocket"
	"waggle/tracker"
)

// browsing is what serves browsers.
type browsing struct {
	browsers  *websocket.Swarms // nil: browsers are not served
	websocket *websocket.Server // nil: likewise
}

// openBrowsers returns who keeps browsers for the tracker; nil: they are not served.
func (s *service) openBrowsers() tracker.Browsers {
	if !s.config.Listen.WebSocket || len(s.config.Listen.HTTP)+len(s.config.Listen.HTTPS) == 0 {
		return nil
	}
	s.browsers = websocket.NewSwarms(int(s.config.Limits.WebSocketPeers), randomSeed(), time.Now())
	return s.browsers
}

// openWebSocket returns what answers browsers at the addresses of HTTP and HTTPS; nil: nothing does.
func (s *service) openWebSocket() (http.Upgrader, error) {
	if s.browsers == nil {
		return nil, nil
	}
	c := &s.config
	server, err := websocket.New(websocket.Options{
		Tracker:        s.tracker,
		Swarms:         s.browsers,
		MaxScrape:      int(c.Limits.ScrapeHashes),
		MaxConnections: int(c.Limits.WebSocketConnections),
		MaxPerAddress:  int(c.Limits.WebSocketConnectionsPerAddress),
		MaxTorrents:    int(c.Limits.WebSocketTorrents),
		MaxMemory:      int64(c.Limits.WebSocketMemory),
		Origins:        texts(c.Access.Origins),
		Log:            s.log,
	})
	if err != nil {
		return nil, err
	}
	s.websocket = server
	return server, nil
}

// allowOrigins puts access.origins into force.
func (s *service) allowOrigins(origins []config.Origin) {
	if s.websocket != nil {
		s.websocket.Allow(texts(origins))
	}
}

func (s *service) closeWebSocket() error {
	if s.websocket == nil {
		return nil
	}
	return s.websocket.Close()
}

// websocketURLs returns where browsers reach the tracker.
func (s *service) websocketURLs() []string {
	if s.websocket == nil {
		return nil
	}
	return append(announceURLs("ws", s.http.Addrs()), s.secureURLs("wss")...)
}

// websocketFigures returns what came over WebSocket, and how long it took.
func (s *service) websocketFigures() (f websocket.Figures, l frontend.Latencies) {
	if s.websocket != nil {
		f, l = s.websocket.Figures(), s.websocket.Latencies()
	}
	return f, l
}
