package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"waggle/catalog"
	"waggle/console/client"
)

func (a *api) addTransfers() {
	huma.Register(a.huma, operation(http.MethodGet, "/transfers", "list-transfers", "List transfers as they are now, by name"), a.listTransfers)
	huma.Register(a.huma, operation(http.MethodGet, "/transfers/{hash}", "get-transfer", "A transfer as it is now",
		http.StatusNotFound), a.getTransfer)
	edit := operation(http.MethodPatch, "/transfers/{hash}", "edit-transfer", "Give a transfer another profile of locality",
		http.StatusBadRequest, http.StatusNotFound, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	edit.MaxBodyBytes = 4096
	huma.Register(a.huma, edit, a.edit)
	huma.Register(a.huma, operation(http.MethodPost, "/transfers/{hash}/activate", "activate-transfer", "Distribute a torrent again",
		http.StatusNotFound, http.StatusGone), a.activate)
	huma.Register(a.huma, operation(http.MethodPost, "/transfers/{hash}/deactivate", "deactivate-transfer", "End a transfer, and keep it in the history",
		http.StatusNotFound), a.deactivate)
	huma.Register(a.huma, operation(http.MethodGet, "/history", "list-history", "List periods that have ended, the latest first"), a.history)
	huma.Register(a.huma, operation(http.MethodGet, "/requests", "list-requests", "List torrents that were asked for and not served, the latest first"), a.requests)
}

type transfersRequest struct {
	ByPage
	Active string `query:"active" enum:"true,false" doc:"Those that are active, or are not; left out for all."`
	Name   string `query:"name" doc:"Those whose torrent or .torrent file has exactly this name."`
}

func (a *api) listTransfers(ctx context.Context, in *transfersRequest) (*answer[client.TransferPage], error) {
	found, next, err := a.find(in)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	if err := a.takeWalk(ctx); err != nil {
		return nil, a.failed(ctx, err)
	}
	defer a.freeWalk()
	page := client.TransferPage{Transfers: make([]client.Transfer, len(found)), Next: next}
	for i := range found {
		live, err := a.live(ctx, &found[i])
		if err != nil {
			return nil, a.failed(ctx, err)
		}
		page.Transfers[i] = client.Transfer{Torrent: torrentOf(&found[i]), Times: timesOf(&found[i]), Live: live}
	}
	return &answer[client.TransferPage]{page}, nil
}

func (a *api) find(in *transfersRequest) (page []catalog.Transfer, next string, err error) {
	var active *bool
	if in.Active != "" {
		active = new(in.Active == "true")
	}
	if in.Name == "" {
		return a.catalog.List(in.Cursor, in.Limit, active)
	}
	return a.named(in, active)
}

// named returns a page of the transfers of a name, by hash.
func (a *api) named(in *transfersRequest, active *bool) (page []catalog.Transfer, next string, err error) {
	after, err := parsePlace(in.Cursor)
	if err != nil {
		return nil, "", err
	}
	page = slices.DeleteFunc(a.catalog.Named(in.Name), func(t catalog.Transfer) bool {
		return active != nil && t.Active() != *active || in.Cursor != "" && compareHashes(t.InfoHash, after.hash) <= 0
	})
	slices.SortFunc(page, func(a, b catalog.Transfer) int { return compareHashes(a.InfoHash, b.InfoHash) })
	if len(page) > in.Limit {
		page = page[:in.Limit]
		next = place{hash: page[in.Limit-1].InfoHash}.String()
	}
	return page, next, nil
}

func (a *api) getTransfer(ctx context.Context, in *ByHash) (*answer[client.Transfer], error) {
	t, err := a.catalog.Get(in.hash())
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	transfer, err := a.transfer(ctx, &t)
	if err != nil {
		return nil, err
	}
	return &answer[client.Transfer]{transfer}, nil
}

type editRequest struct {
	ByHash
	Body client.Edit
}

func (a *api) edit(ctx context.Context, in *editRequest) (*answer[client.Transfer], error) {
	noteDetail(ctx, "profile "+cmp.Or(in.Body.Profile, "of the tracker"))
	t, err := a.catalog.SetProfile(ctx, in.hash(), in.Body.Profile)
	return a.answerChanged(ctx, t, err)
}

func (a *api) activate(ctx context.Context, in *ByHash) (*answer[client.Transfer], error) {
	t, err := a.catalog.Activate(ctx, in.hash())
	return a.answerChanged(ctx, t, err)
}

func (a *api) deactivate(ctx context.Context, in *ByHash) (*answer[client.Transfer], error) {
	t, err := a.catalog.Deactivate(ctx, in.hash())
	return a.answerChanged(ctx, t, err)
}

func (a *api) answerChanged(ctx context.Context, t catalog.Transfer, err error) (*answer[client.Transfer], error) {
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &answer[client.Transfer]{a.changed(ctx, &t)}, nil
}

// changed returns a transfer that has just been changed. Where its peers cannot be looked
// at it is without them: what was done stands, and is answered so.
func (a *api) changed(ctx context.Context, t *catalog.Transfer) client.Transfer {
	transfer, err := a.transfer(ctx, t)
	if err != nil {
		return client.Transfer{Torrent: torrentOf(t), Times: timesOf(t)}
	}
	return transfer
}

// transfer returns a transfer as it is now. The error is a problem.
func (a *api) transfer(ctx context.Context, t *catalog.Transfer) (client.Transfer, error) {
	if err := a.takeWalk(ctx); err != nil {
		return client.Transfer{}, a.failed(ctx, err)
	}
	defer a.freeWalk()
	live, err := a.live(ctx, t)
	if err != nil {
		return client.Transfer{}, a.failed(ctx, err)
	}
	return client.Transfer{Torrent: torrentOf(t), Times: timesOf(t), Live: live}, nil
}

func (a *api) history(ctx context.Context, in *ByPage) (*answer[client.PeriodPage], error) {
	periods, next, err := a.catalog.History(ctx, in.Cursor, in.Limit)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	page := client.PeriodPage{Periods: make([]client.Period, len(periods)), Next: next}
	for i := range periods {
		t := &periods[i].Transfer
		page.Periods[i] = client.Period{Torrent: torrentOf(t), Times: timesOf(t)}
	}
	return &answer[client.PeriodPage]{page}, nil
}

func (a *api) requests(ctx context.Context, in *ByPage) (*answer[client.RequestPage], error) {
	after, err := parsePlace(in.Cursor)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	asked := slices.DeleteFunc(a.catalog.Asked(), func(r catalog.Request) bool {
		return in.Cursor != "" && after.compareRequest(&r) >= 0
	})
	slices.SortFunc(asked, func(a, b catalog.Request) int { return requestPlace(&a).compareRequest(&b) })
	page := client.RequestPage{Requests: make([]client.Request, min(len(asked), in.Limit))}
	for i := range page.Requests {
		r := &asked[i]
		page.Requests[i] = client.Request{InfoHash: r.InfoHash, First: r.First, Last: r.Last, Count: r.Count}
	}
	if len(asked) > in.Limit {
		page.Next = requestPlace(&asked[in.Limit-1]).String()
	}
	return &answer[client.RequestPage]{page}, nil
}

func requestPlace(r *catalog.Request) place { return place{hash: r.InfoHash, time: r.Last.UnixNano()} }

// compareRequest orders requests, the latest first.
func (p place) compareRequest(r *catalog.Request) int {
	return cmp.Or(cmp.Compare(r.Last.UnixNano(), p.time), compareHashes(p.hash, r.InfoHash))
}
