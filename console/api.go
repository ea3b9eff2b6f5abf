package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"waggle/account"
	"waggle/catalog"
	"waggle/console/client"
	"waggle/swarm"
)

// root is where the API begins.
const root = "/api/v1"

// api answers what is below [root].
type api struct {
	huma      huma.API
	mux       *http.ServeMux
	accounts  *account.Accounts
	catalog   *catalog.Catalog
	swarms    Swarms
	roster    Roster
	locality  Locality
	policy    func() Policy
	links     Links
	cluster   Cluster
	passkeys  *Passkeys
	reach     func(netip.AddrPort) swarm.Reach
	maxUpload int64
	uploads   chan struct{} // places for them

	largeUploads chan struct{} // the place of one that may be large

	walks chan struct{} // places for them
	csvs  chan struct{} // places for them
	log   *slog.Logger
}

func newAPI(o *Options) *api {
	a := &api{
		mux: http.NewServeMux(), accounts: o.Accounts, catalog: o.Catalog, swarms: o.Swarms, maxUpload: o.MaxUpload,
		roster: o.Roster, locality: o.Locality, policy: o.Policy, links: o.Links, cluster: o.Cluster, passkeys: o.Passkeys, reach: o.Reach,
		uploads: make(chan struct{}, uploadsAtOnce), walks: make(chan struct{}, walksAtOnce), log: o.Log,
		csvs: make(chan struct{}, csvsAtOnce), largeUploads: make(chan struct{}, 1),
	}
	a.huma = humago.New(a.mux, description(o.Version))
	a.huma.UseMiddleware(a.audited, a.authorise) // of all that is added from here on
	a.addAbout(o)
	a.addOverview(o)
	a.addLocality()
	a.addLinks()
	a.addCluster()
	a.addPasskeys()
	a.addAccounts()
	a.addAudit()
	if o.Catalog != nil {
		a.addTorrents()
		a.addTransfers()
		a.addPeers()
		a.addPlaces()
		a.addSwarms()
		a.addHashes()
		a.addConfiguration(o)
		a.addMap()
		a.addExplanation()
	}
	a.addDescription()
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if _, pattern := a.mux.Handler(r); pattern == "" {
		w = plainly{w, r.URL.Path}
	}
	a.mux.ServeHTTP(w, r)
}

// description is the frame of the OpenAPI document. huma's own pages are left out:
// they would load scripts from elsewhere.
func description(version string) huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "waggle",
				Version: version,
				Description: "Torrents, transfers and peers of a BitTorrent tracker. Lists have pages: " +
					"`next` of a page is the `cursor` of the one after it. Errors are problem details (RFC 9457). " +
					"Where there are accounts, or console.token_file, what changes something needs a token, and so does everything from another machine. " +
					"A request with the cookie of a session must carry X-CSRF-Token where it changes something.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "The token of an account, or of console.token_file."},
					"session": {Type: "apiKey", In: "cookie", Name: account.Cookie, Description: "Of a log-in at the console's pages."},
				},
			},
			// One of these or nothing: which, depends on whether there are accounts.
			Security: []map[string][]string{{"token": {}}, {"session": {}}, {}},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
}

// addDescription serves the OpenAPI document of all that was added before.
func (a *api) addDescription() {
	document := a.huma.OpenAPI()
	for path, form := range map[string]struct {
		media string
		text  func() ([]byte, error)
	}{
		"/openapi.json": {"application/openapi+json", func() ([]byte, error) { return json.Marshal(document) }},
		"/openapi.yaml": {"application/openapi+yaml", document.YAML},
	} {
		text := sync.OnceValues(form.text)
		a.mux.HandleFunc("GET "+root+path, func(w http.ResponseWriter, _ *http.Request) {
			b, err := text()
			if err != nil {
				writeProblem(w, http.StatusInternalServerError, err.Error())
				return
			}
			w.Header().Set("Content-Type", form.media)
			_, _ = w.Write(b) // whoever asked is gone
		})
	}
}

// operation is one that has a path below root, and errors beside those that any
// operation may have.
func operation(method, path, id, summary string, errors ...int) huma.Operation {
	return huma.Operation{
		Method: method, Path: root + path, OperationID: id, Summary: summary,
		Errors: append(errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
			http.StatusServiceUnavailable),
	}
}

// answer is an answer in JSON.
type answer[T any] struct{ Body T }

// ByHash is a request for one torrent. It is exported for huma, which does not look
// into what is embedded and not exported.
type ByHash struct {
	Hash string `path:"hash" doc:"Info hash, in hexadecimal." pattern:"^[0-9a-fA-F]{40}$" patternDescription:"40 hexadecimal digits"`
}

// ByPage is a request for a part of a list, exported as ByHash is.
type ByPage struct {
	Cursor string `query:"cursor" maxLength:"2048" doc:"The next of the page before; left out for the first page."`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Entries in a page, at most."`
}

func (a *api) addAbout(o *Options) {
	huma.Register(a.huma, operation(http.MethodGet, "/version", "get-version", "What answers"),
		func(context.Context, *struct{}) (*answer[client.Version], error) {
			return &answer[client.Version]{client.Version{Name: "waggle", Version: o.Version}}, nil
		})
	huma.Register(a.huma, operation(http.MethodGet, "/figures", "get-figures", "What the tracker did since it began"),
		func(context.Context, *struct{}) (*answer[any], error) {
			return &answer[any]{o.Figures()}, nil
		})
}
