package config

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// StoreURL says which store keeps the swarms, and where: memory:, sqlite:relative/path,
// sqlite:///absolute/path, or the URL of a store on a network.
type StoreURL string

// remoteStores are the schemes of stores on a network, with an example of each. What
// may stand in their URLs the stores know.
var remoteStores = map[string]string{
	"redis":          "redis://host:6379/0",
	"rediss":         "rediss://host:6379/0",
	"redis+cluster":  "redis+cluster://host1,host2,host3",
	"rediss+cluster": "rediss+cluster://host1,host2,host3",
	"dynamodb":       "dynamodb://table?region=eu-central-1",
	"s3":             "s3://bucket/prefix?region=eu-central-1",
}

// Scheme is the store's name: memory, sqlite, redis, rediss, redis+cluster,
// rediss+cluster, dynamodb or s3.
func (u StoreURL) Scheme() string {
	scheme, _, _ := strings.Cut(string(u), ":")
	return scheme
}

// Remote reports whether the store is on a network.
func (u StoreURL) Remote() bool { return remoteStores[u.Scheme()] != "" }

// CountsAlways reports whether a store on a network knows how large it is without
// reading all of it.
func (u StoreURL) CountsAlways() bool { return strings.HasPrefix(u.Scheme(), "redis") }

// Path is the file of a sqlite store, taken as it is written: relative to the working directory
// unless it begins with a slash. It is empty for other stores.
func (u StoreURL) Path() string {
	scheme, rest, _ := strings.Cut(string(u), ":")
	if scheme != "sqlite" {
		return ""
	}
	return strings.TrimPrefix(rest, "//")
}

// String is the URL without its password. The URL itself is string(u).
func (u StoreURL) String() string {
	if u.Remote() {
		return hidePassword(string(u))
	}
	return string(u)
}

// ParseStoreURL reads a store's URL. The error says what is wrong with it, without its
// password.
func ParseStoreURL(text string) (StoreURL, error) {
	u, err := parseStoreURL(text)
	if errors.Is(err, errShape) {
		err = errors.New("write " + kinds[reflect.TypeFor[StoreURL]()].want)
	}
	if err != nil {
		return "", fmt.Errorf("the store %s: %w", shown(text), err)
	}
	return u, nil
}

func parseStoreURL(text string) (StoreURL, error) {
	u := StoreURL(text)
	switch {
	case text == "memory":
		return "", errors.New(`it lacks the colon, as in "memory:"`)
	case text == "memory:":
		return u, nil
	case u.Remote() && text != u.Scheme():
		return u, checkRemote(u)
	case u.Scheme() != "sqlite" || text == "sqlite":
		return "", errShape
	case u.Path() == "" || strings.HasSuffix(text, "/"):
		return "", errors.New("it names no file")
	case strings.HasPrefix(text, "sqlite://") && !strings.HasPrefix(text, "sqlite:///"):
		return "", errors.New("a relative path has no slashes before it, and an absolute one has three")
	case strings.ContainsAny(text, "?#"):
		return "", errors.New("it takes no options after ? or #")
	}
	return u, nil
}

// checkRemote looks at what all stores on a network have in common.
func checkRemote(u StoreURL) error {
	example := remoteStores[u.Scheme()]
	rest, slashes := strings.CutPrefix(string(u), u.Scheme()+"://")
	switch {
	case !slashes || rest == "" || strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "?"):
		return errors.New("it names no server, table or bucket, as in " + example)
	case strings.Contains(rest, ":"+hidden+"@"):
		return errors.New("its password is hidden: put the password in place of " + hidden)
	}
	// The hosts of a cluster are no host to package url.
	if _, err := url.Parse(strings.ReplaceAll(string(u), ",", ".")); err != nil && !strings.Contains(u.Scheme(), "cluster") {
		return errors.New("it is no URL: what a password has of /, ?, #, @, % or : is written %2F, %3F, %23, %40, %25 and %3A")
	}
	return nil
}
