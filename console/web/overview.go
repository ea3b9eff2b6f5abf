package web

import (
	"net/http"

	"waggle/console/client"
)

// overviewPage is what the overview shows.
type overviewPage struct {
	client.Overview
	Span     string
	Headline []shown
	Answers  []shown
	Bounds   []bound
	Charts   []chart
}

// shown is a figure as it is shown.
type shown struct {
	Label, Text, Unit, Note string
}

// bound is a limit as it is shown.
type bound struct {
	Name, Key, Used, Max string
	Bounded              bool
	Share                float64 // of Max that is used, 0 to 1
}

func (s *Site) overview(r *http.Request) (view, error) {
	o, err := s.api.Overview(r.Context())
	if err != nil {
		return view{}, err
	}
	p := overviewPage{Overview: o, Span: client.Hour}
	if r.URL.Query().Get("span") == client.Day {
		p.Span = client.Day
	}
	p.Headline, p.Answers, p.Bounds = headline(&o), answers(&o), bounds(o.Limits)
	if onlyBlocks(r) {
		return view{"Overview", &p}, nil // the charts fetch what they show
	}
	timeline, err := s.api.Timeline(r.Context(), p.Span)
	if err != nil {
		return view{}, err
	}
	p.Charts = charts(&timeline)
	return view{"Overview", &p}, nil
}

// onlyBlocks reports whether only the blocks of a page are wanted.
func onlyBlocks(r *http.Request) bool { return r.Context().Value(blocksKey{}) != nil }

// headline is what one looks at first.
func headline(o *client.Overview) []shown {
	all := []shown{
		figure(o, "announces", "Announces"), figure(o, "peers", "Peers"), figure(o, "seeders", "Seeders"),
		figure(o, "swarms", "Swarms"), errorRate(o), figure(o, "memory", "Memory"),
	}
	for i := range all {
		all[i].Note = "" // what each counts is said further down
	}
	store := shown{Label: "Store", Text: "healthy", Unit: o.Store.Kind}
	if !o.Store.Healthy {
		store.Text = "not healthy"
	}
	return append(all, store, shown{Label: "Up for", Text: spanText(seconds(o.Uptime))})
}

// errorRate adds up what went wrong.
func errorRate(o *client.Overview) shown {
	sum, known := 0.0, false
	for _, name := range []string{"store_failures", "store_busy", "malformed", "bad_connection_ids", "overflowed", "http_failures", "websocket_failures"} {
		if v, ok := o.Figure(name); ok {
			sum, known = sum+v, true
		}
	}
	if !known {
		return shown{Label: "Errors", Text: "–"}
	}
	return shown{Label: "Errors", Text: rateText(sum), Unit: "/s", Note: "Of the store, of packets and of requests"}
}

// answers are rates by what clients were answered.
func answers(o *client.Overview) (all []shown) {
	for _, a := range []struct{ name, label string }{
		{"announces", "Announces"},
		{"announces_udp", "over UDP"},
		{"announces_http", "over HTTP"},
		{"announces_websocket", "over WebSocket"},
		{"websocket_messages", "Messages over WebSocket"},
		{"told", "Peers told"},
		{"scrapes", "Scrapes"},
		{"completed", "Completed downloads"},
		{"located", "Located"},
		{"unlocated", "Not located"},
		{"refused", "Refused"},
		{"barred", "Not let in"},
		{"unwelcome", "From refused networks"},
		{"early", "Refused, as too early"},
		{"passive", "Answered without peers"},
		{"limited", "Limited"},
		{"shed", "Shed"},
		{"http_failures", "HTTP failures"},
		{"websocket_failures", "WebSocket failures"},
		{"malformed", "Malformed"},
		{"bad_connection_ids", "Wrong connection ids"},
		{"overflowed", "Dropped by the system"},
		{"store_failures", "Failures of the store"},
		{"store_busy", "Refused, as the store is busy"},
		{"store_requests", "Requests to the store"},
		{"store_throttled", "throttled"},
		{"store_unanswered", "not answered"},
		{"store_conflicts", "done anew"},
	} {
		if _, ok := o.Figure(a.name); ok {
			all = append(all, figure(o, a.name, a.label))
		}
	}
	return all
}

// figure returns a figure under a label of its own; its note is what it counts.
func figure(o *client.Overview, name, label string) shown {
	for _, f := range o.Figures {
		if f.Name == name {
			text, unit := valueText(f.Value, f.Unit)
			return shown{Label: label, Text: text, Unit: unit, Note: f.Doc}
		}
	}
	return shown{Label: label, Text: "–"}
}

// valueText writes a value of a unit of the API.
func valueText(value *float64, unit string) (text, shownUnit string) {
	switch {
	case value == nil:
		return "–", ""
	case unit == client.Bytes:
		return bytesText(int64(*value)), ""
	case unit == client.PerSecond:
		return rateText(*value), "/s"
	}
	return countText(int64(*value)), ""
}

func bounds(limits []client.Limit) (all []bound) {
	for _, l := range limits {
		b := bound{Name: l.Name, Key: l.Key, Used: countText(l.Used), Max: "–"}
		if l.Unit == client.Bytes {
			b.Used = bytesText(l.Used)
		}
		if l.Max > 0 {
			b.Bounded, b.Share, b.Max = true, min(float64(l.Used)/float64(l.Max), 1), countText(l.Max)
			if l.Unit == client.Bytes {
				b.Max = bytesText(l.Max)
			}
		}
		all = append(all, b)
	}
	return all
}
