package carrier

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Outside is a NATS that is there already, which hub and leaf are clients of. Who may
// publish what there is up to its owner: PREFIX.knock.NAME and PREFIX.up.NAME is for the
// leaf of that name to publish and for the hub to hear, PREFIX.down.NAME the reverse.
type Outside struct {
	// URL is tls://host:port, or nats://host:port, with a user and a password or a token
	// in it if the NATS wants those. TLS is demanded of both, except of nats:// on this
	// machine itself.
	URL string

	// Credentials is the path of a .creds file, or of one with the seed of an NKey; "":
	// none.
	Credentials string

	// Roots is the path of certificates in PEM that the NATS is known by; "": those that
	// the operating system trusts.
	Roots string

	// Prefix begins the subjects; "" is waggle.
	Prefix string
}

// host returns where the NATS is, without anything secret.
func (o *Outside) host() string {
	if u, err := url.Parse(o.URL); err == nil {
		return u.Host
	}
	return ""
}

// Check returns what is wrong with the settings; it reads the files. Errors do not hold
// the URL, which may have a password.
func (o *Outside) Check() error {
	_, err := o.options()
	return err
}

func (o *Outside) options() ([]nats.Option, error) {
	if err := o.checkPrefix(); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.Port() == "" || strings.ContainsAny(o.URL, ", ") {
		return nil, errors.New("the URL of the NATS cannot be read: it is tls://host:port or nats://host:port, before the host a user, a colon, a password and an @ if need be")
	}
	if u.Scheme != "tls" && u.Scheme != "nats" {
		return nil, fmt.Errorf("the URL of the NATS begins with %s: tls:// or nats:// are supported", cut(u.Scheme, 20))
	}
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	secure := func(options *nats.Options) error {
		options.Secure = u.Scheme == "tls" || !isHere(u.Hostname())
		options.TLSConfig = config // also where the NATS demands it
		return nil
	}
	who, err := o.who()
	return append(who, secure), err
}

func (o *Outside) checkPrefix() error {
	for _, token := range strings.Split(o.prefix(), ".") {
		if CheckName(token) != nil {
			return fmt.Errorf("%q cannot begin the subjects of links: letters of ASCII, digits, - and _ can, and dots between them", cut(o.Prefix, 80))
		}
	}
	return nil
}

func (o *Outside) prefix() string {
	if o.Prefix == "" {
		return ownPrefix
	}
	return o.Prefix
}

func isHere(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (o *Outside) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.Roots == "" {
		return config, nil
	}
	b, err := readFile(o.Roots)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", o.Roots)
	}
	return config, nil
}

// who returns the options that show who this is.
func (o *Outside) who() ([]nats.Option, error) {
	if o.Credentials == "" {
		return nil, nil
	}
	b, err := readFile(o.Credentials)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(b, []byte("BEGIN NATS USER JWT")) {
		return []nats.Option{nats.UserCredentialBytes(b)}, nil
	}
	pair, err := nkeys.ParseDecoratedNKey(b)
	if err != nil {
		return nil, fmt.Errorf("%s holds neither credentials of NATS nor the seed of an NKey", o.Credentials)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("%s holds no NKey that can be used", o.Credentials)
	}
	return []nats.Option{nats.Nkey(public, pair.Sign)}, nil
}

// open connects to the NATS.
func (o *Outside) open(ctx context.Context, dial Dial, p pace) (*wire, error) {
	options, err := o.options()
	if err != nil {
		return nil, err
	}
	w, err := openWire(ctx, dial, o.URL, p.answer, options...)
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return nil, &Refusal{"the NATS does not know this tracker: check the credentials, or the user and the password"}
	case errors.Is(err, nats.ErrSecureConnWanted):
		return nil, &Refusal{"the NATS offers no TLS, and links are always encrypted: turn TLS on there, or use one on this machine"}
	case err != nil:
		return nil, err
	case w.nc.MaxPayload() < pieceSize+dataHeader:
		w.close()
		return nil, &Refusal{fmt.Sprintf("the NATS takes payloads of at most %d bytes: allow %d there (max_payload)", w.nc.MaxPayload(), maxPayload)}
	}
	return w, nil
}
