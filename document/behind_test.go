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

func TestWritingThatFailsIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer cancel()
		n := 0
		document.WriteBehind(ctx, time.Second, func(context.Context) error {
			if n++; n >= 3 && n <= 6 {
				return errors.New("gone")
			}
			return nil
		}, slog.New(slog.NewTextHandler(&log, nil)), "starts of torrents")
		text := log.String()
		if n != 10 || strings.Count(text, "starts of torrents cannot be written; they are kept") != 1 || strings.Count(text, "starts of torrents are written again") != 1 {
			t.Errorf("wrote %d times in 10 seconds, and logged\n%s", n, text)
		}
	})
}

func TestWritingThatTakesLongIsDoneLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		document.WriteBehind(ctx, time.Second, func(context.Context) error {
			n++
			time.Sleep(5 * time.Second)
			return nil
		}, slog.New(slog.DiscardHandler), "figures")
		if n != 3 { // after 1, 21 and 41 seconds
			t.Errorf("wrote %d times in a minute, each of which took 5 seconds", n)
		}
	})
}
