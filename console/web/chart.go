package web

import (
	"fmt"
	"math"
	"strings"

	"waggle/console/client"
)

// chart is a chart as it is without scripts: lines in an SVG, and the same as numbers.
type chart struct {
	Title, Unit, UnitText string
	Span                  string // such as "last hour"
	Width                 int    // of the SVG; it is 100 high
	Top                   string // the value at its upper edge
	Summary               string // in words
	Names, Labels         string // of its lines, with commas between them
	Lines                 []line
}

// line is a series of a chart.
type line struct {
	Number                 int // from 1, which is its colour
	Name, Label, Doc       string
	Path                   string // of SVG
	Now, Least, Mean, Most string
}

// plots are the charts: which series each has, and what these are called in it. The style
// sheet has a colour for each line.
var plots = []struct {
	title string
	lines []struct{ name, label string }
}{
	{"Announces", []struct{ name, label string }{{"announces", "all"}, {"announces_udp", "UDP"}, {"announces_http", "HTTP"}, {"announces_websocket", "WebSocket"}}},
	{"Peers", []struct{ name, label string }{{"peers", "peers"}, {"seeders", "seeders"}, {"leechers", "leechers"}, {"browsers", "browsers"}}},
	{"Swarms", []struct{ name, label string }{{"swarms", "swarms"}, {"active_transfers", "active and listed"}}},
	{"Not answered in full", []struct{ name, label string }{
		{"refused", "refused"}, {"barred", "not let in"}, {"unwelcome", "networks"}, {"early", "too early"}, {"passive", "without peers"}, {"limited", "limited"}, {"shed", "shed"}, {"store_busy", "store busy"},
	}},
	{"Requests to the store", []struct{ name, label string }{
		{"store_requests", "all"}, {"store_throttled", "throttled"}, {"store_unanswered", "not answered"}, {"store_conflicts", "done anew"},
	}},
	{"Errors", []struct{ name, label string }{
		{"http_failures", "HTTP failures"},
		{"websocket_failures", "WebSocket failures"},
		{"malformed", "malformed"},
		{"bad_connection_ids", "connection ids"},
		{"store_failures", "store"},
		{"overflowed", "dropped"},
	}},
	{"Scrapes and completed downloads", []struct{ name, label string }{{"scrapes", "scrapes"}, {"completed", "completed"}}},
	{"Locality", []struct{ name, label string }{{"located", "located"}, {"unlocated", "not located"}}},
	{"Memory", []struct{ name, label string }{{"memory", "of the process"}}},
}

// drawn is how many points a line has at most where scripts do not draw it.
const drawn = 180

// charts returns the charts that a time line has something for.
func charts(t *client.Timeline) (all []chart) {
	byName := map[string]*client.Series{}
	for i := range t.Series {
		byName[t.Series[i].Name] = &t.Series[i]
	}
	span := "last hour"
	if t.Span == client.Day {
		span = "last day"
	}
	for _, p := range plots {
		c := chart{Title: p.title, Span: span, Width: drawn}
		var found []*client.Series
		var names, labels []string
		for _, l := range p.lines {
			if series := byName[l.name]; series != nil {
				found, names, labels = append(found, series), append(names, l.name), append(labels, l.label)
			}
		}
		if len(found) == 0 {
			continue
		}
		c.Names, c.Labels, c.Unit = strings.Join(names, ","), strings.Join(labels, ","), found[0].Unit
		c.draw(found, labels)
		all = append(all, c)
	}
	return all
}

func (c *chart) draw(all []*client.Series, labels []string) {
	top := 0.0
	for _, series := range all {
		for _, v := range series.Values {
			if v != nil {
				top = max(top, *v)
			}
		}
	}
	text := func(v float64) string {
		if math.IsNaN(v) {
			return "–"
		}
		t, unit := valueText(&v, c.Unit)
		return strings.TrimSpace(t + " " + unit)
	}
	if c.Unit == client.PerSecond {
		c.UnitText = "a second"
	}
	c.Top = text(top)
	var said []string
	for i, series := range all {
		sum := sumUp(series.Values)
		l := line{
			Number: i + 1, Name: series.Name, Label: labels[i], Doc: series.Doc, Path: linePath(series.Values, top),
			Now: text(sum.last), Least: text(sum.least), Mean: text(sum.mean), Most: text(sum.most),
		}
		c.Lines = append(c.Lines, l)
		said = append(said, fmt.Sprintf("%s now %s, at most %s", l.Label, l.Now, l.Most))
	}
	c.Summary = strings.Join(said, "; ")
}

// summary is a series in four numbers; NaN where it has no value.
type summary struct{ last, least, mean, most float64 }

func sumUp(values []*float64) summary {
	s, n, sum := summary{math.NaN(), math.NaN(), math.NaN(), math.NaN()}, 0, 0.0
	for _, v := range values {
		if v == nil {
			continue
		}
		if n == 0 {
			s.least, s.most = *v, *v
		}
		n, sum = n+1, sum+*v
		s.last, s.least, s.most = *v, min(s.least, *v), max(s.most, *v)
	}
	if n > 0 {
		s.mean = sum / float64(n)
	}
	return s
}

// linePath draws a series in a box of drawn by 100, with gaps where it has no values. Of
// several steps that fall on one point, the highest counts.
func linePath(values []*float64, top float64) string {
	var b strings.Builder
	step := max(1, (len(values)+drawn-1)/drawn)
	points := float64(max(1, (len(values)-1)/step))
	pen := "M"
	for i := 0; i < len(values); i += step {
		highest := math.Inf(-1)
		for _, v := range values[i:min(i+step, len(values))] {
			if v != nil {
				highest = max(highest, *v)
			}
		}
		if math.IsInf(highest, -1) {
			pen = "M"
			continue
		}
		y := 99.5
		if top > 0 {
			y -= 99 * highest / top
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", pen, float64(i/step)*drawn/points, y)
		if pen == "M" {
			b.WriteString("h.1") // one value alone is a dot
		}
		pen = "L"
	}
	return b.String()
}
