package access

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"waggle/bittorrent"
	"waggle/swarm"
)

// Refusals of tokens, in words for the client's user.
const (
	ErrTokenMissing bittorrent.Error = "this tracker wants a token: put jwt=TOKEN into the query of its announce URL"
	ErrTokenBad     bittorrent.Error = "your token is not good here: fetch the torrent again from where you have it"
	ErrTokenExpired bittorrent.Error = "your token has expired: fetch the torrent again from where you have it"
	ErrTokenTorrent bittorrent.Error = "your token is for another torrent"
)

// Refusals for now.
var (
	errNoKeys = &bittorrent.Refusal{Reason: "this tracker cannot check tokens now: try again later", RetryIn: time.Minute}
	errNewKey = &bittorrent.Refusal{Reason: "your token is signed by a key that this tracker does not know: try again later", RetryIn: time.Minute}
	errBusy   = &bittorrent.Refusal{Reason: "too many new tokens come from your address: try again later", RetryIn: time.Minute}
)

// Rules say which tokens are good. Without a URL none is asked for.
type Rules struct {
	URL      string // of the keys
	Issuer   string
	Audience string
	Refresh  time.Duration // how often keys are fetched
}

// TokenOptions are the settings of [Tokens].
type TokenOptions struct {
	Rules  Rules
	Tokens int // good ones that are remembered, in some 250 bytes each; 0: 65,536
	Log    *slog.Logger

	Now    func() time.Time // nil: time.Now
	Client *http.Client     // nil: one of its own, which follows no redirect
}

// Tokens are JSON Web Tokens (RFC 7519) that announces must carry. [Tokens.Run] fetches keys;
// an announce never waits for that. All methods may be called concurrently.
type Tokens struct {
	o      TokenOptions
	state  atomic.Pointer[state]
	wanted atomic.Pointer[Rules] // once there are keys of them
	wake   chan struct{}
	seen   *seen
	checks *checks
	counts [refusals]atomic.Uint64
	failed atomic.Uint64
}

// state is what is in force.
type state struct {
	rules   Rules
	keys    keySet    // nil: none yet
	fetched time.Time // when
}

// refusal is why a token was refused.
type refusal uint8

const (
	missing refusal = iota
	bad
	expired
	otherTorrent
	unknownKey
	tooMany
	noKeys
	refusals
)

// TokenFigures count what tokens were refused for, and fetches of keys.
type TokenFigures struct {
	Missing, Bad, Expired, OtherTorrent, UnknownKey, TooMany, NoKeys uint64

	Failed uint64    // fetches of keys
	Keys   int       // that there are
	Since  time.Time // when they were fetched; zero: never
}

// Refused returns how many announces were refused.
func (f *TokenFigures) Refused() uint64 {
	return f.Missing + f.Bad + f.Expired + f.OtherTorrent + f.UnknownKey + f.TooMany + f.NoKeys
}

// NewTokens returns tokens that have no keys yet.
func NewTokens(o TokenOptions) *Tokens {
	if o.Tokens <= 0 {
		o.Tokens = 1 << 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = newClient()
	}
	t := &Tokens{o: o, wake: make(chan struct{}, 1), seen: newSeen(o.Tokens), checks: newChecks()}
	t.state.Store(&state{rules: o.Rules})
	t.wanted.Store(&o.Rules)
	return t
}

// Apply replaces the rules. Keys of another URL are fetched first, while the old rules go on;
// where there were none, announces are refused until there are.
func (t *Tokens) Apply(r Rules) {
	t.wanted.Store(&r)
	for {
		now := t.state.Load()
		next := &state{rules: r, keys: now.keys, fetched: now.fetched}
		switch {
		case r.URL == "" || now.rules.URL == "":
			next.keys, next.fetched = nil, time.Time{}
		case r.URL != now.rules.URL:
			next = now
		}
		if t.state.CompareAndSwap(now, next) {
			break
		}
	}
	t.rouse()
}

func (t *Tokens) rouse() {
	select {
	case t.wake <- struct{}{}:
	default: // it is roused already
	}
}

// Times of fetching.
const (
	seldom   = 30 * time.Second // how often keys are fetched at most, whoever asks
	firstTry = 2 * time.Second  // until they are fetched again where that failed, and at most:
	lastTry  = 2 * time.Minute
)

// Fetch fetches the keys now. Where that fails, those that there are stay.
func (t *Tokens) Fetch(ctx context.Context) error {
	rules := t.wanted.Load()
	if rules.URL == "" {
		return nil
	}
	keys, err := fetch(ctx, t.o.Client, rules.URL)
	if err != nil {
		if ctx.Err() == nil {
			t.failed.Add(1)
		}
		return err
	}
	for t.wanted.Load() == rules {
		now := t.state.Load()
		if t.state.CompareAndSwap(now, &state{rules: *rules, keys: keys, fetched: t.o.Now()}) {
			break
		}
	}
	return nil
}

// Run fetches keys from time to time, and where a token was signed by one that is not known,
// until ctx ends.
func (t *Tokens) Run(ctx context.Context) {
	defer t.o.Client.CloseIdleConnections()
	failures := 0
	for {
		began := t.o.Now()
		if now, wanted := t.state.Load(), t.wanted.Load(); now.keys == nil || now.rules.URL != wanted.URL || t.due(now) {
			failures = t.fetchAgain(ctx, failures)
		}
		if !t.pause(ctx, failures, began) {
			return
		}
	}
}

func (t *Tokens) due(now *state) bool { return t.o.Now().Sub(now.fetched) >= seldom }

func (t *Tokens) fetchAgain(ctx context.Context, failures int) int {
	err := t.Fetch(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		t.o.Log.Error("the keys of tokens were not fetched: "+t.consequence(), "error", err)
		return failures + 1
	case failures > 0:
		t.o.Log.Info("the keys of tokens were fetched again", "keys", len(t.state.Load().keys))
	}
	return 0
}

// consequence is what follows from keys that were not fetched.
func (t *Tokens) consequence() string {
	if t.state.Load().keys == nil {
		return "announces are refused until they are"
	}
	return "those that there are stay in force"
}

// pause waits until keys are to be fetched again, and reports whether they are.
func (t *Tokens) pause(ctx context.Context, failures int, began time.Time) bool {
	wait := time.Hour // there is nothing to fetch
	if rules := t.wanted.Load(); rules.URL != "" {
		wait = max(rules.Refresh, seldom)
	}
	if failures > 0 {
		wait = min(firstTry<<min(failures-1, 10), lastTry)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-t.wake:
	}
	if t.state.Load().keys == nil || t.state.Load().rules.URL != t.wanted.Load().URL {
		return ctx.Err() == nil
	}
	early := time.NewTimer(seldom - t.o.Now().Sub(began))
	defer early.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-early.C:
		return true
	}
}

// Figures returns the counts as of now.
func (t *Tokens) Figures() TokenFigures {
	now := t.state.Load()
	count := func(r refusal) uint64 { return t.counts[r].Load() }
	return TokenFigures{
		Missing: count(missing), Bad: count(bad), Expired: count(expired), OtherTorrent: count(otherTorrent),
		UnknownKey: count(unknownKey), TooMany: count(tooMany), NoKeys: count(noKeys),
		Failed: t.failed.Load(), Keys: len(now.keys), Since: now.fetched,
	}
}

// Enter refuses an announce without a good token. Who leaves may.
func (t *Tokens) Enter(a *swarm.Announce) error {
	s := t.state.Load()
	if s.rules.URL == "" || a.Event == bittorrent.EventStopped {
		return nil
	}
	why, err := t.judge(s, a)
	if err != nil {
		t.counts[why].Add(1)
	}
	return err
}

func (t *Tokens) judge(s *state, a *swarm.Announce) (refusal, error) {
	token := a.Credentials.Token
	switch {
	case token == "":
		return missing, ErrTokenMissing
	case s.keys == nil:
		return noKeys, errNoKeys
	}
	mark := t.seen.mark(token)
	good, is := t.seen.tokens.Get(mark)
	if k := s.keys.find(good.id); !is || k == nil || k.print != good.print || good.rules != s.rules {
		if !t.checks.allow(a.From, a.Now) {
			return tooMany, errBusy
		}
		var why refusal
		var err error
		if good, why, err = t.check(s, token); err != nil {
			return why, err
		}
		t.seen.tokens.Add(mark, good)
	}
	now := a.Now.Unix()
	switch {
	case now < good.from:
		return bad, ErrTokenBad
	case now > good.to:
		return expired, ErrTokenExpired
	case good.of && good.hash != a.InfoHash:
		return otherTorrent, ErrTokenTorrent
	}
	return 0, nil
}

// leeway is by how many seconds the clock of who issues tokens may differ.
const leeway = 60

// taken are the algorithms of tokens. Those by a shared secret are not among them: the keys
// are public.
var taken = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// check verifies a token, and returns what it says.
func (t *Tokens) check(s *state, token string) (good goodToken, why refusal, err error) {
	parsed, err := jwt.ParseSigned(token, taken)
	if err != nil || len(parsed.Headers) != 1 {
		return good, bad, ErrTokenBad
	}
	header := &parsed.Headers[0]
	k := s.keys.find(header.KeyID)
	if k == nil {
		t.rouse()
		return good, unknownKey, errNewKey
	}
	if only(k.algorithms, jose.SignatureAlgorithm(header.Algorithm)) == nil {
		return good, bad, ErrTokenBad
	}
	var claims struct {
		jwt.Claims
		InfoHash *string `json:"infohash"`
	}
	if err := parsed.Claims(k.public, &claims); err != nil {
		return good, bad, ErrTokenBad
	}
	if claims.Issuer != s.rules.Issuer || !claims.Audience.Contains(s.rules.Audience) {
		return good, bad, ErrTokenBad
	}
	good = goodToken{rules: s.rules, id: header.KeyID, print: k.print, from: math.MinInt64, to: math.MaxInt64}
	if claims.NotBefore != nil {
		good.from = int64(*claims.NotBefore) - leeway
	}
	if claims.Expiry != nil {
		good.to = int64(*claims.Expiry) + leeway
	}
	if claims.InfoHash != nil {
		if good.hash, good.of = parseInfoHash(*claims.InfoHash); !good.of {
			return good, bad, ErrTokenBad
		}
	}
	return good, 0, nil
}

// parseInfoHash reads the claim infohash: in hexadecimal, or as chihaya has it, the 20 bytes
// themselves, or these escaped as in a query.
func parseInfoHash(text string) (h bittorrent.InfoHash, ok bool) {
	if h, err := bittorrent.ParseInfoHash(text); err == nil && len(text) == 2*len(h) {
		return h, true
	}
	if raw, err := url.QueryUnescape(text); err == nil && len(raw) == len(h) {
		return bittorrent.InfoHash([]byte(raw)), true
	}
	if len(text) == len(h) {
		return bittorrent.InfoHash([]byte(text)), true
	}
	return h, false
}
