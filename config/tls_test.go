package config

import (
	"strings"
	"testing"
)

func TestMistakesOfTLSAreReportedWithTheRemedy(t *testing.T) {
	const files, acme = "certificate: a.pem, key: a.key", "acme_hosts: [tracker.example], acme_agree: true"
	for file, want := range map[string]string{
		"listen: {https: [':443']}":                                                       "1: listen.https needs a certificate: set tls.certificate",
		"tls: {console: true}":                                                            "1: tls.console needs a certificate",
		"tls: {" + files + "}":                                                            "1: tls.certificate is used by nobody: set listen.https",
		"tls: {" + acme + "}":                                                             "1: tls.acme_hosts is used by nobody",
		"tls: {certificate: a.pem, console: true}":                                        "tls.certificate needs tls.key",
		"tls: {key: a.key}":                                                               "tls.key needs tls.certificate",
		"tls: {" + acme + ", others: ['b:c'], console: true}":                             "tls.others needs tls.certificate",
		"tls: {" + files + ", others: [b], console: true}":                                "tls.others wants two files such as b.example.pem:b.example.key, not",
		"tls: {acme_hosts: [tracker.example], console: true}":                             "tls.acme_hosts needs tls.acme_agree: read the terms of the authority at https://acme-v02",
		"tls: {acme_hosts: ['*.tracker.example'], acme_agree: true, console: true}":       "name each host, or use tls.certificate",
		"tls: {acme_hosts: [192.0.2.1], acme_agree: true, console: true}":                 "an address is no name",
		"tls: {acme_hosts: [tracker], acme_agree: true, console: true}":                   "tls.acme_hosts wants a full name such as tracker.example.org",
		"tls: {acme_hosts: ['tracker.example:443'], acme_agree: true, console: true}":     "leave out the port",
		"tls: {acme_hosts: ['https://tracker.example'], acme_agree: true, console: true}": "leave out what stands before ://",
		"tls: {" + acme + ", acme_directory: 'http://ca.example/dir', console: true}":     "tls.acme_directory begins with https://",
		"tls: {" + acme + ", acme_cache: '', console: true}":                              "tls.acme_cache needs a folder",
		"tls: {" + acme + ", acme_email: admin, console: true}":                           "tls.acme_email is an address such as",
		"listen: {http: [':443'], https: [':443']}\ntls: {" + files + "}":                 "1: listen.https and listen.http are both at :443",
		"access: {proxy_protocol: [10.0.0.1/8]}":                                          "write the network 10.0.0.0/8",
		"access: {proxy_protocol_udp: [cloudflare]}":                                      "access.proxy_protocol_udp wants an address, or a network",
	} {
		if _, err := read(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
	for _, file := range []string{
		"listen: {https: [':443']}\ntls: {" + files + ", others: ['b.pem:b.key']}",
		"listen: {http: [':0'], https: [':0']}\ntls: {" + acme + "}",
		"tls: {" + files + ", " + acme + ", console: true}",
	} {
		if _, err := read(file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestHostNamesAreKeptInLowerCase(t *testing.T) {
	c, err := read("tls: {acme_hosts: [Tracker.Example], acme_agree: true, console: true}")
	if err != nil || len(c.TLS.ACMEHosts) != 1 || c.TLS.ACMEHosts[0] != "tracker.example" {
		t.Errorf("%v, %v", c.TLS.ACMEHosts, err)
	}
}
