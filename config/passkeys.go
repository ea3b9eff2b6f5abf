package config

import (
	"errors"
	"net/url"
	"strings"
)

// AnnounceURL is the URL of a tracker as a torrent has it: udp, http or https.
type AnnounceURL string

func parseAnnounceURL(text string) (AnnounceURL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "udp" && u.Scheme != "http" && u.Scheme != "https":
		return "", errShape
	case u.User != nil || u.Fragment != "" || u.RawQuery != "":
		return "", errors.New("leave out user, query and fragment: clients would send them with each announce")
	case !strings.HasSuffix(u.Path, "/announce"):
		return "", errors.New("its path ends in /announce")
	case u.Scheme == "udp" && u.Port() == "":
		return "", errors.New("a URL of UDP has a port")
	}
	return AnnounceURL(text), nil
}

// passkeys checks the rules between passkeys and others.
func (l *loader) passkeys() {
	if c := &l.loaded.Config; c.Access.Passkeys != "off" && c.Cluster.On() {
		l.add(l.loaded.Sources["access.passkeys"], "%s", "access.passkeys needs trackers that know the same passkeys, and those of a cluster have each their own: "+
			"give them a store on a network in place of the cluster, or set access.passkeys to off")
	}
}
