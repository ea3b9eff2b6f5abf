package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Self is who asks, as the tracker sees it.
type Self struct {
	Name string `json:"name" doc:"Of the account; \"this machine\" or \"token file\" for who has none."`
	Role string `json:"role" enum:"viewer,operator,admin"`
	Via  string `json:"via" enum:"loopback,session,token,token file" doc:"How the tracker knows that."`
}

// Account is somebody who may use the console.
type Account struct {
	Name    string    `json:"name" example:"anna"`
	Role    string    `json:"role" enum:"viewer,operator,admin" doc:"A viewer reads; an operator also changes torrents, and resets and drops links; an admin also manages accounts and links, and sees settings, audit log and profiles."`
	Secret  string    `json:"secret" enum:"password,token" doc:"What it proves itself by."`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed" doc:"When its role, secret or expiry changed last."`
	Expires time.Time `json:"expires,omitzero" doc:"Left out where it does not."`
}

// NewAccount is an account to be.
type NewAccount struct {
	Name     string    `json:"name" doc:"1 to 64 printable characters, without spaces at its ends." example:"anna"`
	Role     string    `json:"role" enum:"viewer,operator,admin"`
	Password string    `json:"password,omitempty" doc:"10 characters to 1024 bytes; left out for a token that waggle makes."`
	Expires  time.Time `json:"expires,omitzero" doc:"Left out for never."`
}

// AccountEdit is a change of an account: what is left out stays. Any change ends the
// account's sessions.
type AccountEdit struct {
	Role     string `json:"role,omitempty" enum:"viewer,operator,admin"`
	Password string `json:"password,omitempty" doc:"In place of the secret; 10 characters to 1024 bytes."`
	NewToken bool   `json:"new_token,omitempty" doc:"Make a token in place of the secret."`
	Expires  string `json:"expires,omitempty" maxLength:"64" doc:"A time as RFC 3339 has it, or never." example:"2030-01-02T15:04:05Z"`
}

// AccountWithToken is an account as it was just made or changed.
type AccountWithToken struct {
	Account
	Token string `json:"token,omitempty" doc:"Of an account that has just been given one. It is not shown again." example:"waggle_0123456789abcdef_..."`
}

// AccountPage is a page of accounts, by name.
type AccountPage struct {
	Accounts []Account `json:"accounts" nullable:"false"`
	Next     string    `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
}

// AuditEntry is one thing that somebody did, or was refused. Its text is as it came from
// whoever wrote it: a page must escape it.
type AuditEntry struct {
	Number  int64     `json:"number" minimum:"1" doc:"Higher for what came later."`
	Time    time.Time `json:"time"`
	Name    string    `json:"name" doc:"Who: an account, \"this machine\" or \"token file\"; empty where that is not known."`
	Via     string    `json:"via" enum:"loopback,session,token,token file"`
	Address string    `json:"address" doc:"IP address of the client; empty where it is not known."`
	What    string    `json:"what" doc:"Id of the operation in this document, log-in or log-out." example:"upload-torrent"`
	Target  string    `json:"target" doc:"What it was done to: info hash and name of a torrent, name of an account."`
	Outcome string    `json:"outcome" doc:"\"done\", or status and reason." example:"done"`
}

// AuditPage is a page of the audit log, the latest first.
type AuditPage struct {
	Entries []AuditEntry `json:"entries" nullable:"false"`
	Next    string       `json:"next,omitempty" doc:"Cursor of the next page; left out on the last."`
}

// Self returns who asks, as the tracker sees it.
func (c *Client) Self(ctx context.Context) (s Self, err error) {
	err = c.json(ctx, http.MethodGet, c.url("self", nil), nil, &s)
	return s, err
}

// Accounts returns all accounts, by name. It is for admins, as all that follows.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return collect(pages(func(cursor string) ([]Account, string, error) {
		page, err := c.AccountsPart(ctx, Part{Cursor: cursor, Limit: MaxPage})
		return page.Accounts, page.Next, err
	}))
}

// AccountsPart returns a part of the accounts, by name.
func (c *Client) AccountsPart(ctx context.Context, p Part) (page AccountPage, err error) {
	err = c.part(ctx, "accounts", p, &page)
	return page, err
}

// CreateAccount makes an account, with a token where it has no password.
func (c *Client) CreateAccount(ctx context.Context, n NewAccount) (AccountWithToken, error) {
	return c.sendAccount(ctx, http.MethodPost, "accounts", n)
}

// EditAccount changes an account, and ends its sessions.
func (c *Client) EditAccount(ctx context.Context, name string, e AccountEdit) (AccountWithToken, error) {
	return c.sendAccount(ctx, http.MethodPatch, accountPath(name), e)
}

// DeleteAccount removes an account; its sessions and its token end.
func (c *Client) DeleteAccount(ctx context.Context, name string) error {
	_, err := c.do(ctx, http.MethodDelete, c.url(accountPath(name), nil), nil)
	return err
}

// AuditPart returns a part of the audit log, the latest first.
func (c *Client) AuditPart(ctx context.Context, p Part) (page AuditPage, err error) {
	err = c.part(ctx, "audit", p, &page)
	return page, err
}

func accountPath(name string) string { return "accounts/" + url.PathEscape(name) }

func (c *Client) sendAccount(ctx context.Context, method, path string, sent any) (a AccountWithToken, err error) {
	body, err := json.Marshal(sent)
	if err != nil {
		return AccountWithToken{}, err
	}
	err = c.json(ctx, method, c.url(path, nil), body, &a)
	return a, err
}

// mediaOf returns the media type of what is sent: a .torrent, else JSON.
func (c *Client) mediaOf(method, url string) string {
	if method == http.MethodPost && strings.HasPrefix(url, c.url("torrents", nil)+"?") {
		return MediaType
	}
	return "application/json"
}
