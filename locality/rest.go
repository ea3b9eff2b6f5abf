package locality

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	// DefaultRESTPath is what p2ptracker takes for the rack: {"server": {"cabinet": "r12"}} (seed
	// document B).
	DefaultRESTPath = "{/server/cabinet}"

	// p2ptrackerPath is where p2ptracker asks below its SMDB_URL (seed document B).
	p2ptrackerPath = "/servers/ipaddresses/{ip}"

	maxAnswer = 1 << 20 // bytes of an answer
)

// RESTOptions say what a REST source asks.
type RESTOptions struct {
	// URL of http or https, a Template with {ip} for the address. Without {ip} it is completed as
	// p2ptracker does.
	URL string

	// Path is a Template whose names are JSON pointers (RFC 6901) into the answer, each to a text
	// or a number; default: DefaultRESTPath. Where a pointer points to nothing, or to null or "",
	// the address is not known.
	Path string

	// Host is a Template of the same kind, of the name of the host, such as {/server/name}. What is
	// no name is left out. "": none.
	Host string

	// TokenFile has a token that is shown as "Authorization: Bearer". It is read for each look-up.
	// "": none.
	TokenFile string
}

// REST is a Namer that asks a web service, which answers in JSON, of at most 1 MiB. An answer of
// status 404 is an address that is not known.
type REST struct {
	url, path, host Template
	shown           string
	web             *web
}

// NewREST makes a REST source. It fails on options that cannot be.
func NewREST(o RESTOptions) (*REST, error) {
	if o.Path == "" {
		o.Path = DefaultRESTPath
	}
	if !strings.Contains(o.URL, "{ip}") {
		o.URL = strings.TrimRight(o.URL, "/") + p2ptrackerPath
	}
	r := &REST{shown: withoutSecrets(o.URL)}
	var err error
	if r.url, err = parseTemplate("rest: url", o.URL, "ip"); err != nil {
		return nil, err
	}
	if u, err := url.Parse(r.ask(netip.IPv6Loopback())); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("rest: url: %s is no URL such as https://smdb.example", quote(o.URL))
	}
	if r.path, err = parsePointers("rest: path", o.Path); err != nil {
		return nil, err
	}
	if o.Host != "" {
		if r.host, err = parsePointers("rest: host", o.Host); err != nil {
			return nil, err
		}
	}
	if r.web, err = newWeb(o.TokenFile, ""); err != nil {
		return nil, fmt.Errorf("rest: %w", err)
	}
	return r, nil
}

// parsePointers reads a template whose names are JSON pointers.
func parsePointers(what, text string) (Template, error) {
	t, err := parseTemplate(what, text)
	for _, pointer := range t.Names() {
		if pointer[0] != '/' {
			return t, fmt.Errorf("%s: {%s} is no JSON pointer; it begins with a slash", what, pointer)
		}
	}
	return t, err
}

// ask is the URL for an address.
func (r *REST) ask(ip netip.Addr) string {
	address, _ := r.url.Fill(func(string) (string, error) { return ip.String(), nil })
	return address
}

// String is "rest" and the URL, without what may be secret in it.
func (r *REST) String() string { return "rest " + r.shown }

// Locate asks the service.
func (r *REST) Locate(ctx context.Context, ip netip.Addr) (string, error) {
	path, _, err := r.LocateNamed(ctx, ip)
	return path, err
}

// LocateNamed asks the service, for the name of the host as well where RESTOptions.Host says where that
// is. Rubbish in its place is as good as no name.
func (r *REST) LocateNamed(ctx context.Context, ip netip.Addr) (path, host string, err error) {
	body, err := r.web.get(ctx, r.ask(ip), maxAnswer)
	if errors.Is(err, errNotFound) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	root, err := parseJSON(body)
	if err != nil {
		return "", "", err
	}
	host, _ = fillIn(r.host, root)
	path, err = fillIn(r.path, root)
	return path, host, err
}

// Close ends its idle connections.
func (r *REST) Close() error {
	r.web.close()
	return nil
}

// parseJSON reads a document.
func parseJSON(document []byte) (root any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber() // a rack 012345678901234567890 keeps its digits
	if err := decoder.Decode(&root); err != nil {
		return nil, rubbish("the answer is not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, rubbish("the answer goes on after its JSON")
	}
	return root, nil
}

// fillIn fills a template of JSON pointers from a document.
func fillIn(t Template, root any) (string, error) {
	return t.Fill(func(pointer string) (string, error) {
		switch value := pointedTo(root, pointer).(type) {
		case nil:
			return "", nil
		case string:
			return value, nil
		case json.Number:
			return value.String(), nil
		default:
			return "", rubbish("%s of the answer is neither a text nor a number", pointer)
		}
	})
}

// pointedTo is the value that a JSON pointer points to (RFC 6901), or nil.
func pointedTo(value any, pointer string) any {
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch in := value.(type) {
		case map[string]any:
			value = in[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(in) || strconv.Itoa(i) != token {
				return nil
			}
			value = in[i]
		default:
			return nil
		}
	}
	return value
}
