package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waggle/account"
	"waggle/bittorrent"
	"waggle/console/client"
	"waggle/passkey"
)

// Passkeys are those that clients may show, of which the console tells and which it changes.
type Passkeys struct {
	Book *passkey.Book

	// URLs returns the announce URLs of the tracker, without a passkey. It is called concurrently.
	URLs func() []string
}

// errNoPasskeys says that clients show none.
var errNoPasskeys = errors.New("this tracker has no passkeys: set access.passkeys to optional or required, and start it again")

func (a *api) addPasskeys() {
	huma.Register(a.huma, operation(http.MethodGet, "/passkeys", "list-passkeys", "List passkeys, by name", http.StatusNotFound), a.listPasskeys)
	create := passkeyOperation(http.MethodPost, "/passkeys", "create-passkeys", "Make passkeys, all or none", http.StatusConflict, http.StatusInsufficientStorage)
	create.DefaultStatus = http.StatusCreated
	create.MaxBodyBytes = 512 << 10 // of a hundred, each character may be escaped in six bytes
	huma.Register(a.huma, create, a.createPasskeys)
	huma.Register(a.huma, passkeyOperation(http.MethodPost, "/passkeys/find", "find-passkey", "Whose passkey a secret is"), a.findPasskey)
	huma.Register(a.huma, operation(http.MethodGet, "/passkeys/{id}", "get-passkey", "A passkey, and what was counted for it", http.StatusNotFound), a.getPasskey)
	huma.Register(a.huma, passkeyOperation(http.MethodPatch, "/passkeys/{id}", "edit-passkey", "Change name, note or expiry of a passkey"), a.editPasskey)
	for action, operationOf := range map[client.PasskeyAction]struct {
		summary string
		do      func(*passkey.Book, context.Context, string) (passkey.Passkey, error)
	}{
		client.RevokePasskey:  {"Refuse a passkey from the next announce on", (*passkey.Book).Revoke},
		client.RestorePasskey: {"Let a revoked passkey be good again", (*passkey.Book).Restore},
		client.RenewPasskey:   {"Put another secret in place of the one that a passkey has", (*passkey.Book).Renew},
		client.ResetPasskey:   {"Forget what was counted for a passkey", (*passkey.Book).Reset},
	} {
		name := string(action)
		huma.Register(a.huma, operation(http.MethodPost, "/passkeys/{id}/"+name, name+"-passkey", operationOf.summary, http.StatusNotFound),
			func(ctx context.Context, in *ByID) (*answer[client.Passkey], error) {
				return a.changePasskey(ctx, in.ID, func(b *passkey.Book) (passkey.Passkey, error) { return operationOf.do(b, ctx, in.ID) })
			})
	}
	huma.Register(a.huma, operation(http.MethodDelete, "/passkeys/{id}", "delete-passkey", "Forget a passkey, and what was counted for it", http.StatusNotFound), a.deletePasskey)
}

// passkeyOperation is one that takes JSON.
func passkeyOperation(method, path, id, summary string, errors ...int) huma.Operation {
	o := operation(method, path, id, summary, append(errors, http.StatusBadRequest, http.StatusNotFound, http.StatusRequestTimeout,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)...)
	o.MaxBodyBytes = 8192
	return o
}

// ByID is a request for one passkey, exported as ByHash is.
type ByID struct {
	ID string `path:"id" pattern:"^[0-9a-f]{16}$" patternDescription:"16 hexadecimal digits" doc:"Of the passkey."`
}

// book returns the passkeys. The error is a problem.
func (a *api) book() (*passkey.Book, error) {
	if a.passkeys == nil {
		return nil, huma.Error404NotFound(errNoPasskeys.Error())
	}
	return a.passkeys.Book, nil
}

type passkeysRequest struct {
	ByPage
	Query string `query:"query" maxLength:"400" doc:"Those that have this in name, note or id, whatever the case. A secret is no such: POST it to /passkeys/find."`
	State string `query:"state" enum:"active,revoked,expired" doc:"Those in this state; left out for all."`
}

func (a *api) listPasskeys(ctx context.Context, in *passkeysRequest) (*answer[client.PasskeyPage], error) {
	book, err := a.book()
	if err != nil {
		return nil, err
	}
	found, next, err := book.List(passkey.Query{Text: in.Query, State: passkey.State(in.State), After: in.Cursor, Limit: in.Limit})
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &answer[client.PasskeyPage]{client.PasskeyPage{Passkeys: a.passkeysOf(ctx, found), Total: book.Len(), Next: next}}, nil
}

type createPasskeysRequest struct{ Body client.NewPasskeys }

func (a *api) createPasskeys(ctx context.Context, in *createPasskeysRequest) (*answer[client.Passkeys], error) {
	book, err := a.book()
	if err != nil {
		return nil, err
	}
	wanted := make([]passkey.New, len(in.Body.Passkeys))
	for i, n := range in.Body.Passkeys {
		wanted[i] = passkey.New{Name: n.Name, Note: n.Note, Key: n.Key, Expires: n.Expires}
	}
	noteTarget(ctx, fmt.Sprintf("%d", len(wanted)))
	made, err := book.Create(ctx, wanted)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	if len(made) == 1 {
		noteTarget(ctx, passkeyTarget(&made[0]))
	}
	return &answer[client.Passkeys]{client.Passkeys{Passkeys: a.passkeysOf(ctx, made)}}, nil
}

// passkeyTarget is what the audit log calls a passkey.
func passkeyTarget(p *passkey.Passkey) string { return p.ID + " " + p.Name }

type findPasskeyRequest struct{ Body client.PasskeyKey }

func (a *api) findPasskey(ctx context.Context, in *findPasskeyRequest) (*answer[client.Passkey], error) {
	return a.changePasskey(ctx, "", func(b *passkey.Book) (passkey.Passkey, error) {
		found, err := b.ByKey(in.Body.Key)
		if err == nil {
			noteTarget(ctx, passkeyTarget(&found))
		}
		return found, err
	})
}

func (a *api) getPasskey(ctx context.Context, in *ByID) (*answer[client.Passkey], error) {
	return a.changePasskey(ctx, in.ID, func(b *passkey.Book) (passkey.Passkey, error) { return b.Get(in.ID) })
}

// changePasskey answers with what was made of a passkey, which the audit log names.
func (a *api) changePasskey(ctx context.Context, id string, change func(*passkey.Book) (passkey.Passkey, error)) (*answer[client.Passkey], error) {
	book, err := a.book()
	if err != nil {
		return nil, err
	}
	a.notePasskey(ctx, book, id)
	changed, err := change(book)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &answer[client.Passkey]{a.passkeyOf(ctx, &changed, a.passkeys.URLs())}, nil
}

// notePasskey says for the audit log which passkey the operation under way is for.
func (a *api) notePasskey(ctx context.Context, book *passkey.Book, id string) {
	target := id
	if p, err := book.Get(id); err == nil {
		target = passkeyTarget(&p)
	}
	noteTarget(ctx, target)
}

type editPasskeyRequest struct {
	ByID
	Body client.PasskeyEdit
}

func (a *api) editPasskey(ctx context.Context, in *editPasskeyRequest) (*answer[client.Passkey], error) {
	return a.changePasskey(ctx, in.ID, func(b *passkey.Book) (passkey.Passkey, error) {
		edit := passkey.Edit{Name: in.Body.Name, Note: in.Body.Note}
		switch in.Body.Expires {
		case "":
		case "never":
			edit.Expires = new(time.Time{})
		default:
			at, err := time.Parse(time.RFC3339, in.Body.Expires)
			if err != nil {
				return passkey.Passkey{}, fmt.Errorf("expires is a time like 2030-01-02T15:04:05Z, or never (%w)", passkey.ErrInvalid)
			}
			edit.Expires = &at
		}
		noteDetail(ctx, describePasskeyEdit(&in.Body))
		return b.Change(ctx, in.ID, edit)
	})
}

// describePasskeyEdit says for the audit log what a passkey becomes.
func describePasskeyEdit(e *client.PasskeyEdit) string {
	text := ""
	if e.Name != nil {
		text += ", name " + *e.Name
	}
	if e.Note != nil {
		text += ", another note"
	}
	if e.Expires != "" {
		text += ", expires " + e.Expires
	}
	if text == "" {
		return ""
	}
	return text[2:]
}

func (a *api) deletePasskey(ctx context.Context, in *ByID) (*struct{}, error) {
	book, err := a.book()
	if err != nil {
		return nil, err
	}
	a.notePasskey(ctx, book, in.ID)
	if err := book.Delete(ctx, in.ID); err != nil {
		return nil, a.failed(ctx, err)
	}
	return nil, nil
}

func (a *api) passkeysOf(ctx context.Context, all []passkey.Passkey) []client.Passkey {
	out := make([]client.Passkey, len(all))
	var urls []string
	if len(all) > 0 {
		urls = a.passkeys.URLs()
	}
	for i := range all {
		out[i] = a.passkeyOf(ctx, &all[i], urls)
	}
	return out
}

// passkeyOf returns a passkey for whoever asks: viewers do not see the secret, with which they
// could announce. urls are those of the tracker.
func (a *api) passkeyOf(ctx context.Context, p *passkey.Passkey, urls []string) client.Passkey {
	out := client.Passkey{
		ID: p.ID, Name: p.Name, Note: p.Note, State: string(p.State(a.passkeys.Book.Now())),
		Created: p.Created, Expires: p.Expires, Revoked: p.Revoked,
		Uploaded: p.Uploaded, Downloaded: p.Downloaded, Torrents: p.Torrents, Implausible: p.Implausible, Seen: p.Seen,
	}
	if account.From(ctx).Role < account.Operator {
		return out
	}
	out.Key, out.AnnounceURLs = p.Key, make([]string, len(urls))
	for i, url := range urls {
		out.AnnounceURLs[i] = bittorrent.PasskeyURL(url, p.Key)
	}
	return out
}
