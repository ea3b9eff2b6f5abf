package attack

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Who may call what of the API, as docs/accounts.md has it. What is not here reads, and is for
// viewers.
var (
	forOperators = []string{
		"POST /torrents", "DELETE /torrents/{hash}", "PATCH /transfers/{hash}", "POST /transfers/{hash}/activate", "POST /transfers/{hash}/deactivate",
		"POST /passkeys", "POST /passkeys/find", "PATCH /passkeys/{id}", "DELETE /passkeys/{id}",
		"POST /passkeys/{id}/revoke", "POST /passkeys/{id}/restore", "POST /passkeys/{id}/renew", "POST /passkeys/{id}/reset",
		"DELETE /links/hub", "DELETE /links/{name}", "POST /links/{name}/reset", "POST /cluster/stepdown", "POST /cluster/leave",
	}
	forAdmins = []string{
		"GET /accounts", "POST /accounts", "PATCH /accounts/{name}", "DELETE /accounts/{name}", "GET /audit", "GET /configuration",
		"POST /links/invitations", "POST /links/join", "PUT /links/{name}/rights",
	}
)

// form has all that forms of pages look at before they ask the API.
const form = "name=x&role=viewer&query=goodpasskeythatnobodymaysee00000&line=waggle-link-1x&direction=both&profile=strict&days=1&count=1"

// Forms of pages that change nothing, or only for an admin.
var (
	harmlessForms = []string{"/login", "/logout"}
	formsOfAdmins = []string{
		"/settings/accounts", "/settings/accounts/edit", "/settings/accounts/delete", "/links", "/links/join", "/links/rights",
	}
)

// as is somebody who makes requests.
type as struct {
	token, host, proxied string
}

// from has a request be of theirs.
func (a as) from(r *http.Request) {
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	if a.proxied != "" {
		r.Header.Set("X-Forwarded-For", a.proxied)
	}
	r.Host = a.host
}

// strangers are of no account, and not of this machine, though one comes by a name that was
// made to mean it, as a page does in the browser of somebody here.
var strangers = map[string]as{"another machine": {proxied: "192.0.2.1"}, "another name": {host: "evil.example:6970"}}

func TestEveryRouteRefusesStrangersAndEachRoleWhatIsNotForIt(t *testing.T) {
	t.Parallel()
	tr := startTracker(t, "", nil, "--store", "memory:", "--access-passkeys", "optional",
		"--link-name", "hub", "--link-listen", "127.0.0.1:0", "--link-addresses", "127.0.0.1:6971", "--locality-sources", "hostname: '(?P<rack>.*)'")
	operations, pages := operationsOf(t, tr), pagesOf(t)
	ask := func(who as, method, path string) int {
		request, err := http.NewRequest(method, tr.console+fill(path), http.NoBody)
		if method == http.MethodPost && slices.Contains(pages, path) {
			request, err = http.NewRequest(method, tr.console+fill(path), strings.NewReader(form))
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if err != nil {
			t.Fatal(err)
		}
		who.from(request)
		status, _ := do(t, request)
		return status
	}
	refused := func(want int) {
		for name, stranger := range strangers {
			for _, operation := range operations {
				method, path, _ := strings.Cut(operation, " ")
				if status := ask(stranger, method, "/api/v1"+path); status != want {
					t.Errorf("%s, %s: %d; want %d", name, operation, status, want)
				}
			}
			for _, path := range pages {
				for _, method := range []string{http.MethodGet, http.MethodPost} {
					if status := ask(stranger, method, path); status != want && (!isOpen(path) || want == http.StatusForbidden) {
						t.Errorf("%s, %s %s: %d; want %d", name, method, path, status, want)
					}
				}
			}
		}
	}
	refused(http.StatusForbidden) // while there is no account

	roles := []string{"viewer", "operator", "admin"}
	everybody := []as{{}} // this machine, whose role is as a viewer's
	tokens := map[string]string{}
	for _, role := range slices.Backward(roles) {
		var made struct{ Token string }
		answer := post(t, tr, "/api/v1/accounts", `{"name": "`+role+`", "role": "`+role+`"}`)
		if err := json.Unmarshal([]byte(answer), &made); err != nil || made.Token == "" {
			t.Fatalf("no token in %s: %v", answer, err)
		}
		tokens[role] = made.Token
		if role == "admin" {
			tr.token = made.Token
		}
	}
	refused(http.StatusUnauthorized)

	for _, role := range roles {
		everybody = append(everybody, as{token: tokens[role]})
	}
	for n, who := range everybody {
		has, denied := max(n-1, 0), http.StatusForbidden
		if n == 0 {
			denied = http.StatusUnauthorized
		}
		for _, operation := range operations {
			method, path, _ := strings.Cut(operation, " ")
			status, may := ask(who, method, "/api/v1"+path), has >= needs(operation)
			if may && (status == http.StatusUnauthorized || status == http.StatusForbidden) || !may && status != denied {
				t.Errorf("%s by %s: %d", operation, append([]string{"this machine"}, roles...)[n], status)
			}
		}
		for _, path := range pages {
			if has == 2 || slices.Contains(harmlessForms, path) || has == 1 && !slices.Contains(formsOfAdmins, path) {
				continue
			}
			status := ask(who, http.MethodPost, path)
			if !slices.Contains([]int{denied, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity}, status) {
				t.Errorf("the form %s by %s: %d", path, append([]string{"this machine"}, roles...)[n], status)
			}
		}
		if status := ask(who, http.MethodGet, "/debug/pprof/cmdline"); (status == http.StatusOK) != (has == 2) {
			t.Errorf("profiles by %s: %d", append([]string{"this machine"}, roles...)[n], status)
		}
	}
}

func needs(operation string) int {
	switch {
	case slices.Contains(forAdmins, operation):
		return 2
	case slices.Contains(forOperators, operation):
		return 1
	}
	return 0
}

func isOpen(path string) bool {
	return path == "/login" || path == "/favicon.ico" || strings.HasPrefix(path, "/static/")
}

// fill puts something into the places of a path.
func fill(path string) string {
	return parameterOf.ReplaceAllString(strings.NewReplacer("{id}", "0123456789abcdef", "{address}", "192.0.2.1:1").Replace(path), strings.Repeat("ab", 20))
}

// operationsOf returns all of the API, as "GET /transfers/{hash}". Those that the tables of
// roles name must be there, and those that they do not must read.
func operationsOf(t *testing.T, tr *tracker) []string {
	t.Helper()
	_, body := get(t, tr.console+"/api/v1/openapi.json", tr.token)
	var description struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(body, &description); err != nil {
		t.Fatal(err)
	}
	var all []string
	for path, methods := range description.Paths {
		for method := range methods {
			operation := strings.ToUpper(method) + " " + strings.TrimPrefix(path, "/api/v1")
			all = append(all, operation)
			if needs(operation) == 0 && method != "get" {
				t.Errorf("%s changes something, and no table of this test says who may", operation)
			}
		}
	}
	for _, operation := range slices.Concat(forOperators, forAdmins) {
		if !slices.Contains(all, operation) {
			t.Errorf("the tracker has no %s", operation)
		}
	}
	return all
}

// patternShape matches the pattern of a page or form.
var patternShape = regexp.MustCompile(`^(?:GET |POST )?(/[a-zA-Z0-9{}$/._-]*)$`)

// pagesOf returns the paths of all that the console answers at beside the API, and some more:
// whatever its sources have that looks like one.
func pagesOf(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, folder := range []string{"../console", "../console/web"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && !strings.HasSuffix(name, "_test.go") {
					text, _ := strconv.Unquote(literal.Value)
					if m := patternShape.FindStringSubmatch(text); m != nil {
						all = append(all, strings.ReplaceAll(m[1], "{$}", ""))
					}
				}
				return true
			})
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for _, must := range slices.Concat(harmlessForms, formsOfAdmins, []string{"/", "/metrics", "/figures", "/live", "/feed.atom", "/transfers/{hash}/peers.csv", "/debug/pprof/"}) {
		if !slices.Contains(all, must) {
			t.Errorf("the sources of the console have no %s any more", must)
		}
	}
	return append(all, "/debug/pprof/heap")
}
