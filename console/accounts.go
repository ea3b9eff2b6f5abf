package console

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waggle/account"
	"waggle/catalog"
	"waggle/console/client"
)

func (a *api) addAccounts() {
	huma.Register(a.huma, operation(http.MethodGet, "/self", "get-self", "Who asks, and what they may do"), a.getSelf)
	huma.Register(a.huma, operation(http.MethodGet, "/accounts", "list-accounts", "List accounts, by name"), a.listAccounts)
	create := accountOperation(http.MethodPost, "/accounts", "create-account", "Make an account, with a password or with a token", http.StatusInsufficientStorage)
	create.DefaultStatus = http.StatusCreated
	huma.Register(a.huma, create, a.createAccount)
	huma.Register(a.huma, accountOperation(http.MethodPatch, "/accounts/{name}", "edit-account", "Change an account, and end its sessions",
		http.StatusNotFound), a.editAccount)
	huma.Register(a.huma, operation(http.MethodDelete, "/accounts/{name}", "delete-account", "Delete an account, and end its sessions and its token",
		http.StatusNotFound, http.StatusConflict), a.deleteAccount)
}

// openAccounts opens accounts where none were given, and says how the console may be
// reached without one.
func (o *Options) openAccounts(ctx context.Context, public bool) (err error) {
	if o.Accounts == nil {
		if o.Accounts, err = account.Open(ctx, account.Options{Log: o.Log}); err != nil {
			return err
		}
	}
	if public && o.Token == "" && o.Accounts.Len() == 0 {
		return ErrPublic
	}
	o.Accounts.SetAccess(account.Access{Public: public, TokenFile: o.Token != ""})
	return nil
}

// accountOperation is one that takes an account as JSON.
func accountOperation(method, path, id, summary string, errors ...int) huma.Operation {
	o := operation(method, path, id, summary, append(errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)...)
	o.MaxBodyBytes = 8192 // of a password, each byte may be escaped in six
	return o
}

// ByName is a request for one account. It is exported as ByHash is.
type ByName struct {
	Name string `path:"name" maxLength:"256" doc:"Of the account."`
}

func (a *api) getSelf(ctx context.Context, _ *struct{}) (*answer[client.Self], error) {
	who := account.From(ctx)
	return &answer[client.Self]{client.Self{Name: who.Name, Role: who.Role.String(), Via: string(who.Via)}}, nil
}

func (a *api) listAccounts(ctx context.Context, in *ByPage) (*answer[client.AccountPage], error) {
	after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil {
		return nil, a.failed(ctx, fmt.Errorf("%.80q: %w: begin with the first page", in.Cursor, catalog.ErrCursor))
	}
	accounts, more := a.accounts.List(string(after), in.Limit)
	page := client.AccountPage{Accounts: make([]client.Account, len(accounts))}
	for i := range accounts {
		page.Accounts[i] = accountOf(&accounts[i])
	}
	if more {
		page.Next = base64.RawURLEncoding.EncodeToString([]byte(accounts[len(accounts)-1].Name))
	}
	return &answer[client.AccountPage]{page}, nil
}

type createAccountRequest struct{ Body client.NewAccount }

type createAccountAnswer struct {
	Location string `header:"Location" doc:"Path of the account."`
	Body     client.AccountWithToken
}

func (a *api) createAccount(ctx context.Context, in *createAccountRequest) (*createAccountAnswer, error) {
	n := &in.Body
	noteTarget(ctx, n.Name)
	role, err := account.ParseRole(n.Role)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	noteDetail(ctx, describe(role.String(), n.Password != "", n.Password == "", expiry(n.Expires)))
	created, token, err := a.accounts.Create(ctx, account.New{Name: n.Name, Role: role, Password: n.Password, Expires: n.Expires})
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &createAccountAnswer{
		Location: root + "/accounts/" + url.PathEscape(created.Name),
		Body:     client.AccountWithToken{Account: accountOf(&created), Token: token},
	}, nil
}

type editAccountRequest struct {
	ByName
	Body client.AccountEdit
}

func (a *api) editAccount(ctx context.Context, in *editAccountRequest) (*answer[client.AccountWithToken], error) {
	e := &in.Body
	noteDetail(ctx, describe(e.Role, e.Password != "", e.NewToken, e.Expires))
	change, err := changeOf(e)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	changed, token, err := a.accounts.Change(ctx, in.Name, change)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	return &answer[client.AccountWithToken]{client.AccountWithToken{Account: accountOf(&changed), Token: token}}, nil
}

func changeOf(e *client.AccountEdit) (c account.Change, err error) {
	c.Password, c.NewToken = e.Password, e.NewToken
	if e.Role != "" {
		if c.Role, err = account.ParseRole(e.Role); err != nil {
			return account.Change{}, err
		}
	}
	switch e.Expires {
	case "":
	case "never":
		c.Expires = new(time.Time{})
	default:
		at, err := time.Parse(time.RFC3339, e.Expires)
		if err != nil {
			return account.Change{}, fmt.Errorf("expires is a time like 2030-01-02T15:04:05Z, or never (%w)", account.ErrInvalid)
		}
		c.Expires = &at
	}
	return c, nil
}

// describe says for the audit log what an account becomes; never a secret.
func describe(role string, password, token bool, expires string) string {
	var parts []string
	if role != "" {
		parts = append(parts, "role "+role)
	}
	if password {
		parts = append(parts, "a new password")
	}
	if token {
		parts = append(parts, "a new token")
	}
	if expires != "" {
		parts = append(parts, "expires "+expires)
	}
	return strings.Join(parts, ", ")
}

func expiry(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func (a *api) deleteAccount(ctx context.Context, in *ByName) (*struct{}, error) {
	if err := a.accounts.Delete(ctx, in.Name); err != nil {
		return nil, a.failed(ctx, err)
	}
	return nil, nil
}

func accountOf(o *account.Account) client.Account {
	return client.Account{
		Name: o.Name, Role: o.Role.String(), Secret: string(o.Secret), Created: o.Created, Changed: o.Changed, Expires: o.Expires,
	}
}
