package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/crypto/acme"
)

// Options are the settings of certificates. Pairs, or ACME with hosts, must be there.
type Options struct {
	Pairs []Pair
	ACME  ACME
	Log   *slog.Logger     // nil: none
	Now   func() time.Time // nil: time.Now

	// Quiet is how long files must stay as they are after a change before they are read: a
	// certificate and its key are seldom replaced at once. 0: half a second.
	Quiet time.Duration

	// Look is how often files are looked at that nothing was told of. 0: a minute.
	Look time.Duration

	watch func() (*fsnotify.Watcher, error) // nil: fsnotify.NewWatcher
}

// Certificates are those of one tracker. All methods may be called concurrently.
type Certificates struct {
	options Options
	acme    *issued // nil: none

	mu     sync.Mutex // of who reads files
	pairs  []*pair
	shown  atomic.Pointer[[]*tls.Certificate] // of pairs, in their order
	broken atomic.Bool                        // one of the files is, at the moment
	failed atomic.Uint64
	warned map[string]time.Time // when each was said to expire, by what it is called
	ends   map[string]time.Time // when each by ACME does, by its name
}

// Open reads the pairs, and what ACME has brought before.
func Open(o Options) (*Certificates, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Quiet <= 0 {
		o.Quiet = 500 * time.Millisecond
	}
	if o.Look <= 0 {
		o.Look = time.Minute
	}
	if o.watch == nil {
		o.watch = fsnotify.NewWatcher
	}
	c := &Certificates{options: o, warned: map[string]time.Time{}, ends: map[string]time.Time{}}
	use, err := c.Read(o.Pairs)
	if err != nil {
		return nil, err
	}
	use()
	if len(o.ACME.Hosts) > 0 {
		if c.acme, err = newIssued(&o); err != nil {
			return nil, err
		}
	}
	if c.acme == nil && len(o.Pairs) == 0 {
		return nil, errors.New("there is no certificate: name its file and that of its key, or hosts for ACME")
	}
	return c, nil
}

// Config returns what a server of HTTP needs to know of TLS: HTTP/2 and HTTP/1.1.
func (c *Certificates) Config() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
	if c.acme != nil {
		config.NextProtos = append(config.NextProtos, acme.ALPNProto)
	}
	return config
}

// Challenges answers the questions of HTTP-01 below /.well-known/acme-challenge/; nil: nobody asks.
func (c *Certificates) Challenges() http.Handler {
	if c.acme == nil {
		return nil
	}
	return c.acme.challenges()
}

// get returns the certificate for a handshake.
func (c *Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.acme != nil {
		if cert, err := c.acme.get(hello); cert != nil || err != nil {
			return cert, err
		}
	}
	pairs := *c.shown.Load()
	for _, cert := range pairs {
		if hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	if len(pairs) > 0 {
		return pairs[0], nil
	}
	return c.acme.any()
}

// Run keeps the certificates as good as they can be, until ctx ends.
func (c *Certificates) Run(ctx context.Context) {
	var issuing sync.WaitGroup
	if c.acme != nil {
		issuing.Go(func() { c.acme.run(ctx) })
	}
	c.watch(ctx)
	issuing.Wait()
}

// Figures tell how the certificates are.
type Figures struct {
	Healthy      bool   // no file is broken at the moment, and no host is without a certificate
	Failures     uint64 // files that could not be read, and certificates that were not issued, since the beginning
	Certificates []Validity
}

// Validity is how long a certificate is good.
type Validity struct {
	Name                string // the first that it is for
	Source              string // the file that it is from, or acmeSource
	NotBefore, NotAfter time.Time
}

// acmeSource is what a certificate is from that an authority has issued by ACME.
const acmeSource = "acme"

// Figures returns how it is now.
func (c *Certificates) Figures() Figures {
	f := Figures{Healthy: !c.broken.Load(), Failures: c.failed.Load()}
	c.mu.Lock()
	for _, p := range c.pairs {
		f.Certificates = append(f.Certificates, validity(p.certificate, p.files.Certificate))
	}
	c.mu.Unlock()
	if c.acme != nil {
		all := c.acme.valid()
		f.Certificates = append(f.Certificates, all...)
		f.Healthy = f.Healthy && len(all) == len(c.acme.hosts)
		f.Failures += c.acme.failures.Load()
	}
	return f
}

// Names returns the names that can be proven, without wildcards and addresses: those of the files, and
// then those of ACME.
func (c *Certificates) Names() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pairs {
		names = append(names, p.certificate.Leaf.DNSNames...)
	}
	if c.acme != nil {
		names = append(names, c.acme.hosts...)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again || strings.HasPrefix(name, "*.")
	})
}

func validity(cert *tls.Certificate, source string) Validity {
	v := Validity{Source: source, NotBefore: cert.Leaf.NotBefore, NotAfter: cert.Leaf.NotAfter, Name: cert.Leaf.Subject.CommonName}
	switch {
	case len(cert.Leaf.DNSNames) > 0:
		v.Name = cert.Leaf.DNSNames[0]
	case len(cert.Leaf.IPAddresses) > 0:
		v.Name = cert.Leaf.IPAddresses[0].String()
	}
	return v
}

// soon is when a certificate that nobody has renewed deserves a warning: two weeks before it ends,
// or when a quarter of its life is left if that is later.
func (v *Validity) soon() time.Time {
	return v.NotAfter.Add(-min(14*24*time.Hour, v.NotAfter.Sub(v.NotBefore)/4))
}

// warnAgain is how often a certificate that ends soon is told of.
const warnAgain = 24 * time.Hour

// warn tells of certificates that end soon, or have ended.
func (c *Certificates) warn() {
	now := c.options.Now()
	for _, v := range c.Figures().Certificates {
		c.renewed(&v)
		id := fmt.Sprint(v.Source, v.Name, v.NotAfter.Unix())
		if last, told := c.warned[id]; told && now.Sub(last) < warnAgain {
			continue
		}
		attributes := []any{"name", v.Name, "source", v.Source, "expires", v.NotAfter.UTC()}
		switch {
		case !now.Before(v.NotAfter):
			c.options.Log.Error("a certificate has expired: clients refuse it until it is renewed", attributes...)
		case now.Before(v.NotBefore):
			c.options.Log.Error("a certificate is not valid yet: look whether the clock of this machine is right", append(attributes, "begins", v.NotBefore.UTC())...)
		case !now.Before(v.soon()):
			c.options.Log.Warn("a certificate expires soon and was not renewed: look at what renews it", attributes...)
		default:
			continue
		}
		c.warned[id] = now
	}
}

// renewed tells of a certificate by ACME that has taken the place of another, which autocert does in silence.
func (c *Certificates) renewed(v *Validity) {
	if v.Source != acmeSource {
		return
	}
	if before, known := c.ends[v.Name]; known && v.NotAfter.After(before) {
		c.options.Log.Info("a certificate was renewed", "name", v.Name, "expires", v.NotAfter.UTC())
	}
	c.ends[v.Name] = v.NotAfter
}
