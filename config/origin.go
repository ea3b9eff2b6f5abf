package config

import (
	"errors"
	"net/url"
	"strings"
)

// Origin is a site as browsers name it (RFC 6454): scheme and host in small letters, and a
// port that is not the usual one.
type Origin string

func parseOrigin(text string) (Origin, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errShape
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("leave out all but scheme, host and port")
	case u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443":
		return "", errors.New("leave out the port, which is the usual one")
	}
	return Origin(strings.ToLower(u.Scheme + "://" + u.Host)), nil
}
