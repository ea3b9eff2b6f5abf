package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"waggle/internal/freeport"
)

// certificate writes one of 127.0.0.1 that is its own authority, and its key.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{{127, 0, 0, 1}}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", signed), write("key.pem", "PRIVATE KEY", secret)
}

func TestConnectionsAreEncryptedWhereTheURLSaysSo(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	port := freeport.For(t)
	n, err := launch(dir, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop()
	at := fmt.Sprintf("127.0.0.1:%d", port)
	s := opened(t, options(t, "rediss://"+at+"?ca="+url.QueryEscape(cert), "a"))
	do(t, s, leecher(hash(1, 1), 1))

	refused(t, options(t, "rediss://"+at, "a"), "?ca=")
	refused(t, options(t, "rediss://"+at+"?ca="+url.QueryEscape(key), "a"), "has no certificate")
	refused(t, options(t, "rediss://"+at+"?ca="+url.QueryEscape(filepath.Join(dir, "none")), "a"), "cannot be read")
	refused(t, options(t, "redis://"+at, "a"), "rediss://")
	o := options(t, "rediss://"+n.address(), "a")
	o.Timeout = 500 * time.Millisecond
	refused(t, o, "redis://")
}
