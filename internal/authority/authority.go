// Package authority issues certificates for tests.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is one that nobody trusts but who has its Roots.
type Authority struct {
	Roots       *x509.CertPool
	Certificate []byte // of Roots, in PEM

	own *x509.Certificate
	key *ecdsa.PrivateKey
}

// New makes an authority.
func New(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{Roots: x509.NewCertPool(), key: newKey(tb)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * 365 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.Certificate, a.own = sign(tb, template, template, a.key, a.key)
	a.Roots.AddCert(a.own)
	return a
}

// Issue makes a certificate that is good from a time on for so long, and its key, in PEM. Names may be
// addresses.
func (a *Authority) Issue(tb testing.TB, from time.Time, lifetime time.Duration, names ...string) (certificate, key []byte) {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: from, NotAfter: from.Add(lifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	own := newKey(tb)
	certificate, _ = sign(tb, template, a.own, own, a.key)
	der, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		tb.Fatal(err)
	}
	return certificate, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Today makes a certificate that is good since an hour and for a quarter of a year.
func (a *Authority) Today(tb testing.TB, names ...string) (certificate, key []byte) {
	tb.Helper()
	return a.Issue(tb, time.Now().Add(-time.Hour), 90*24*time.Hour, names...)
}

// Write writes a certificate of today and its key to files of a folder, in the place of those that are
// there.
func (a *Authority) Write(tb testing.TB, folder string, names ...string) (certificate, key string) {
	tb.Helper()
	c, k := a.Today(tb, names...)
	certificate, key = filepath.Join(folder, "fullchain.pem"), filepath.Join(folder, "privkey.pem")
	for path, data := range map[string][]byte{certificate: c, key: k} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return certificate, key
}

// Config makes that of a server with a certificate of today.
func (a *Authority) Config(tb testing.TB, names ...string) *tls.Config {
	tb.Helper()
	pair, err := tls.X509KeyPair(a.Today(tb, names...))
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func sign(tb testing.TB, template, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) ([]byte, *x509.Certificate) {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, byKey)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), made
}
