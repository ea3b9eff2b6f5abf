package locality

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// web asks a web service for JSON.
type web struct {
	client    *http.Client
	tokenFile string // "": no token
}

// newWeb makes a web whose servers are known by the certificates in a file, or by those of the
// system if caFile is "".
func newWeb(tokenFile, caFile string) (*web, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	transport.MaxResponseHeaderBytes = 64 << 10
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &web{client: &http.Client{Transport: transport}, tokenFile: tokenFile}, nil
}

// errNotFound is the error of get where the answer has status 404.
var errNotFound = errors.New("not found")

// get is the body of the answer to a GET. It is at most limit bytes long.
func (w *web) get(ctx context.Context, address string, limit int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, reasonOf(err)
	}
	request.Header.Set("Accept", "application/json")
	if w.tokenFile != "" {
		token, err := readToken(w.tokenFile)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	tellTrace(ctx, request)
	shown := withoutSecrets(address)
	response, err := w.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown, reasonOf(err))
	}
	noteStatus(ctx, response.StatusCode)
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, errNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("%s answers %s; see whether its token may read this", shown, printableStatus(response))
	default:
		return nil, fmt.Errorf("%s answers %s", shown, printableStatus(response))
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, rubbish("%s answers with more than %d bytes", shown, limit)
	}
	return body, nil
}

// withoutSecrets is a URL without a password, and without its query, where a key may stand.
func withoutSecrets(address string) string {
	shown, _, _ := strings.Cut(address, "?")
	scheme, rest, ok := strings.Cut(shown, "://")
	if !ok {
		return shown
	}
	authority, path, slash := strings.Cut(rest, "/")
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	if slash {
		path = "/" + path
	}
	return scheme + "://" + host + path
}

// reasonOf is why a request failed, without its URL.
func reasonOf(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func printableStatus(r *http.Response) string {
	return fmt.Sprintf("%d %s", r.StatusCode, http.StatusText(r.StatusCode))
}

// readToken reads a token from the first line of a file.
func readToken(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return "", fmt.Errorf("token: %s is not one line", file)
	}
	return token, nil
}

func (w *web) close() { w.client.CloseIdleConnections() }
