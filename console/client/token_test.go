package client_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waggle/console/client"
)

const good = "0123456789abcdef0123456789abcdef"

func tokenFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token.txt")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTokenIsTheOneLineOfAFile(t *testing.T) {
	for _, content := range []string{good, good + "\n", good + "\r\n", " " + good + "\n\n"} {
		for _, mode := range []os.FileMode{0o400, 0o600, 0o640} {
			if got, err := client.ReadToken(tokenFile(t, content, mode)); err != nil || got != good {
				t.Errorf("%q in mode %o is %q, %v", content, mode, got, err)
			}
		}
	}
}

func TestTokenFileThatOthersMayReadIsRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o604, 0o644, 0o602, 0o666} {
		path := tokenFile(t, good, mode)
		if got, err := client.ReadToken(path); err == nil || !strings.Contains(err.Error(), "chmod o-rwx "+path) || got != "" {
			t.Errorf("mode %o: %q, %v", mode, got, err)
		}
	}
}

func TestTokenThatIsNoneIsRefusedAndNotRepeated(t *testing.T) {
	for content, say := range map[string]string{
		"":                         "empty",
		"\n":                       "empty",
		"short":                    "at least 16",
		good + "\n" + good:         "one line",
		good + " x":                "one line",
		"pässwörd-" + good:         "one line",
		strings.Repeat("a", 1025):  "at most 1024",
		strings.Repeat("a", 1<<20): "at most 1024",
	} {
		got, err := client.ReadToken(tokenFile(t, content, 0o600))
		if err == nil || !strings.Contains(err.Error(), say) || got != "" {
			t.Errorf("%.20q: %q, %v", content, got, err)
		} else if len(content) > 8 && strings.Contains(err.Error(), content[:8]) {
			t.Errorf("%.20q is repeated in %v", content, err)
		}
	}
	if _, err := client.ReadToken(filepath.Join(t.TempDir(), "missing")); err == nil || strings.Count(err.Error(), "missing") != 1 {
		t.Errorf("a file that is missing: %v", err)
	}
}

func TestFileOfSecretsHasOneOrTwo(t *testing.T) {
	write := func(text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "secrets")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const newer, older = "0123456789abcdef", "fedcba9876543210"
	for text, want := range map[string][]string{newer + "\n": {newer}, "\n" + newer + "\r\n" + older + "\n\n": {newer, older}} {
		if got, err := client.ReadSecrets(write(text, 0o600)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "a secret stands on a line of its own", newer + "\n" + older + "\n" + newer: "a secret stands on a line of its own",
		newer + "\nshort": "secret 2: a token has at least 16", strings.Repeat("x", 5000): "at most 1024",
	} {
		if got, err := client.ReadSecrets(write(text, 0o600)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q is %q, %v", text, got, err)
		}
	}
	if _, err := client.ReadSecrets(write(newer, 0o604)); err == nil || !strings.Contains(err.Error(), "chmod o-rwx") {
		t.Error(err)
	}
}
