package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// Bounds of a token, in bytes. A shorter one could be guessed.
const (
	minToken = 16
	maxToken = 1024
)

// ReadToken reads a file of one line, the token of the API: 16 to 1,024 bytes of
// printable ASCII without spaces. It refuses a file that others than its owner and
// group may read. Errors begin with the path.
func ReadToken(path string) (string, error) {
	token, err := readToken(path)
	if err != nil {
		return "", fmt.Errorf("token file %s: %w", path, withoutPath(err))
	}
	return token, nil
}

// ReadSecrets reads a file of one or two lines, each of which is as a token, under the
// same conditions. Errors begin with the path.
func ReadSecrets(path string) ([]string, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, withoutPath(err))
	}
	secrets := strings.Fields(text)
	if len(secrets) != 1 && len(secrets) != 2 {
		return nil, fmt.Errorf("%s: a secret stands on a line of its own, and while it is replaced the old one on a second; make one with: openssl rand -hex 32", path)
	}
	for i, secret := range secrets {
		if err := checkToken(secret); err != nil {
			return nil, fmt.Errorf("%s: secret %d: %w", path, i+1, err)
		}
	}
	return secrets, nil
}

func readToken(path string) (string, error) {
	token, err := readPrivate(path)
	if err != nil {
		return "", err
	}
	return token, checkToken(token)
}

// readPrivate reads a short text of a file that others may not read.
func readPrivate(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	stat, err := f.Stat()
	if err != nil {
		return "", err
	}
	// Windows has no such permissions, and Go says there that all may read.
	if runtime.GOOS != "windows" && stat.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("anybody on this machine may use it: chmod o-rwx %s", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, 2*(maxToken+2)))
	return strings.TrimSpace(string(b)), err
}

func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("it is empty; write a token into it, such as that of: openssl rand -hex 32")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("a token is one line of printable ASCII without spaces, such as that of: openssl rand -hex 32")
	case len(token) > maxToken:
		return fmt.Errorf("a token has at most %d characters", maxToken)
	case len(token) < minToken:
		return fmt.Errorf("a token has at least %d characters, so that nobody guesses it; make one with: openssl rand -hex 32", minToken)
	}
	return nil
}

// withoutPath is an error without the path, which the message already has.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
