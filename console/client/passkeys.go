package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Passkey is what a client shows in its announce URL, and what was counted for it.
type Passkey struct {
	ID           string    `json:"id" pattern:"^[0-9a-f]{16}$" doc:"By which it is spoken of; no secret."`
	Name         string    `json:"name" doc:"Whose it is."`
	Note         string    `json:"note,omitempty"`
	State        string    `json:"state" enum:"active,revoked,expired"`
	Key          string    `json:"key,omitempty" doc:"The secret; left out for viewers." example:"abcdefghijklmnopqrstuvwxyz234567"`
	AnnounceURLs []string  `json:"announce_urls,omitempty" nullable:"false" doc:"To put into a torrent; left out for viewers."`
	Created      time.Time `json:"created"`
	Expires      time.Time `json:"expires,omitzero" doc:"Left out where it does not."`
	Revoked      time.Time `json:"revoked,omitzero" doc:"Left out where it is not."`

	Uploaded    int64     `json:"uploaded" minimum:"0" doc:"Bytes."`
	Downloaded  int64     `json:"downloaded" minimum:"0" doc:"Bytes."`
	Torrents    int64     `json:"torrents" minimum:"0" doc:"That peers with it are at."`
	Implausible int64     `json:"implausible" minimum:"0" doc:"Announces that told of more than a client can transfer (access.passkey_rate), and did not count."`
	Seen        time.Time `json:"seen,omitzero" doc:"When a peer announced with it last, to some seconds; left out where none did."`
}

// NewPasskey is a passkey to be.
type NewPasskey struct {
	Name    string    `json:"name,omitempty" doc:"Whose it is: up to 100 printable characters." example:"anna"`
	Note    string    `json:"note,omitempty" doc:"Up to 300 printable characters."`
	Key     string    `json:"key,omitempty" maxLength:"200" doc:"One that another tracker made: 32 or 40 characters, each a to z or 0 to 9. Left out for one that waggle makes."`
	Expires time.Time `json:"expires,omitzero" doc:"Left out for never."`
}

// NewPasskeys are passkeys to be, all or none.
type NewPasskeys struct {
	Passkeys []NewPasskey `json:"passkeys" nullable:"false" minItems:"1" maxItems:"100"`
}

// Passkeys are some passkeys.
type Passkeys struct {
	Passkeys []Passkey `json:"passkeys" nullable:"false"`
}

// PasskeyEdit is a change of a passkey: what is left out stays.
type PasskeyEdit struct {
	Name    *string `json:"name,omitempty"`
	Note    *string `json:"note,omitempty"`
	Expires string  `json:"expires,omitempty" maxLength:"64" doc:"A time as RFC 3339 has it, or never." example:"2030-01-02T15:04:05Z"`
}

// PasskeyKey is the secret of a passkey that is looked for.
type PasskeyKey struct {
	Key string `json:"key" maxLength:"200"`
}

// PasskeyPage is a page of passkeys, by name and id.
type PasskeyPage struct {
	Passkeys []Passkey `json:"passkeys" nullable:"false"`
	Total    int       `json:"total" minimum:"0" doc:"Passkeys that there are, whatever was asked for."`
	Next     string    `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
}

// PasskeyQuery says which passkeys are wanted.
type PasskeyQuery struct {
	Query string // that name, note or id have
	State string // "": any
	Part
}

// PasskeysPart returns a part of the passkeys, by name and id.
func (c *Client) PasskeysPart(ctx context.Context, q PasskeyQuery) (page PasskeyPage, err error) {
	query := url.Values{}
	if q.Query != "" {
		query.Set("query", q.Query)
	}
	if q.State != "" {
		query.Set("state", q.State)
	}
	err = c.partOf(ctx, "passkeys", query, q.Part, &page)
	return page, err
}

// Passkeys returns all passkeys that a query finds, by name and id.
func (c *Client) Passkeys(ctx context.Context, q PasskeyQuery) ([]Passkey, error) {
	return collect(pages(func(cursor string) ([]Passkey, string, error) {
		q.Cursor, q.Limit = cursor, MaxPage
		page, err := c.PasskeysPart(ctx, q)
		return page.Passkeys, page.Next, err
	}))
}

// Passkey returns the passkey with an id.
func (c *Client) Passkey(ctx context.Context, id string) (p Passkey, err error) {
	err = c.json(ctx, http.MethodGet, c.url(passkeyPath(id), nil), nil, &p)
	return p, err
}

// FindPasskey returns the passkey with a secret.
func (c *Client) FindPasskey(ctx context.Context, key string) (p Passkey, err error) {
	err = c.send(ctx, http.MethodPost, "passkeys/find", PasskeyKey{key}, &p)
	return p, err
}

// CreatePasskeys makes passkeys, all or none.
func (c *Client) CreatePasskeys(ctx context.Context, wanted []NewPasskey) ([]Passkey, error) {
	var made Passkeys
	err := c.send(ctx, http.MethodPost, "passkeys", NewPasskeys{wanted}, &made)
	return made.Passkeys, err
}

// EditPasskey changes a passkey.
func (c *Client) EditPasskey(ctx context.Context, id string, e PasskeyEdit) (p Passkey, err error) {
	err = c.send(ctx, http.MethodPatch, passkeyPath(id), e, &p)
	return p, err
}

// PasskeyAction is what is done to a passkey.
type PasskeyAction string

// The actions.
const (
	RevokePasskey  PasskeyAction = "revoke"  // it is refused from the next announce on
	RestorePasskey PasskeyAction = "restore" // it is good again
	RenewPasskey   PasskeyAction = "renew"   // another secret takes the place of the one it has
	ResetPasskey   PasskeyAction = "reset"   // what was counted is forgotten
)

// ActOnPasskey does something to a passkey.
func (c *Client) ActOnPasskey(ctx context.Context, id string, a PasskeyAction) (p Passkey, err error) {
	err = c.json(ctx, http.MethodPost, c.url(passkeyPath(id)+"/"+string(a), nil), nil, &p)
	return p, err
}

// DeletePasskey forgets a passkey, and what was counted for it.
func (c *Client) DeletePasskey(ctx context.Context, id string) error {
	_, err := c.do(ctx, http.MethodDelete, c.url(passkeyPath(id), nil), nil)
	return err
}

func passkeyPath(id string) string { return "passkeys/" + url.PathEscape(id) }

// send sends JSON and reads what comes back.
func (c *Client) send(ctx context.Context, method, path string, sent, into any) error {
	body, err := json.Marshal(sent)
	if err != nil {
		return err
	}
	return c.json(ctx, method, c.url(path, nil), body, into)
}
