package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACME says which authority issues certificates, and for whom. Agree must be true, and Directory,
// Hosts and Cache be there.
type ACME struct {
	Directory string   // URL
	Hosts     []string // each gets a certificate of its own
	Email     string   // that the authority may write to; "": none
	Cache     string   // folder of keys and certificates
	Roots     string   // file of those who vouch for the directory, beside those of the system; "": none
	Agree     bool     // to the authority's terms
}

// issued are certificates of an authority.
type issued struct {
	hosts    []string
	manager  *autocert.Manager
	http     *ending
	log      *slog.Logger
	now      func() time.Time
	failures atomic.Uint64

	mu    sync.Mutex
	ready map[string]bool // hosts whose certificates autocert has, and keeps renewed
}

func newIssued(o *Options) (*issued, error) {
	a := &o.ACME
	if !a.Agree {
		return nil, fmt.Errorf("%s issues certificates to those who agree to its terms", a.Directory)
	}
	transport, err := transportTo(a.Roots)
	if err != nil {
		return nil, err
	}
	i := &issued{http: newEnding(transport, o.Log), log: o.Log, now: o.Now, ready: map[string]bool{}}
	for _, host := range a.Hosts {
		i.hosts = append(i.hosts, strings.ToLower(host))
	}
	i.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(a.Cache),
		HostPolicy: autocert.HostWhitelist(i.hosts...),
		Email:      a.Email,
		Client: &acme.Client{
			DirectoryURL: a.Directory, HTTPClient: &http.Client{Transport: i.http, Timeout: time.Minute},
			UserAgent: "waggle", RetryBackoff: i.http.backOff,
		},
	}
	for _, host := range i.hosts {
		if i.cached(host) {
			if err := i.obtain(host); err != nil {
				return nil, err
			}
		}
	}
	return i, nil
}

// transportTo returns what asks a directory that roots vouch for.
func transportTo(roots string) (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if roots == "" {
		return transport, nil
	}
	pem, err := readFile(roots)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", roots)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// cached reports whether the cache has a certificate that can still be used, which autocert then
// takes without asking anybody.
func (i *issued) cached(host string) bool {
	data, err := i.manager.Cache.Get(context.Background(), host)
	if err != nil {
		return false
	}
	cert, err := tls.X509KeyPair(data, data)
	return err == nil && cert.Leaf.VerifyHostname(host) == nil && i.now().Before(cert.Leaf.NotAfter) && i.now().After(cert.Leaf.NotBefore)
}

// ask is a handshake that wants the certificate of a host. It can check ECDSA: a client that cannot
// would make autocert ask for another one, of RSA, for whoever claims to be so old.
func ask(host string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: host, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
}

// obtain has autocert get the certificate of a host, and keep it renewed.
func (i *issued) obtain(host string) error {
	if _, err := i.manager.GetCertificate(ask(host)); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ready[host] = true
	return nil
}

func (i *issued) isReady(host string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ready[host]
}

// get returns the certificate of a host, or the answer to the authority's question; nil: the host is
// none of ours, or has none yet.
func (i *issued) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return i.manager.GetCertificate(hello)
	}
	host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if !i.isReady(host) {
		return nil, nil
	}
	return i.manager.GetCertificate(ask(host))
}

// any returns the certificate of the first host that has one, so that a client that asked for another
// name, or for none, can say what is wrong.
func (i *issued) any() (*tls.Certificate, error) {
	for _, host := range i.hosts {
		if i.isReady(host) {
			return i.manager.GetCertificate(ask(host))
		}
	}
	return nil, errors.New("no certificate was issued yet")
}

// valid returns how long the certificates that there are will be good.
func (i *issued) valid() (all []Validity) {
	for _, host := range i.hosts {
		if !i.isReady(host) {
			continue
		}
		if cert, err := i.manager.GetCertificate(ask(host)); err == nil {
			all = append(all, validity(cert, acmeSource))
		}
	}
	return all
}

// How long to wait after an attempt that failed: twice as long each time, up to an hour. Public
// authorities refuse those who fail five times an hour, and autocert makes none within a minute.
const (
	firstPause = 2 * time.Minute
	lastPause  = time.Hour
)

// run gets the certificates that are not there, until ctx ends. What is there autocert renews.
func (i *issued) run(ctx context.Context) {
	defer i.http.end()
	defer context.AfterFunc(ctx, i.http.end)()
	missing := slices.DeleteFunc(slices.Clone(i.hosts), i.isReady)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		missing = slices.DeleteFunc(missing, func(host string) bool { return i.attempt(ctx, host, pause) })
		if len(missing) == 0 {
			<-ctx.Done()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// attempt reports whether a host got its certificate.
func (i *issued) attempt(ctx context.Context, host string, pause time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	began := i.now()
	if err := i.obtain(host); err != nil {
		if ctx.Err() == nil {
			i.failures.Add(1)
			i.log.Error("no certificate was issued: the authority must reach this tracker under that name, at port 443 by TLS or at port 80 by HTTP",
				"host", host, "next_try_in", pause, "error", err)
		}
		return false
	}
	i.log.Info("a certificate was issued", "host", host, "took", i.now().Sub(began).Round(time.Millisecond))
	return true
}

// challenges leaves out the port, by which autocert would not know a host.
func (i *issued) challenges() http.Handler {
	answer := i.manager.HTTPHandler(http.NotFoundHandler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r.Host = host
		}
		answer.ServeHTTP(w, r)
	})
}

// ending is a transport that can be ended: autocert has no context of ours. It logs what the authority
// says of a proof that failed, which autocert keeps to itself.
type ending struct {
	*http.Transport
	log     *slog.Logger
	context context.Context
	cancel  context.CancelFunc
}

func newEnding(t *http.Transport, log *slog.Logger) *ending {
	e := &ending{Transport: t, log: log}
	e.context, e.cancel = context.WithCancel(context.Background())
	return e
}

func (e *ending) end() {
	e.cancel()
	e.CloseIdleConnections()
}

// RoundTrip is of [http.RoundTripper].
func (e *ending) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(e.context, cancel)
	response, err := e.Transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	e.tell(response)
	response.Body = &lastRead{response.Body, func() { stop(); cancel() }}
	return response, nil
}

// lastRead is the body of an answer, whose request ends when it is closed.
type lastRead struct {
	io.ReadCloser
	end func()
}

// Close is of [io.Closer].
func (l *lastRead) Close() error {
	defer l.end()
	return l.ReadCloser.Close()
}

// maxProof is more than an authority says of the proofs of one name, in bytes.
const maxProof = 64 << 10

// tell logs the proofs that failed, where that is what an answer is about. It can be read as before.
func (e *ending) tell(response *http.Response) {
	body := response.Body
	head, err := io.ReadAll(io.LimitReader(body, maxProof))
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), body), body}
	var proofs struct {
		Identifier struct{ Value string }
		Challenges []struct {
			Type   string
			Status string
			Error  struct{ Detail string }
		}
	}
	if err != nil || json.Unmarshal(head, &proofs) != nil {
		return
	}
	for _, p := range proofs.Challenges {
		if p.Status == acme.StatusInvalid {
			e.log.Warn("the authority could not see that a name is this tracker's", "host", proofs.Identifier.Value, "how", p.Type, "error", p.Error.Detail)
		}
	}
}

// backOff says how long to wait before a request is made again: not at all, once it has ended.
func (e *ending) backOff(n int, _ *http.Request, _ *http.Response) time.Duration {
	if e.context.Err() != nil {
		return -1
	}
	return min(time.Second<<min(n, 4), 10*time.Second)
}
