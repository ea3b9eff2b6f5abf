package access

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for thumbprints
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Bounds of a set of keys.
const (
	maxKeys      = 100
	maxKeyBytes  = 1 << 20
	minRSA       = 2048 // bits
	maxRSA       = 8192
	fetchTimeout = 10 * time.Second
)

// key is one that tokens may be signed by.
type key struct {
	public     any
	algorithms []jose.SignatureAlgorithm
	print      [32]byte // RFC 7638: the same key has the same one
}

// keySet are keys by their ids. It is not changed once anybody asks it.
type keySet map[string]*key

// find returns the key of an id. A token without an id is signed by the only key.
func (s keySet) find(id string) *key {
	if id == "" && len(s) == 1 {
		for _, only := range s {
			return only
		}
	}
	return s[id]
}

// fetch asks for the keys at a URL. Redirects are not followed: who may give keys stands in
// the configuration.
func fetch(ctx context.Context, client *http.Client, url string) (keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s; correct access.tokens_jwks if it is no key set", url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	keys, err := parseKeys(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return keys, nil
}

// newClient returns a client for [fetch].
func newClient() *http.Client {
	return &http.Client{
		Transport:     http.DefaultTransport.(*http.Transport).Clone(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// parseKeys reads a JSON Web Key Set (RFC 7517). Keys that no token may be signed by, secret
// ones and those for encryption among them, are left out; without any other it is refused.
func parseKeys(body []byte) (keySet, error) {
	if len(body) > maxKeyBytes {
		return nil, fmt.Errorf("more than %d bytes: this is no key set", maxKeyBytes)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return nil, errors.New("this is no JSON Web Key Set, which is an object with an array keys")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys are more than %d", len(set.Keys), maxKeys)
	}
	keys := keySet{}
	var why error
	for _, raw := range set.Keys {
		id, k, err := parseKey(raw)
		if err != nil {
			why = err
			continue
		}
		keys[id] = k
	}
	if len(keys) == 0 {
		return nil, errors.Join(errors.New("no key of the set can be used: tokens are signed by RSA of 2,048 to 8,192 bits, ECDSA or Ed25519"), why)
	}
	return keys, nil
}

func parseKey(raw []byte) (id string, k *key, err error) {
	var web jose.JSONWebKey
	if err := web.UnmarshalJSON(raw); err != nil {
		return "", nil, err
	}
	if web.Use != "" && web.Use != "sig" {
		return "", nil, fmt.Errorf("key %.64q is for %.16q, not for signatures", web.KeyID, web.Use)
	}
	public := web.Public() // of a private key, which nobody should show
	k = &key{public: public.Key, algorithms: algorithmsOf(public.Key)}
	if len(k.algorithms) == 0 {
		return "", nil, fmt.Errorf("key %.64q is of a kind or size that is not taken", web.KeyID)
	}
	if web.Algorithm != "" {
		k.algorithms = only(k.algorithms, jose.SignatureAlgorithm(web.Algorithm))
		if len(k.algorithms) == 0 {
			return "", nil, fmt.Errorf("key %.64q is for the algorithm %.16q, which is not taken", web.KeyID, web.Algorithm)
		}
	}
	print, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", nil, err
	}
	copy(k.print[:], print)
	return web.KeyID, k, nil
}

// algorithmsOf returns by which algorithms a key may sign; none: it may not.
func algorithmsOf(public any) []jose.SignatureAlgorithm {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n >= minRSA && n <= maxRSA {
			return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
		}
	case *ecdsa.PublicKey:
		switch p.Curve.Params().BitSize {
		case 256:
			return []jose.SignatureAlgorithm{jose.ES256}
		case 384:
			return []jose.SignatureAlgorithm{jose.ES384}
		case 521:
			return []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		return []jose.SignatureAlgorithm{jose.EdDSA}
	}
	return nil
}

func only(list []jose.SignatureAlgorithm, one jose.SignatureAlgorithm) []jose.SignatureAlgorithm {
	for _, a := range list {
		if a == one {
			return []jose.SignatureAlgorithm{a}
		}
	}
	return nil
}
