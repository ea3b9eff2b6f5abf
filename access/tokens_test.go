package access

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"waggle/bittorrent"
	"waggle/swarm"
)

// issuer makes tokens, and shows the keys that they are signed by.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	keys    map[string]any // private, by their ids
	body    string         // in the place of them
	status  int
	fetches atomic.Int64
}

func newIssuer(t testing.TB) *issuer {
	is := &issuer{keys: map[string]any{}, status: http.StatusOK}
	is.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		is.fetches.Add(1)
		is.mu.Lock()
		defer is.mu.Unlock()
		w.WriteHeader(is.status)
		if is.body != "" {
			_, _ = w.Write([]byte(is.body))
			return
		}
		var set jose.JSONWebKeySet
		for id, private := range is.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: private.(crypto.Signer).Public(), KeyID: id, Use: "sig"})
		}
		_ = json.NewEncoder(w).Encode(set)
	}))
	t.Cleanup(is.Close)
	return is
}

func (is *issuer) add(t testing.TB, id string, private any, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	is.keys[id] = private
}

func (is *issuer) addEd(t testing.TB, id string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	is.add(t, id, private, err)
}

func (is *issuer) answer(status int, body string) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.status, is.body = status, body
}

// claims are those of a good token, for tests to change.
func claims() map[string]any {
	return map[string]any{"iss": "https://login.example", "aud": []string{"waggle", "other"}, "exp": morning.Add(time.Hour).Unix()}
}

// sign makes a token.
func (is *issuer) sign(t testing.TB, id string, algorithm jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	is.mu.Lock()
	private := is.keys[id]
	is.mu.Unlock()
	return signed(t, private, id, algorithm, claims)
}

func signed(t testing.TB, private any, id string, algorithm jose.SignatureAlgorithm, claims map[string]any) string {
	t.Helper()
	options := new(jose.SignerOptions)
	if id != "" {
		options = options.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: private}, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// morning is when announces of these tests come.
var morning = time.Unix(1_800_000_000, 0)

func (is *issuer) rules() Rules {
	return Rules{URL: is.URL + "/jwks.json", Issuer: "https://login.example", Audience: "waggle", Refresh: 15 * time.Minute}
}

// tokens returns those of an issuer, whose keys have been fetched.
func (is *issuer) tokens(t testing.TB) *Tokens {
	t.Helper()
	tokens := NewTokens(TokenOptions{Rules: is.rules(), Log: quiet})
	if err := tokens.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.o.Client.CloseIdleConnections)
	return tokens
}

var aHash = bittorrent.InfoHash{0: '%', 1: 0xff, 19: 7}

// with is an announce with a token.
func with(token string) *swarm.Announce {
	a := &swarm.Announce{From: netip.MustParseAddr("192.0.2.1"), Now: morning, Credentials: swarm.Credentials{Token: token}}
	a.InfoHash = aHash
	return a
}

func TestTokensByEachAlgorithmOfAPublicKeyAreTaken(t *testing.T) {
	is := newIssuer(t)
	is.addEd(t, "ed")
	for id, curve := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		is.add(t, id, private, err)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	is.add(t, "rsa", private, err)
	tokens := is.tokens(t)
	for algorithm, id := range map[jose.SignatureAlgorithm]string{
		jose.EdDSA: "ed", jose.ES256: "p256", jose.ES384: "p384", jose.ES512: "p521",
		jose.RS256: "rsa", jose.RS384: "rsa", jose.RS512: "rsa", jose.PS256: "rsa", jose.PS384: "rsa", jose.PS512: "rsa",
	} {
		if err := tokens.Enter(with(is.sign(t, id, algorithm, claims()))); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	if f := tokens.Figures(); f.Keys != 5 || f.Refused() != 0 {
		t.Errorf("figures %+v", f)
	}
}

func TestTokenIsGoodByItsClaims(t *testing.T) {
	is := newIssuer(t)
	is.addEd(t, "a")
	tokens := is.tokens(t)
	for name, test := range map[string]struct {
		change func(map[string]any)
		want   error
	}{
		"good":                       {func(map[string]any) {}, nil},
		"without an end":             {func(c map[string]any) { delete(c, "exp") }, nil},
		"audience as one text":       {func(c map[string]any) { c["aud"] = "waggle" }, nil},
		"ended a moment ago":         {func(c map[string]any) { c["exp"] = morning.Add(-time.Minute).Unix() }, nil},
		"expired":                    {func(c map[string]any) { c["exp"] = morning.Add(-61 * time.Second).Unix() }, ErrTokenExpired},
		"begins in a moment":         {func(c map[string]any) { c["nbf"] = morning.Add(time.Minute).Unix() }, nil},
		"begins later":               {func(c map[string]any) { c["nbf"] = morning.Add(61 * time.Second).Unix() }, ErrTokenBad},
		"of another issuer":          {func(c map[string]any) { c["iss"] = "https://evil.example" }, ErrTokenBad},
		"of no issuer":               {func(c map[string]any) { delete(c, "iss") }, ErrTokenBad},
		"for others":                 {func(c map[string]any) { c["aud"] = []string{"other"} }, ErrTokenBad},
		"for nobody":                 {func(c map[string]any) { delete(c, "aud") }, ErrTokenBad},
		"for the torrent, in digits": {func(c map[string]any) { c["infohash"] = hex.EncodeToString(aHash[:]) }, nil},
		"for the torrent, escaped":   {func(c map[string]any) { c["infohash"] = url.QueryEscape(string(aHash[:])) }, nil},
		"for another torrent":        {func(c map[string]any) { c["infohash"] = strings.Repeat("ab", 20) }, ErrTokenTorrent},
		"for no torrent that is any": {func(c map[string]any) { c["infohash"] = "ubuntu" }, ErrTokenBad},
		"times that are text":        {func(c map[string]any) { c["exp"] = "tomorrow" }, ErrTokenBad},
	} {
		t.Run(name, func(t *testing.T) {
			c := claims()
			test.change(c)
			token := is.sign(t, "a", jose.EdDSA, c)
			for range 2 { // as it comes, and as it is remembered
				if err := tokens.Enter(with(token)); !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
			}
		})
	}
	token := is.sign(t, "a", jose.EdDSA, claims())
	late := with(token)
	late.Now = morning.Add(2 * time.Hour)
	if err := errors.Join(tokens.Enter(with(token))); err != nil || !errors.Is(tokens.Enter(late), ErrTokenExpired) {
		t.Errorf("a token that is remembered is good for ever: %v", err)
	}
	raw := claims()
	raw["infohash"] = "abcdefghijklmnopqrst"
	of := with(is.sign(t, "a", jose.EdDSA, raw))
	of.InfoHash = bittorrent.InfoHash([]byte("abcdefghijklmnopqrst"))
	if err := tokens.Enter(of); err != nil {
		t.Errorf("a torrent as its 20 bytes: %v", err)
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	is := newIssuer(t)
	is.addEd(t, "a")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	is.add(t, "rsa", private, err)
	tokens := is.tokens(t)
	good := is.sign(t, "a", jose.EdDSA, claims())
	parts := strings.Split(good, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	public, err := json.Marshal(jose.JSONWebKey{Key: &private.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	secret := &jose.JSONWebKey{Key: public, KeyID: "rsa"}
	flipped := []byte(parts[2])
	flipped[5] ^= 1
	for name, token := range map[string]string{
		"another's signature": signed(t, other, "a", jose.EdDSA, claims()),
		"without a signature": parts[0] + "." + parts[1] + ".",
		"a bit of it":         parts[0] + "." + parts[1] + "." + string(flipped),
		"algorithm none":      encode(`{"alg":"none","kid":"a"}`) + "." + parts[1] + ".",
		"a secret that is the public key": func() string {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, nil)
			if err != nil {
				t.Fatal(err)
			}
			token, err := jwt.Signed(signer).Claims(claims()).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			return token
		}(),
		"another algorithm's key": strings.Replace(good, parts[0], encode(`{"alg":"RS256","kid":"a"}`), 1),
		"a key within":            encode(`{"alg":"EdDSA","kid":"a","jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"}}`) + "." + parts[1] + "." + parts[2],
		"encrypted":               "a.b.c.d.e",
		"escaped":                 strings.ReplaceAll(good, ".", "%2E"),
		"rubbish":                 "x",
		"dots":                    "..",
		"JSON":                    `{"payload":"e30","signatures":[]}`,
	} {
		if err := tokens.Enter(with(token)); !errors.Is(err, ErrTokenBad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := tokens.Enter(with(good)); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if err := tokens.Enter(with("")); !errors.Is(err, ErrTokenMissing) {
		t.Errorf("no token: %v", err)
	}
	leaving := with("x")
	if leaving.Event = bittorrent.EventStopped; tokens.Enter(leaving) != nil {
		t.Error("who has a bad token may not leave")
	}
}

func TestTokenOfAnUnknownKeyHasKeysFetchedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newLocalIssuer(t)
		is.addEd(t, "a")
		tokens := is.local(t)
		is.addEd(t, "b")
		token := is.sign(t, "b", jose.EdDSA, claims())
		for range 100 {
			refusal, later := errors.AsType[*bittorrent.Refusal](tokens.Enter(with(token)))
			if !later || refusal.RetryIn != time.Minute {
				t.Fatalf("got %+v, want a refusal for a minute", refusal)
			}
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if err := tokens.Enter(with(token)); err != nil || is.fetches.Load() != 2 {
			t.Errorf("half a minute later: %v, after %d fetches", err, is.fetches.Load())
		}
		for range 20 { // of tokens that nobody ever signed
			forged := signed(t, is.keys["a"], "nobody's", jose.EdDSA, claims())
			for range 5 {
				_ = tokens.Enter(with(forged))
			}
			time.Sleep(3 * time.Second)
		}
		if n := is.fetches.Load(); n > 5 {
			t.Errorf("%d fetches within 91 seconds, want one in 30 at most", n)
		}
	})
}

func TestKeysAreFetchedFromTimeToTimeAndThoseThatAreGoneSignNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newLocalIssuer(t)
		is.addEd(t, "a")
		is.addEd(t, "b")
		tokens := is.local(t)
		a, b := is.sign(t, "a", jose.EdDSA, claims()), is.sign(t, "b", jose.EdDSA, claims())
		if err := errors.Join(tokens.Enter(with(a)), tokens.Enter(with(b))); err != nil {
			t.Fatal(err)
		}
		is.addEd(t, "a") // another key of the same id
		time.Sleep(16 * time.Minute)
		synctest.Wait()
		if err := tokens.Enter(with(a)); !errors.Is(err, ErrTokenBad) {
			t.Errorf("a token of a key that is gone: %v", err)
		}
		if err := tokens.Enter(with(b)); err != nil {
			t.Errorf("a token of a key that is there: %v", err)
		}
	})
}

func TestLastKeysStayWhileNoneCanBeFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newLocalIssuer(t)
		is.addEd(t, "a")
		tokens := is.local(t)
		token := is.sign(t, "a", jose.EdDSA, claims())
		is.answer(http.StatusBadGateway, "<html>")
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		if err := tokens.Enter(with(token)); err != nil || tokens.Figures().Failed == 0 {
			t.Errorf("%v, figures %+v", err, tokens.Figures())
		}
		is.answer(http.StatusOK, "")
		is.addEd(t, "c")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if err := tokens.Enter(with(is.sign(t, "c", jose.EdDSA, claims()))); err != nil {
			t.Errorf("after the keys are there again: %v", err)
		}
	})
}

func TestTrackerWithoutKeysRefusesUntilThereAreSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newLocalIssuer(t)
		is.addEd(t, "a")
		is.answer(http.StatusServiceUnavailable, "")
		tokens := is.local(t)
		token := is.sign(t, "a", jose.EdDSA, claims())
		if _, later := errors.AsType[*bittorrent.Refusal](tokens.Enter(with(token))); !later || tokens.Figures().NoKeys != 1 {
			t.Errorf("a token is taken without keys, or refused for ever")
		}
		is.answer(http.StatusOK, "")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if err := tokens.Enter(with(token)); err != nil {
			t.Error(err)
		}
	})
}

func TestRulesAreReplacedAndAskForTokensAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newLocalIssuer(t)
		is.addEd(t, "a")
		rules := is.rules()
		is.off = true
		tokens := is.local(t)
		token := is.sign(t, "a", jose.EdDSA, claims())
		if err := tokens.Enter(with("")); err != nil {
			t.Errorf("no token is asked for: %v", err)
		}
		tokens.Apply(rules)
		if err := tokens.Enter(with("")); !errors.Is(err, ErrTokenMissing) {
			t.Errorf("from now on one is: %v", err)
		}
		synctest.Wait()
		if err := tokens.Enter(with(token)); err != nil {
			t.Errorf("the keys were fetched: %v", err)
		}
		moved := rules
		moved.URL += "?moved"
		is.answer(http.StatusNotFound, "")
		tokens.Apply(moved)
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := tokens.Enter(with(token)); err != nil {
			t.Errorf("while nothing is at the new URL, the old keys stay: %v", err)
		}
		other := rules
		other.Audience = "another"
		tokens.Apply(other)
		if err := tokens.Enter(with(token)); !errors.Is(err, ErrTokenBad) {
			t.Errorf("a token that is remembered, for another audience: %v", err)
		}
		tokens.Apply(Rules{Refresh: time.Minute})
		if err := tokens.Enter(with("")); err != nil {
			t.Errorf("no token is asked for any more: %v", err)
		}
	})
}

// local is an issuer whose keys come without a network, as synctest wants it.
type localIssuer struct {
	*issuer
	off bool
}

func newLocalIssuer(*testing.T) *localIssuer {
	return &localIssuer{issuer: &issuer{keys: map[string]any{}, status: http.StatusOK, Server: &httptest.Server{URL: "http://127.0.0.1"}}}
}

// RoundTrip answers as the server of an issuer does.
func (is *localIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	is.fetches.Add(1)
	is.mu.Lock()
	defer is.mu.Unlock()
	w := httptest.NewRecorder()
	w.WriteHeader(is.status)
	if is.body != "" || is.status != http.StatusOK {
		_, _ = w.WriteString(is.body)
		return w.Result(), r.Context().Err()
	}
	var set jose.JSONWebKeySet
	for id, private := range is.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: private.(crypto.Signer).Public(), KeyID: id})
	}
	err := errors.Join(json.NewEncoder(w).Encode(set), r.Context().Err())
	return w.Result(), err
}

// local returns tokens that run until the test ends.
func (is *localIssuer) local(t *testing.T) *Tokens {
	rules := is.rules()
	if is.off {
		rules = Rules{}
	}
	tokens := NewTokens(TokenOptions{Rules: rules, Log: quiet, Client: &http.Client{Transport: is}})
	_ = tokens.Fetch(t.Context())
	ctx, end := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { tokens.Run(ctx) })
	t.Cleanup(func() { end(); group.Wait() })
	synctest.Wait()
	return tokens
}

func TestKeySetsAreTakenAsFarAsTheyAreSafe(t *testing.T) {
	is := newIssuer(t)
	is.addEd(t, "a")
	key := func(private any, change func(*jose.JSONWebKey)) string {
		k := jose.JSONWebKey{Key: private.(crypto.Signer).Public(), KeyID: "k"}
		change(&k)
		b, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ed := is.keys["a"]
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	same := func(*jose.JSONWebKey) {}
	for name, test := range map[string]struct {
		body string
		keys int
		want string
	}{
		"one":                     {`{"keys":[` + key(ed, same) + `]}`, 1, ""},
		"beside what is unknown":  {`{"keys":[{"kty":"LATTICE"},` + key(ed, same) + `,{"kty":"oct","k":"AAAA"},7]}`, 1, ""},
		"no keys":                 {`{"keys":[]}`, 0, "no key of the set can be used"},
		"a secret":                {`{"keys":[{"kty":"oct","kid":"s","k":"AAAA"}]}`, 0, "is of a kind or size that is not taken"},
		"a small one":             {`{"keys":[` + key(small, same) + `]}`, 0, "is of a kind or size that is not taken"},
		"for encryption":          {`{"keys":[` + key(ed, func(k *jose.JSONWebKey) { k.Use = "enc" }) + `]}`, 0, "not for signatures"},
		"for another algorithm":   {`{"keys":[` + key(ed, func(k *jose.JSONWebKey) { k.Algorithm = "HS256" }) + `]}`, 0, "which is not taken"},
		"for its algorithm":       {`{"keys":[` + key(ed, func(k *jose.JSONWebKey) { k.Algorithm = "EdDSA" }) + `]}`, 1, ""},
		"a page":                  {`<html>`, 0, "this is no JSON Web Key Set"},
		"another object":          {`{"error":"x"}`, 0, "this is no JSON Web Key Set"},
		"too many":                {`{"keys":[` + strings.Repeat("1,", maxKeys) + `1]}`, 0, "101 keys are more than 100"},
		"more than anybody needs": {strings.Repeat(" ", maxKeyBytes+1), 0, "this is no key set"},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := parseKeys([]byte(test.body))
			if len(keys) != test.keys || test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%d keys, %v, want %d, %s", len(keys), err, test.keys, test.want)
			}
		})
	}
	is.answer(http.StatusFound, "elsewhere")
	if err := NewTokens(TokenOptions{Rules: is.rules(), Log: quiet}).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "answers 302 Found; correct access.tokens_jwks") {
		t.Errorf("a redirect: %v", err)
	}
}

func TestTokenWithoutAnIDIsOfTheOnlyKey(t *testing.T) {
	is := newIssuer(t)
	is.addEd(t, "a")
	token := signed(t, is.keys["a"], "", jose.EdDSA, claims())
	if err := is.tokens(t).Enter(with(token)); err != nil {
		t.Errorf("of the only key: %v", err)
	}
	is.addEd(t, "b")
	if err := is.tokens(t).Enter(with(token)); err == nil {
		t.Error("of one of two keys: it is taken")
	}
}

func TestFloodOfBadTokensIsBoundedForEachAddressAndGoodOnesGoOn(t *testing.T) {
	is := newIssuer(t)
	is.addEd(t, "a")
	tokens := is.tokens(t)
	good := is.sign(t, "a", jose.EdDSA, claims())
	if err := tokens.Enter(with(good)); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * checksAtOnce {
		_ = tokens.Enter(with(fmt.Sprint("bad", i)))
	}
	f := tokens.Figures()
	if f.Bad != checksAtOnce-1 || f.TooMany != checksAtOnce+1 {
		t.Errorf("figures %+v, want %d checked at once", f, checksAtOnce)
	}
	if err := tokens.Enter(with(good)); err != nil {
		t.Errorf("a token that was good, from the same address: %v", err)
	}
	other := with(is.sign(t, "a", jose.EdDSA, map[string]any{"iss": "https://login.example", "aud": "waggle", "jti": "2"}))
	if _, later := errors.AsType[*bittorrent.Refusal](tokens.Enter(other)); !later {
		t.Error("another good one from there is checked, or refused for ever")
	}
	other.From = netip.MustParseAddr("2001:db8::1")
	if err := tokens.Enter(other); err != nil {
		t.Errorf("from another address: %v", err)
	}
	same := with("bad")
	same.From = netip.MustParseAddr("2001:db8::2")
	for range checksAtOnce {
		_ = tokens.Enter(same)
	}
	other = with(is.sign(t, "a", jose.EdDSA, map[string]any{"iss": "https://login.example", "aud": "waggle", "jti": "3"}))
	other.From = netip.MustParseAddr("2001:db8::3")
	if err := tokens.Enter(other); err == nil {
		t.Error("64 bits of IPv6 are not one address")
	}
}

func TestTokensRememberedAreBoundedAndFoundWithoutAllocation(t *testing.T) {
	is := newIssuer(t)
	is.addEd(t, "a")
	tokens := NewTokens(TokenOptions{Rules: is.rules(), Log: quiet, Tokens: 10})
	if err := tokens.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.o.Client.CloseIdleConnections)
	var last *swarm.Announce
	for i := range 50 {
		c := claims()
		c["jti"] = fmt.Sprint(i)
		last = with(is.sign(t, "a", jose.EdDSA, c))
		if err := tokens.Enter(last); err != nil {
			t.Fatal(err)
		}
	}
	if n := tokens.seen.tokens.Len(); n != 10 {
		t.Errorf("%d tokens are remembered, want 10", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := tokens.Enter(last); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzToken(f *testing.F) {
	is := newIssuer(f)
	is.addEd(f, "a")
	tokens := is.tokens(f)
	good := is.sign(f, "a", jose.EdDSA, claims())
	f.Add(good)
	f.Add("..")
	f.Add(`{"payload":"e30","protected":"e30","signature":"AA"}`)
	f.Fuzz(func(t *testing.T, token string) {
		// Base64 has several ways to write some bytes, of which any will do.
		if _, _, err := tokens.check(tokens.state.Load(), token); err == nil && !slices.Equal(decoded(token), decoded(good)) {
			t.Errorf("%q is taken", token)
		}
	})
}

// decoded returns the bytes of the parts of a token.
func decoded(token string) (parts []string) {
	for part := range strings.SplitSeq(token, ".") {
		b, _ := base64.RawURLEncoding.DecodeString(part)
		parts = append(parts, string(b))
	}
	return parts
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseKeys(body)
		if (err == nil) != (len(keys) > 0) || len(keys) > maxKeys {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		for id, k := range keys {
			if len(k.algorithms) == 0 {
				t.Errorf("key %q may not sign", id)
			}
		}
	})
}

// BenchmarkToken is what a token costs that was seen, and one that was not.
func BenchmarkToken(b *testing.B) {
	is := newIssuer(b)
	is.addEd(b, "a")
	tokens := is.tokens(b)
	token := is.sign(b, "a", jose.EdDSA, claims())
	b.Run("seen", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = tokens.Enter(with(token))
		}
	})
	b.Run("new", func(b *testing.B) {
		s := tokens.state.Load()
		for b.Loop() {
			if _, _, err := tokens.check(s, token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
