package certificate

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"os"
)

// Pair names the files of a certificate with its chain, and of its key, both in PEM.
type Pair struct{ Certificate, Key string }

// maxFile bounds a file, in bytes. A long chain has a tenth of it.
const maxFile = 1 << 20

// pair is one that was good when it was read last.
type pair struct {
	files       Pair
	certificate *tls.Certificate
	sum         [sha256.Size]byte
	fault       string // what was wrong with the files since, as it was logged; "": nothing

	// What the files were at the look before.
	seenSum   [sha256.Size]byte
	seenFault string
}

// settled reports whether the files are as they were at the look before, or as they are in force: who writes them
// may be in the middle of it, and half of a chain is a certificate, too.
func (p *pair) settled(sum [sha256.Size]byte, err error) bool {
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	same := sum == p.sum && fault == "" && p.fault == "" || sum == p.seenSum && fault == p.seenFault
	p.seenSum, p.seenFault = sum, fault
	return same
}

// read reads the files. The sum is of their content.
func (p Pair) read() (cert *tls.Certificate, sum [sha256.Size]byte, err error) {
	certificate, err := readFile(p.Certificate)
	if err != nil {
		return nil, sum, err
	}
	key, err := readFile(p.Key)
	if err != nil {
		return nil, sum, err
	}
	h := sha256.New()
	_, _ = h.Write(certificate)
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(key)
	h.Sum(sum[:0])
	parsed, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, sum, fmt.Errorf("certificate %s with key %s: %w", p.Certificate, p.Key, err)
	}
	return &parsed, sum, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err // begins with the path
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s has more than %d KiB: is this a certificate or a key in PEM?", path, maxFile>>10)
	}
	return data, nil
}

// Read reads pairs, and returns what has them take the place of those before. If one of them cannot be
// used, none can.
func (c *Certificates) Read(files []Pair) (use func(), err error) {
	all := make([]*pair, len(files))
	for i, f := range files {
		cert, sum, err := f.read()
		if err != nil {
			return nil, err
		}
		all[i] = &pair{files: f, certificate: cert, sum: sum}
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.pairs = all
		c.broken.Store(false)
		c.show()
	}, nil
}

// show gives new handshakes the pairs as they are.
func (c *Certificates) show() {
	shown := make([]*tls.Certificate, len(c.pairs))
	for i, p := range c.pairs {
		shown[i] = p.certificate
	}
	c.shown.Store(&shown)
}

// look reads the files again. What has changed, and was the same at the look before, is taken if it is good,
// and otherwise told of once. It reports whether all files are as they were.
func (c *Certificates) look() (settled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	broken := false
	settled = true
	for _, p := range c.pairs {
		cert, sum, err := p.files.read()
		switch {
		case !p.settled(sum, err):
			settled = false
			broken = broken || p.fault != ""
		case err != nil:
			broken = true
			if fault := err.Error(); fault != p.fault {
				p.fault = fault
				c.failed.Add(1)
				c.options.Log.Error("a certificate was not replaced: the old one stays until its files are right", "error", fault)
			}
		case sum != p.sum || p.fault != "":
			p.certificate, p.sum, p.fault = cert, sum, ""
			v := validity(cert, p.files.Certificate)
			c.options.Log.Info("a certificate was replaced", "name", v.Name, "source", v.Source, "expires", v.NotAfter.UTC())
		}
	}
	c.broken.Store(broken)
	c.show()
	return settled
}

// files returns the paths of all files.
func (c *Certificates) files() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, p := range c.pairs {
		all = append(all, p.files.Certificate, p.files.Key)
	}
	return all
}
