package carrier

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"path/filepath"
	"sync"
	"time"

	"waggle/wholefile"
)

// A certificate of a hub is good for certificateLife, from a day before it was made, so
// that a leaf whose clock is behind takes it too. It is made again when less than
// certificateRest of that is left, and at each start.
const (
	certificateLife = 90 * 24 * time.Hour
	certificateRest = 30 * 24 * time.Hour
)

const keyRemedy = "delete it: the hub then makes another key, and every leaf must be invited anew"

// identity is a hub's key and the certificate that shows it.
type identity struct {
	key ed25519.PrivateKey

	mu          sync.Mutex
	certificate *tls.Certificate
}

func keyPath(dir string) string { return filepath.Join(dir, "hub.key") }

// openIdentity reads the key in dir, or makes one where there is none.
func openIdentity(dir string) (*identity, error) {
	var id *identity
	err := locked(dir, func() (err error) {
		id, err = readIdentity(dir)
		if errors.Is(err, fs.ErrNotExist) {
			id, err = makeIdentity(dir)
		}
		return err
	})
	return id, err
}

func makeIdentity(dir string) (*identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return &identity{key: key}, wholefile.Write(keyPath(dir), block)
}

func readIdentity(dir string) (*identity, error) {
	b, err := readFile(keyPath(dir))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, damaged(keyPath(dir), keyRemedy)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, damaged(keyPath(dir), keyRemedy)
	}
	return &identity{key: key}, nil
}

// pin is what leaves know the hub by.
func (id *identity) pin() (string, error) {
	der, err := x509.MarshalPKIXPublicKey(id.key.Public())
	return pinOf(der), err
}

// pinOf returns the pin of a public key, as it is in a certificate.
func pinOf(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}

// current returns a certificate that is good at a time, and for a good while after.
func (id *identity) current(now time.Time) (*tls.Certificate, error) {
	id.mu.Lock()
	defer id.mu.Unlock()
	if c := id.certificate; c != nil && now.After(c.Leaf.NotBefore) && c.Leaf.NotAfter.Sub(now) > certificateRest {
		return c, nil
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "hub of waggle links"},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, id.key.Public(), id.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	id.certificate = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: id.key, Leaf: leaf}
	return id.certificate, nil
}

// tlsOfHub is how a hub shows itself.
func tlsOfHub(id *identity, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return id.current(now())
		},
	}
}

// errPin is that another key than the invitation's answered.
var errPin = &Refusal{"the one who answers is not the hub that invited: its key is another. " +
	"Check the address; if the hub was set up anew, ask its owner for a new invitation and join again; " +
	"else somebody may be in between"}

// tlsToHub is how a leaf knows its hub. What was wrong is left in the error that
// failed points to, as a library in between may lose it.
func tlsToHub(pin string, now func() time.Time, failed func(error)) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // the chain and the name: the key itself is known
		VerifyConnection: func(state tls.ConnectionState) error {
			err := verifyHub(pin, state.PeerCertificates, now())
			if err != nil {
				failed(err)
			}
			return err
		},
	}
}

func verifyHub(pin string, chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 || pinOf(chain[0].RawSubjectPublicKeyInfo) != pin {
		return errPin
	}
	from, to := chain[0].NotBefore, chain[0].NotAfter
	if now.Before(from) || now.After(to) {
		return &CertificateError{From: from, To: to, Now: now}
	}
	return nil
}

// CertificateError is that a hub's certificate is not good at the leaf's time.
type CertificateError struct{ From, To, Now time.Time }

// Error names the times and the remedy.
func (e *CertificateError) Error() string {
	const format = "2006-01-02 15:04 MST"
	what := "has expired"
	if e.Now.Before(e.From) {
		what = "is not good yet"
	}
	return fmt.Sprintf("the hub's certificate %s: it is good from %s to %s, and here it is %s. "+
		"Set the clocks of both machines; where they are right, restart the hub, which makes a new certificate",
		what, e.From.UTC().Format(format), e.To.UTC().Format(format), e.Now.UTC().Format(format))
}
