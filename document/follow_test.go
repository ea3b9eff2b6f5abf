package document_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/document"
)

func TestFaultIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer cancel()
		n := 0
		document.Follow(ctx, time.Second, func(context.Context) error {
			if n++; n >= 3 && n <= 6 {
				return errors.New("gone")
			}
			return nil
		}, slog.New(slog.NewTextHandler(&log, nil)), "accounts")
		text := log.String()
		if n != 10 || strings.Count(text, "cannot be read") != 1 || strings.Count(text, "the accounts are up to date again") != 1 {
			t.Errorf("asked %d times in 10 seconds, and logged\n%s", n, text)
		}
	})
}
