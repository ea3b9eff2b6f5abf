package carrier

import (
	"fmt"
	"io"
	"log/slog"
)

// secret is text that nothing prints: neither fmt nor a log, alone or in a struct.
type secret struct{ text *string } // fmt follows no pointer within a struct

func newSecret(text string) secret { return secret{&text} }

// reveal returns the text, for a file or a line that is meant to have it.
func (s secret) reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Format writes that there is a secret, whatever the verb.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

// LogValue is what logs show.
func (secret) LogValue() slog.Value { return slog.StringValue("(secret)") }
