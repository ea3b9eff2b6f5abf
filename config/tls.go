package config

import (
	"errors"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// TLS says what proves the names of this tracker.
type TLS struct {
	// File of a certificate with its chain, in PEM. It is read again when it changes, or with the
	// configuration; a broken one is refused in the log, and the old one stays. Empty for none.
	Certificate Path `key:"certificate" default:""`

	// File of the key of tls.certificate, in PEM.
	Key Path `key:"key" default:""`

	// More certificates with their keys, for other names. Each is two files with a colon between them. A
	// client gets the first that is for the name it asks for, or else tls.certificate.
	Others []FilePair `key:"others" default:""`

	// Whether the console speaks TLS too. Then its address is https://127.0.0.1:6970.
	Console bool `key:"console" default:"false"`

	// Names that an authority is to issue certificates for, by ACME. It must reach this tracker under
	// each of them, at port 443 by listen.https or at port 80 by listen.http.
	ACMEHosts []HostName `key:"acme_hosts" default:""`

	// Whether you agree to the terms of the authority. Without, it issues nothing.
	ACMEAgree bool `key:"acme_agree" default:"false"`

	// URL of the authority's directory.
	ACMEDirectory URL `key:"acme_directory" default:"https://acme-v02.api.letsencrypt.org/directory"`

	// Address of mail that the authority may write to. Empty for none.
	ACMEEmail string `key:"acme_email" default:""`

	// Folder of what ACME needs from one start to the next. That is the key of the account, and
	// certificates with their keys.
	ACMECache Path `key:"acme_cache" default:"waggle-data/acme"`

	// File of certificates that vouch for an authority of your own. It is PEM, and they count beside
	// those that the system trusts. Empty for none.
	ACMERoots Path `key:"acme_roots" default:""`
}

// On reports whether there is a certificate, or will be one.
func (t *TLS) On() bool { return t.Certificate != "" || len(t.ACMEHosts) > 0 }

// FilePair is a certificate and its key.
type FilePair struct{ Certificate, Key Path }

// String is both with a colon between them.
func (p FilePair) String() string { return string(p.Certificate) + ":" + string(p.Key) }

func parseFilePair(text string) (FilePair, error) {
	certificate, key, _ := strings.Cut(text, ":")
	if certificate == "" || key == "" || strings.Contains(key, ":") {
		return FilePair{}, errShape
	}
	return FilePair{Path(certificate), Path(key)}, nil
}

// HostName is a name of this tracker in the DNS.
type HostName string

var fullName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
})

func parseHostName(text string) (HostName, error) {
	_, err := netip.ParseAddr(text)
	switch {
	case err == nil:
		return "", errors.New("an address is no name: authorities issue certificates for names")
	case strings.HasPrefix(text, "*."):
		return "", errors.New("a wildcard needs another kind of proof: name each host, or use tls.certificate")
	case strings.Contains(text, "://"):
		return "", errors.New("leave out what stands before ://, and a path")
	case strings.Contains(text, ":"):
		return "", errors.New("leave out the port: it is that of listen.https")
	case len(text) > 253 || !fullName().MatchString(text):
		return "", errShape
	}
	return HostName(strings.ToLower(text)), nil
}

// tls checks the rules of and between keys of TLS.
func (l *loader) tls() {
	c := &l.loaded.Config
	t := &c.TLS
	user, used := "listen.https", len(c.Listen.HTTPS) > 0
	if !used && t.Console {
		user, used = "tls.console", true
	}
	first := "tls.certificate"
	if t.Certificate == "" {
		first = "tls.acme_hosts"
	}
	for _, rule := range []struct {
		key    string
		broken bool
		words  string
	}{
		{"tls.certificate", t.Certificate != "" && t.Key == "" && !l.broken["tls.key"], "tls.certificate needs tls.key, the file of its key, which may be the same file"},
		{"tls.key", t.Key != "" && t.Certificate == "" && !l.broken["tls.certificate"], "tls.key needs tls.certificate, the file that it is the key of"},
		{"tls.others", len(t.Others) > 0 && t.Certificate == "", "tls.others needs tls.certificate, which is for those who ask for no name of theirs"},
		{user, used && !t.On() && !l.broken["tls.certificate"] && !l.broken["tls.acme_hosts"], user + " needs a certificate: set tls.certificate and tls.key to its files, or tls.acme_hosts to the names of this tracker"},
		{first, !used && t.On() && !l.broken["listen.https"], first + " is used by nobody: set listen.https to an address such as :443, or tls.console to true"},
		{"tls.acme_hosts", len(t.ACMEHosts) > 0 && !t.ACMEAgree, "tls.acme_hosts needs tls.acme_agree: read the terms of the authority at " + string(t.ACMEDirectory) + ", and set it to true if you agree to them"},
		{"tls.acme_directory", !strings.HasPrefix(string(t.ACMEDirectory), "https://"), "tls.acme_directory begins with https://: ACME is spoken over TLS alone"},
		{"tls.acme_cache", len(t.ACMEHosts) > 0 && t.ACMECache == "", "tls.acme_cache needs a folder: without one each start would ask for certificates anew, until the authority refuses"},
		{"tls.acme_email", t.ACMEEmail != "" && !strings.Contains(t.ACMEEmail, "@"), "tls.acme_email is an address such as admin@tracker.example"},
	} {
		if rule.broken {
			l.add(l.loaded.Sources[rule.key], "%s", rule.words)
		}
	}
	for _, a := range c.Listen.HTTPS {
		if _, port, _ := net.SplitHostPort(string(a)); port != "0" && slices.Contains(c.Listen.HTTP, a) {
			l.add(l.loaded.Sources["listen.https"], "listen.https and listen.http are both at %s: give one of them another port", a)
		}
	}
}
