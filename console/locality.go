package console

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/danielgtaylor/huma/v2"

	"waggle/console/client"
	"waggle/locality"
	"waggle/swarm"
)

// Locality says where addresses are; a [locality.Locator] does. All methods may be
// called concurrently.
type Locality interface {
	// Tree has the levels of locations.
	Tree() *locality.Tree

	// Explain asks every source for an address, for a time that it bounds.
	Explain(ctx context.Context, ip netip.Addr) locality.Finding

	// Figures tell how the sources do, in the order in which they are asked.
	Figures() []locality.SourceFigures

	// Lookups tells of look-ups and of what is remembered of them.
	Lookups() locality.LookupFigures
}

// Policy is who may cross uplinks where a torrent has no profile of its own.
type Policy struct {
	swarm.Policy
	Profile string // which it was made from
}

func (a *api) addLocality() {
	huma.Register(a.huma, operation(http.MethodGet, "/locality", "get-locality", "How locations are found, and what follows from them"), a.getLocality)
	huma.Register(a.huma, operation(http.MethodGet, "/locality/{address}", "locate", "Where an address is, and which source says so",
		http.StatusNotFound), a.locate)
}

func (a *api) getLocality(context.Context, *struct{}) (*answer[client.Locality], error) {
	out := client.Locality{Levels: []client.Level{}, Sources: []client.LocationSource{}}
	if a.locality == nil {
		return &answer[client.Locality]{out}, nil
	}
	policy := a.policy()
	out.On, out.Profile, out.Edges, out.Standby = true, policy.Profile, policy.Edges, policy.Standby
	out.ActiveInterval, out.PassiveInterval = policy.Active.Seconds(), policy.Passive.Seconds()
	levels := a.locality.Tree().Levels()
	for i, name := range levels {
		height := len(levels) - i
		out.Levels = append(out.Levels, client.Level{
			Name: name, Height: height, Importers: policy.Importers[height], Exporters: policy.Exporters[height],
		})
	}
	lookups := a.locality.Lookups()
	out.Lookups = client.Lookups{Remembered: lookups.Remembered, UnderWay: lookups.UnderWay, Refused: lookups.Refused}
	for _, f := range a.locality.Figures() {
		out.Sources = append(out.Sources, client.LocationSource{
			Source: f.Source, Asked: f.Asked, Known: f.Known, Unknown: f.Unknown, Failed: f.Failed, TimedOut: f.TimedOut,
			Rubbish: f.Rubbish, LeftOut: f.LeftOut, Resting: f.Resting,
			LastError: f.LastError, LastErrorAt: f.LastErrorAt.UTC(), LastDuration: f.LastDuration.Seconds(),
		})
	}
	return &answer[client.Locality]{out}, nil
}

type locateRequest struct {
	Address string `path:"address" maxLength:"64" doc:"IP address, without a port." example:"192.0.2.1"`
}

func (a *api) locate(ctx context.Context, in *locateRequest) (*answer[client.Finding], error) {
	ip, err := netip.ParseAddr(in.Address)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("this is no IP address",
			&huma.ErrorDetail{Message: "say such as 192.0.2.1 or 2001:db8::1, without a port", Location: "path.address", Value: in.Address})
	}
	if a.locality == nil {
		return nil, huma.Error404NotFound("locality is off, so nobody knows where addresses are: set locality.sources")
	}
	f := a.locality.Explain(ctx, ip)
	out := client.Finding{
		Address: f.Address.String(), Location: pathOf(f.Group), Source: f.Source, Remembered: f.Remembered,
		Age: max(f.Age.Seconds(), 0), Answers: make([]client.LocationAnswer, len(f.Answers)),
	}
	for i, said := range f.Answers {
		out.Answers[i] = client.LocationAnswer{
			Source: said.Source, Location: pathOf(said.Group), Why: said.Why, Took: said.Took.Seconds(), Age: max(said.Age.Seconds(), 0),
		}
		if said.Err != nil {
			out.Answers[i].Error = said.Err.Error()
		}
	}
	return &answer[client.Finding]{out}, nil
}
