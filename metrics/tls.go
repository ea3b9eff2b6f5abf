package metrics

import (
	"time"

	"waggle/certificate"
)

// ofTLS are those of certificates, and of who asks for them.
var ofTLS = absentWhere(func(s *Snapshot) bool { return s.TLS == nil }, []Metric{
	{
		Name: "waggle_tls_handshakes_total", Type: Counter, Labels: []string{"result"},
		Help: "Handshakes at listen.https, by result: done or failed",
		collect: func(s *Snapshot, e *emitter) {
			e.count(s.HTTP.Figures.Handshakes, "done")
			e.count(s.HTTP.Figures.FailedHandshakes, "failed")
		},
	},
	ofCertificates("waggle_tls_certificate_expires_seconds", "When a certificate expires, in seconds of Unix; name is the first that it is for, source its file or acme",
		func(v *certificate.Validity) time.Time { return v.NotAfter }),
	ofCertificates("waggle_tls_certificate_begins_seconds", "Since when a certificate is good, in seconds of Unix",
		func(v *certificate.Validity) time.Time { return v.NotBefore }),
	{
		Name: "waggle_tls_certificates_healthy", Type: Gauge, Unit: truth,
		Help:    "0 while a file of a certificate is broken, and an older one is used in its place, or while a name of tls.acme_hosts has none",
		collect: func(s *Snapshot, e *emitter) { e.value(zeroOrOne(s.TLS.Healthy)) },
	},
	{
		Name: "waggle_tls_certificate_failures_total", Type: Counter,
		Help:    "Certificates that could not be read, or were not issued",
		collect: func(s *Snapshot, e *emitter) { e.count(s.TLS.Failures) },
	},
})

// ofCertificates makes a metric of which each certificate has a series.
func ofCertificates(name, help string, read func(*certificate.Validity) time.Time) Metric {
	return Metric{Name: name, Type: Gauge, Unit: inSeconds, Labels: []string{"name", "source"}, Help: help, collect: func(s *Snapshot, e *emitter) {
		seen := map[[2]string]bool{} // one file may be there twice
		for i := range s.TLS.Certificates {
			v := &s.TLS.Certificates[i]
			if id := [2]string{v.Name, v.Source}; !seen[id] {
				seen[id] = true
				e.value(float64(read(v).Unix()), v.Name, v.Source)
			}
		}
	}}
}
