package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"waggle/certificate"
	"waggle/config"
	"waggle/frontend/http"
)

// openCertificates reads what this tracker proves its names with. Where nothing speaks TLS, there is
// nothing.
func (s *service) openCertificates() (err error) {
	t := &s.config.TLS
	if !t.On() {
		return nil
	}
	s.certificates, err = certificate.Open(certificate.Options{
		Pairs: pairs(*t),
		ACME: certificate.ACME{
			Directory: string(t.ACMEDirectory), Hosts: hostNames(t.ACMEHosts), Email: t.ACMEEmail,
			Cache: string(t.ACMECache), Roots: string(t.ACMERoots), Agree: t.ACMEAgree,
		},
		Log: s.log,
	})
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return nil
}

// pairs returns the files of certificates, that of tls.certificate first.
func pairs(t config.TLS) []certificate.Pair {
	var all []certificate.Pair
	if t.Certificate != "" {
		all = append(all, certificate.Pair{Certificate: string(t.Certificate), Key: string(t.Key)})
	}
	for _, o := range t.Others {
		all = append(all, certificate.Pair{Certificate: string(o.Certificate), Key: string(o.Key)})
	}
	return all
}

func hostNames(names []config.HostName) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return out
}

// overTLS adds what a frontend needs for TLS.
func (s *service) overTLS(o http.Options) http.Options {
	if s.certificates != nil {
		o.Secure, o.TLS, o.Challenges = texts(s.config.Listen.HTTPS), s.certificates.Config(), s.certificates.Challenges()
	}
	return o
}

// keepCertificates keeps them as good as they can be, until ctx ends.
func (s *service) keepCertificates(ctx context.Context) {
	if s.certificates != nil {
		s.certificates.Run(ctx)
	}
}

// reloadCertificates reads the files again, which may be others now, and returns what puts them into force.
func (s *service) reloadCertificates(t config.TLS) (use func(), err error) {
	if s.certificates == nil || !t.On() {
		return func() {}, nil
	}
	if use, err = s.certificates.Read(pairs(t)); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return use, nil
}

// startedWith returns what of TLS cannot change while running.
func (s *service) startedWith(t config.TLS) config.TLS {
	if s.certificates != nil && t.On() {
		t.Certificate, t.Key, t.Others = "", "", nil
	}
	return t
}

// secureURLs returns the URLs of a scheme under which clients reach what speaks TLS: by the names that
// are proven, and by addresses where there is no name.
func (s *service) secureURLs(scheme string) []string {
	addrs := s.http.SecureAddrs()
	if len(addrs) == 0 {
		return nil
	}
	names := s.certificates.Names()
	if len(names) == 0 {
		return announceURLs(scheme, addrs)
	}
	var urls []string
	for _, a := range addrs {
		for _, name := range names {
			urls = append(urls, scheme+"://"+hostAndPort(name, a)+"/announce")
		}
	}
	return urls
}

// hostAndPort leaves out the port that everybody knows.
func hostAndPort(name string, a netip.AddrPort) string {
	if a.Port() == 443 {
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(a.Port())))
}

// consoleURL returns where the console is.
func (s *service) consoleURL() string {
	if s.config.TLS.Console {
		return "https://" + s.console.Addr().String()
	}
	return "http://" + s.console.Addr().String()
}
