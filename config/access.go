package config

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
)

// KeySetURL is where the keys that sign tokens are: https, or http on this machine; empty for
// nowhere.
type KeySetURL string

func parseKeySetURL(text string) (KeySetURL, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errShape
	case u.User != nil:
		return "", errors.New("a password does not belong here: keys that sign tokens are public")
	case u.Fragment != "":
		return "", errors.New("leave out what follows #")
	case u.Scheme == "http" && !onThisMachine(u.Hostname()):
		return "", errors.New("whoever is between here and there could give keys of his own: write https")
	}
	return KeySetURL(text), nil
}

func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// access checks the rules of and between keys of who may announce.
func (l *loader) access() {
	c := &l.loaded.Config
	if c.Access.TokensJWKS != "" && !l.broken["access.tokens_jwks"] {
		for _, must := range []struct{ path, value, says string }{
			{"access.tokens_issuer", c.Access.TokensIssuer, "who issues the tokens"},
			{"access.tokens_audience", c.Access.TokensAudience, "whom they are for"},
		} {
			if must.value == "" && !l.broken[must.path] {
				l.add(l.loaded.Sources["access.tokens_jwks"], "access.tokens_jwks needs %s: %s; without it any token of those keys would do", must.path, must.says)
			}
		}
	}
	type step struct {
		path string
		from int
	}
	steps := []step{
		{"announce.early_warned", c.Announce.EarlyWarned},
		{"announce.early_shortened", c.Announce.EarlyShortened},
		{"announce.early_refused", c.Announce.EarlyRefused},
	}
	steps = slices.DeleteFunc(steps, func(s step) bool { return s.from == 0 })
	for i := 1; i < len(steps); i++ {
		if steps[i-1].from > steps[i].from {
			l.conflict(steps[i-1].path, "at most", steps[i].path)
		}
	}
}
