package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/passkey"
	"waggle/swarm"
	"waggle/torrent"
)

// writeProblem answers a request with what is wrong, where huma does not (RFC 9457).
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", client.ProblemType)
	w.WriteHeader(status)
	// An error means that whoever asked is gone.
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail})
}

// Duplicate is the problem of a torrent that is known already.
type Duplicate struct {
	huma.ErrorModel
	InfoHash bittorrent.InfoHash `json:"info_hash" doc:"Of the torrent that is known." pattern:"^[0-9a-f]{40}$"`
}

var duplicateType = reflect.TypeFor[Duplicate]()

// statuses are those of errors of the catalogue, of accounts, of links and of stores on a network,
// whose words are the detail.
var statuses = []struct {
	is     error
	status int
}{
	{catalog.ErrUnknown, http.StatusNotFound},
	{catalog.ErrGone, http.StatusGone},
	{catalog.ErrElsewhere, http.StatusConflict},
	{catalog.ErrName, http.StatusUnprocessableEntity},
	{catalog.ErrProfile, http.StatusUnprocessableEntity},
	{catalog.ErrCursor, http.StatusUnprocessableEntity},
	{catalog.ErrTooLarge, http.StatusRequestEntityTooLarge},
	{catalog.ErrFull, http.StatusInsufficientStorage},
	{catalog.ErrConflict, http.StatusServiceUnavailable},
	{torrent.ErrMalformed, http.StatusBadRequest},
	{account.ErrUnknown, http.StatusNotFound},
	{account.ErrExists, http.StatusConflict},
	{account.ErrConflict, http.StatusServiceUnavailable},
	{account.ErrLastKey, http.StatusConflict},
	{account.ErrInvalid, http.StatusUnprocessableEntity},
	{account.ErrFull, http.StatusInsufficientStorage},
	{account.ErrBusy, http.StatusTooManyRequests},
	{passkey.ErrNone, http.StatusNotFound},
	{passkey.ErrExists, http.StatusConflict},
	{passkey.ErrConflict, http.StatusServiceUnavailable},
	{passkey.ErrInvalid, http.StatusUnprocessableEntity},
	{passkey.ErrCursor, http.StatusUnprocessableEntity},
	{passkey.ErrMany, http.StatusRequestEntityTooLarge},
	{passkey.ErrTooMuch, http.StatusRequestEntityTooLarge},
	{passkey.ErrFull, http.StatusInsufficientStorage},
	{ErrLinkUnknown, http.StatusNotFound},
	{ErrLinkInvalid, http.StatusUnprocessableEntity},
	{ErrLinkConflict, http.StatusConflict},
	{ErrClusterConflict, http.StatusConflict},
	{swarm.ErrBusy, http.StatusServiceUnavailable},
}

// failed returns the problem of an error. The details of what is none of those above
// go into the log.
func (a *api) failed(ctx context.Context, err error) error {
	for _, s := range statuses {
		if errors.Is(err, s.is) {
			return huma.NewError(s.status, err.Error())
		}
	}
	if ctx.Err() != nil {
		return huma.Error503ServiceUnavailable("this took too long, or the tracker stops")
	}
	a.log.Error("the console could not do what it was asked to", "error", err)
	return huma.Error500InternalServerError("the tracker could not do this; its log tells more")
}

// plainly answers with problems where a mux answers in plain text.
type plainly struct {
	http.ResponseWriter
	path string
}

func (p plainly) WriteHeader(status int) {
	detail := "there is nothing at " + p.path + "; see /api/v1/openapi.json"
	if status == http.StatusMethodNotAllowed {
		detail = "this takes " + p.Header().Get("Allow") + " only"
	}
	p.Header().Del("Content-Length")
	writeProblem(p.ResponseWriter, status, detail)
}

func (plainly) Write(b []byte) (int, error) { return len(b), nil }
