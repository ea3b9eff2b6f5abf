package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/catalog"
	"waggle/console/client"
)

func (a *api) addAudit() {
	huma.Register(a.huma, operation(http.MethodGet, "/audit", "list-audit", "List who changed what, and who logged in, the latest first"), a.listAudit)
}

func (a *api) listAudit(ctx context.Context, in *ByPage) (*answer[client.AuditPage], error) {
	before := int64(0)
	if in.Cursor != "" {
		var err error
		if before, err = strconv.ParseInt(in.Cursor, 10, 64); err != nil || before <= 0 {
			return nil, a.failed(ctx, fmt.Errorf("%.80q: %w: begin with the first page", in.Cursor, catalog.ErrCursor))
		}
	}
	entries, more, err := a.accounts.Audit(ctx, before, in.Limit)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	page := client.AuditPage{Entries: make([]client.AuditEntry, len(entries))}
	for i := range entries {
		e := &entries[i]
		page.Entries[i] = client.AuditEntry{
			Number: e.Number, Time: e.Time, Name: e.Name, Via: string(e.Via), What: e.What, Target: e.Target, Outcome: e.Outcome,
		}
		if e.Address.IsValid() {
			page.Entries[i].Address = e.Address.String()
		}
	}
	if more {
		page.Next = strconv.FormatInt(entries[len(entries)-1].Number, 10)
	}
	return &answer[client.AuditPage]{page}, nil
}

// audited writes down every operation that changes something, or that was to, before
// its answer goes out.
func (a *api) audited(ctx huma.Context, next func(huma.Context)) {
	who := account.From(ctx.Context())
	if safe(ctx.Method()) || who.Role == account.Nobody {
		next(ctx)
		return
	}
	r, w := humago.Unwrap(ctx)
	n := &noting{ResponseWriter: w, api: a, ctx: ctx.Context(), entry: who.Entry(ctx.Operation().OperationID, a.target(ctx), "")}
	defer n.end()
	next(humago.NewContext(ctx.Operation(), r.WithContext(context.WithValue(r.Context(), notingKey{}, n)), n))
}

// target says what an operation is for, as far as its address does: before it, because
// what is deleted has no name afterwards.
func (a *api) target(ctx huma.Context) string {
	if h := ctx.Param("hash"); h != "" {
		return a.torrent(h)
	}
	if name := ctx.Param("name"); name != "" {
		return name
	}
	return ctx.Query("file")
}

// torrent returns an info hash and the name of its torrent, where there is one.
func (a *api) torrent(hash string) string {
	h, err := bittorrent.ParseInfoHash(hash)
	if err != nil || a.catalog == nil {
		return hash
	}
	t, err := a.catalog.Get(h)
	if err != nil {
		return hash
	}
	return hash + " " + t.Name
}

type notingKey struct{}

// noteTarget says, for the audit log, what the operation under way is done to, where its
// address does not.
func noteTarget(ctx context.Context, target string) {
	if n, ok := ctx.Value(notingKey{}).(*noting); ok {
		n.entry.Target = target
	}
}

// noteDetail adds to what the audit log has of the operation under way.
func noteDetail(ctx context.Context, detail string) {
	if n, ok := ctx.Value(notingKey{}).(*noting); ok && detail != "" {
		n.entry.Target += ": " + detail
	}
}

// noting is the answer to an operation, which is written down before it goes out. An
// answer that something is wrong is kept until its end, since it has the reason.
type noting struct {
	http.ResponseWriter
	api    *api
	ctx    context.Context
	entry  account.Entry
	status int          // 0: none yet
	wrong  bytes.Buffer // a body
}

// Unwrap is for http.ResponseController.
func (n *noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// WriteHeader writes down what was done.
func (n *noting) WriteHeader(status int) {
	if n.status != 0 {
		return
	}
	n.status = status
	if status >= http.StatusBadRequest {
		return
	}
	if at, ok := strings.CutPrefix(n.Header().Get("Location"), root+"/transfers/"); ok {
		n.entry.Target = n.api.torrent(at) // an upload has its hash only now
	}
	n.entry.Outcome = account.Done
	n.api.accounts.Note(n.ctx, n.entry)
	n.ResponseWriter.WriteHeader(status)
}

// Write keeps the body of an answer that something is wrong, which is short.
func (n *noting) Write(b []byte) (int, error) {
	n.WriteHeader(http.StatusOK)
	if n.status >= http.StatusBadRequest {
		return n.wrong.Write(b)
	}
	return n.ResponseWriter.Write(b)
}

// end writes down what was not done, and lets the answer out that says so.
func (n *noting) end() {
	switch {
	case n.status == 0:
		n.entry.Outcome = "no answer: whoever asked was gone, or the tracker failed; see its log"
		n.api.accounts.Note(n.ctx, n.entry)
	case n.status >= http.StatusBadRequest:
		n.entry.Outcome = strconv.Itoa(n.status) + " " + reason(n.wrong.Bytes())
		if n.status == http.StatusUnauthorized || n.status == http.StatusForbidden {
			n.api.accounts.NoteRefusal(n.ctx, n.entry)
		} else {
			n.api.accounts.Note(n.ctx, n.entry)
		}
		n.ResponseWriter.WriteHeader(n.status)
		_, _ = n.ResponseWriter.Write(n.wrong.Bytes()) // in vain only if whoever asked is gone
	}
}

// reason returns what a problem says, without the values that were sent.
func reason(body []byte) string {
	var p client.Problem
	if json.Unmarshal(body, &p) != nil {
		return "for an unknown reason"
	}
	return p.Error()
}
