package console

import (
	"context"
	"net/http"

	"waggle/account"
)

// NewHandler returns what answers on the address of [Listen], for a frontend that has
// requests and no address: nobody there is on this machine, so until there is a token
// or an account everybody is refused. The frontend says by the header Via, or another
// of a proxy, that a request is none of this machine.
func NewHandler(ctx context.Context, o Options) (http.Handler, error) {
	o.settle()
	if err := o.openAccounts(ctx, false); err != nil {
		return nil, err
	}
	o.Accounts.SetAccess(account.Access{Public: true, TokenFile: o.Token != ""})
	guard := newGuard(&o)
	pages, err := handler(&o, guard)
	if err != nil {
		return nil, err
	}
	return guard.protect(pages), nil
}
