package console

import (
	"context"
	"math"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"waggle/console/client"
	"waggle/timeline"
)

// OverTime is figures over time.
type OverTime struct {
	Timeline *timeline.Timeline

	// Series say what the series of the timeline are, in their order: name, unit and
	// doc. They have no values.
	Series []client.Series
}

func (a *api) addOverview(o *Options) {
	huma.Register(a.huma, operation(http.MethodGet, "/overview", "get-overview", "What the tracker is and does now", http.StatusNotFound),
		func(context.Context, *struct{}) (*answer[client.Overview], error) {
			if o.Overview == nil || o.OverTime == nil {
				return nil, noFigures()
			}
			out := o.Overview()
			if o.address != "" { // in a function it has none
				out.Listen = append(out.Listen, client.Listener{Protocol: "console", Address: o.address})
			}
			out.Over, out.Figures = o.OverTime.now()
			return &answer[client.Overview]{out}, nil
		})
	huma.Register(a.huma, operation(http.MethodGet, "/timeline", "get-timeline", "What figures were in the last hour or day", http.StatusNotFound),
		func(_ context.Context, in *timelineRequest) (*answer[client.Timeline], error) {
			if o.OverTime == nil {
				return nil, noFigures()
			}
			out, err := o.OverTime.view(in)
			if err != nil {
				return nil, err
			}
			return &answer[client.Timeline]{out}, nil
		})
}

func noFigures() error {
	return huma.Error404NotFound("this console is without a tracker, so there are no figures")
}

type timelineRequest struct {
	Span   string   `query:"span" enum:"hour,day" default:"hour" doc:"In steps of 10 seconds, or of 4 minutes."`
	Series []string `query:"series" maxItems:"64" doc:"Names, with commas between them; left out for all." example:"[\"announces\",\"peers\"]"`
}

// now returns the figures as they are now, and over how many seconds rates are.
func (o *OverTime) now() (over float64, figures []client.Figure) {
	m := o.Timeline.Now()
	figures = make([]client.Figure, len(o.Series))
	for i, s := range o.Series {
		figures[i] = client.Figure{Name: s.Name, Unit: s.Unit, Doc: s.Doc, Value: known(m.Values[i : i+1])[0]}
	}
	return m.Over.Seconds(), figures
}

// view returns the figures of a span. The error is a problem that names the series that
// there is not.
func (o *OverTime) view(in *timelineRequest) (client.Timeline, error) {
	wanted, err := o.numbers(in.Series)
	if err != nil {
		return client.Timeline{}, err
	}
	span := timeline.Hour
	if in.Span == client.Day {
		span = timeline.Day
	}
	v := o.Timeline.View(span)
	out := client.Timeline{Span: in.Span, Step: int(v.Step.Seconds()), From: v.From, Series: make([]client.Series, len(wanted))}
	for i, n := range wanted {
		out.Series[i] = o.Series[n]
		out.Series[i].Values = known(v.Values[n])
	}
	return out, nil
}

// numbers returns which series have the names, each once; without names, all.
func (o *OverTime) numbers(names []string) (numbers []int, err error) {
	left := make(map[string]bool, len(names))
	for _, name := range names {
		left[name] = true
	}
	for i, s := range o.Series {
		if len(names) == 0 || left[s.Name] {
			numbers = append(numbers, i)
			delete(left, s.Name)
		}
	}
	for name := range left {
		return nil, huma.Error422UnprocessableEntity("there is no such series",
			&huma.ErrorDetail{Message: "say one of " + o.names(), Location: "query.series", Value: name})
	}
	return numbers, nil
}

func (o *OverTime) names() string {
	names := make([]string, len(o.Series))
	for i, s := range o.Series {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// known returns values as they are shown: to a thousandth, and nil where nobody knows.
func known(values []float64) []*float64 {
	rounded, out := make([]float64, len(values)), make([]*float64, len(values))
	for i, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			rounded[i] = math.Round(v*1000) / 1000
			out[i] = &rounded[i]
		}
	}
	return out
}
