package config

import (
	"errors"
	"strings"
)

// StoreURL says which store keeps the swarms, and where: memory:, sqlite:relative/path or
// sqlite:///absolute/path.
type StoreURL string

// Scheme is the store's name, "memory" or "sqlite".
func (u StoreURL) Scheme() string {
	scheme, _, _ := strings.Cut(string(u), ":")
	return scheme
}

// Path is the file of a sqlite store, taken as it is written: relative to the working directory
// unless it begins with a slash. It is empty for a memory store.
func (u StoreURL) Path() string {
	_, rest, _ := strings.Cut(string(u), ":")
	return strings.TrimPrefix(rest, "//")
}

func parseStoreURL(text string) (StoreURL, error) {
	u := StoreURL(text)
	switch {
	case text == "memory":
		return "", errors.New(`it lacks the colon, as in "memory:"`)
	case text == "memory:":
		return u, nil
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
