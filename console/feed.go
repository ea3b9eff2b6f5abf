package console

import (
	"net/http"

	"waggle/bittorrent"
	"waggle/public"
)

// feed answers with the Atom feed of the latest torrents, whose files it has from the
// API.
func (a *api) feed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "private, no-cache")
	if err := a.takeWalk(r.Context()); err != nil {
		return // whoever asked is gone
	}
	entries, err := public.Latest(r.Context(), a.catalog, public.FeedSize)
	a.freeWalk()
	if err != nil {
		if r.Context().Err() == nil {
			a.log.Error("the feed could not be made", "error", err)
			writeProblem(w, http.StatusInternalServerError, "the tracker could not do this; its log tells more")
		}
		return
	}
	public.ServeFeed(w, r, entries, func(h bittorrent.InfoHash) string { return root + "/torrents/" + h.String() })
}
