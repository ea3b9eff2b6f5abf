package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"waggle/bittorrent"
	"waggle/errno"
	"waggle/torrent"
)

// MediaType is that of a .torrent.
const MediaType = "application/x-bittorrent"

// ProblemType is the media type of a [Problem].
const ProblemType = "application/problem+json"

// MaxPage is how many entries a page has at most.
const MaxPage = 1000

// maxAnswer bounds an answer in bytes; the largest is a .torrent, and a page is
// much smaller.
const maxAnswer = torrent.MaxFileSize

// largeBody is how many bytes are sent before the tracker has said that it wants
// them: a server that refuses more cuts the connection, and its reason may be lost.
const largeBody = 64 << 10

// Problem is an answer that says what is wrong (RFC 9457).
type Problem struct {
	Status   int    `json:"status"` // of HTTP
	Title    string `json:"title"`
	Detail   string `json:"detail"`
	InfoHash string `json:"info_hash"` // of the torrent that is in the way, where one is
	Errors   []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// Error returns what is wrong, in one line.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		text += "; " + strings.TrimSpace(e.Location+" "+e.Message)
	}
	return text
}

// ErrNobody says that no tracker listens.
var ErrNobody = errors.New("nobody listens there; start a tracker with waggle serve, or name the address of its console")

// Client asks one tracker. All methods may be called concurrently. Their errors
// are a [*Problem] of the tracker's, wrap [ErrNobody], or are those of the network;
// each begins with the URL.
type Client struct {
	base  *url.URL
	token string
	http  http.Client
}

// New returns a client of the console at a URL such as http://127.0.0.1:6970. The
// token is that of an account or of console.token_file, or "".
func New(console, token string) (*Client, error) {
	base, err := url.Parse(console)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("%q is no URL of a console; write it like http://127.0.0.1:6970", console)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 2 * time.Minute
	return &Client{base: base.JoinPath("api", "v1"), token: token, http: http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("a tracker sends nobody elsewhere: name its own address")
		},
	}}, nil
}

// Trust believes a console that one of these vouches for, in place of those that the system trusts.
// It is to be called before anything is asked.
func (c *Client) Trust(roots *x509.CertPool) {
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// Close closes connections that are kept.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Upload gives the tracker a .torrent under a file name that ends in .torrent. If
// the tracker knows the torrent, the error is a [*Problem] of status 409 that has
// its InfoHash.
func (c *Client) Upload(ctx context.Context, file string, metainfo []byte) (Uploaded, error) {
	return c.UploadWithProfile(ctx, file, metainfo, "")
}

// UploadWithProfile uploads a .torrent that has a profile of locality for itself; "":
// the tracker's.
func (c *Client) UploadWithProfile(ctx context.Context, file string, metainfo []byte, profile string) (Uploaded, error) {
	query := url.Values{"file": {file}}
	if profile != "" {
		query.Set("profile", profile)
	}
	var t Uploaded
	err := c.json(ctx, http.MethodPost, c.url("torrents", query), metainfo, &t)
	return t, err
}

// Torrent returns the .torrent of a transfer.
func (c *Client) Torrent(ctx context.Context, h bittorrent.InfoHash) ([]byte, error) {
	return c.do(ctx, http.MethodGet, c.url("torrents/"+h.String(), nil), nil)
}

// Delete removes a torrent, and its file where it came from the directory.
func (c *Client) Delete(ctx context.Context, h bittorrent.InfoHash) error {
	_, err := c.do(ctx, http.MethodDelete, c.url("torrents/"+h.String(), nil), nil)
	return err
}

// Transfer returns a transfer as it is now.
func (c *Client) Transfer(ctx context.Context, h bittorrent.InfoHash) (Transfer, error) {
	var t Transfer
	err := c.json(ctx, http.MethodGet, c.url("transfers/"+h.String(), nil), nil, &t)
	return t, err
}

// Activate begins to distribute a torrent again.
func (c *Client) Activate(ctx context.Context, h bittorrent.InfoHash) (Transfer, error) {
	var t Transfer
	err := c.json(ctx, http.MethodPost, c.url("transfers/"+h.String()+"/activate", nil), nil, &t)
	return t, err
}

// Deactivate ends the distribution of a torrent, which stays known.
func (c *Client) Deactivate(ctx context.Context, h bittorrent.InfoHash) (Transfer, error) {
	var t Transfer
	err := c.json(ctx, http.MethodPost, c.url("transfers/"+h.String()+"/deactivate", nil), nil, &t)
	return t, err
}

// SetProfile gives a transfer a profile of locality for itself; "": the tracker's.
func (c *Client) SetProfile(ctx context.Context, h bittorrent.InfoHash, profile string) (Transfer, error) {
	body, err := json.Marshal(Edit{Profile: profile})
	if err != nil {
		return Transfer{}, err
	}
	var t Transfer
	err = c.json(ctx, http.MethodPatch, c.url("transfers/"+h.String(), nil), body, &t)
	return t, err
}

// Transfers returns all transfers, by name.
func (c *Client) Transfers(ctx context.Context) ([]Transfer, error) {
	return collect(c.eachTransfer(ctx, ""))
}

// Named returns the transfers whose torrent, or .torrent file, has a name.
func (c *Client) Named(ctx context.Context, name string) ([]Transfer, error) {
	return collect(c.eachTransfer(ctx, name))
}

// eachTransfer yields all transfers, or those of a name, a page at a time. After an
// error there are no more.
func (c *Client) eachTransfer(ctx context.Context, name string) iter.Seq2[Transfer, error] {
	query := url.Values{}
	if name != "" {
		query.Set("name", name)
	}
	return pages(func(cursor string) ([]Transfer, string, error) {
		var page TransferPage
		err := c.page(ctx, "transfers", query, cursor, &page)
		return page.Transfers, page.Next, err
	})
}

// Peers returns the peers of a torrent, by address, whether it is listed or not.
func (c *Client) Peers(ctx context.Context, h bittorrent.InfoHash) ([]Peer, error) {
	return collect(c.eachPeer(ctx, "transfers/"+h.String()+"/peers", url.Values{}))
}

// AllPeers returns the peers of all torrents, by torrent and address.
func (c *Client) AllPeers(ctx context.Context) ([]Peer, error) {
	return collect(c.eachPeer(ctx, "peers", url.Values{}))
}

// PeersAt returns the peers of all torrents at an IP address, at one with its port, or in
// a network such as 10.1.0.0/16, by torrent and address. If the address is none of these,
// the error is a [*Problem] of status 422.
func (c *Client) PeersAt(ctx context.Context, address string) ([]Peer, error) {
	return collect(c.eachPeer(ctx, "peers", url.Values{"address": {address}}))
}

// eachPeer yields the peers that a query finds in a list of the API, a page at a time.
func (c *Client) eachPeer(ctx context.Context, list string, query url.Values) iter.Seq2[Peer, error] {
	return pages(func(cursor string) ([]Peer, string, error) {
		var page PeerPage
		err := c.page(ctx, list, query, cursor, &page)
		return page.Peers, page.Next, err
	})
}

// pages yields the entries of page after page.
func pages[T any](read func(cursor string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor, more := "", true; more; more = cursor != "" {
			var page []T
			var err error
			if page, cursor, err = read(cursor); err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

func collect[T any](all iter.Seq2[T, error]) ([]T, error) {
	list := []T{}
	for item, err := range all {
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

func (c *Client) page(ctx context.Context, list string, query url.Values, cursor string, page any) error {
	query.Set("limit", strconv.Itoa(MaxPage))
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return c.json(ctx, http.MethodGet, c.url(list, query), nil, page)
}

func (c *Client) url(path string, query url.Values) string {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	return u.String()
}

func (c *Client) json(ctx context.Context, method, url string, body []byte, into any) error {
	answer, err := c.do(ctx, method, url, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: it does not answer as waggle does: %w", c.base.Host, err)
	}
	return nil
}

// do returns the body of an answer.
func (c *Client) do(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		request.Header.Set("Content-Type", c.mediaOf(method, url))
	}
	if len(body) > largeBody {
		request.Header.Set("Expect", "100-continue")
	}
	response, err := c.http.Do(request)
	if errno.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%s://%s: %w", c.base.Scheme, c.base.Host, ErrNobody)
	}
	if err != nil {
		return nil, advised(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.base.Host, err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("%s: its answer has more than %d MiB", c.base.Host, maxAnswer>>20)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s: %w", c.base.Host, problem(response, answer))
	}
	return answer, nil
}

// advised returns a fault of a connection, which begins with method and URL, with what to do about it.
func advised(err error) error {
	if _, unproven := errors.AsType[*tls.CertificateVerificationError](err); unproven {
		return fmt.Errorf("%w: name the file of who vouches for it with --ca-file, or the host that it is for", err)
	}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") { // which has no type
		return fmt.Errorf("%w: it does not speak TLS there; write http:// in place of https://", err)
	}
	return err
}

// plainToSecure is what a server of TLS answers who does not speak it.
const plainToSecure = "Client sent an HTTP request to an HTTPS server."

// problem returns what an answer says is wrong.
func problem(response *http.Response, answer []byte) error {
	p := &Problem{Status: response.StatusCode, Title: response.Status}
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if media != ProblemType || json.Unmarshal(answer, p) != nil {
		if strings.Contains(string(answer), plainToSecure) {
			p.Detail = "it speaks TLS there; write https:// in place of http://"
			return p
		}
		p.Detail = fmt.Sprintf("it answered %s, and not as waggle does; is this the address of its console?", response.Status)
	}
	return p
}
