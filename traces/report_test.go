package traces

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLossesAreLoggedOnceAMinuteAndOnlyWhileThereAreSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(bytes.Buffer)
		e, err := Open(Options{Endpoint: "http://127.0.0.1:4318", Share: 1, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { e.Report(ctx); close(ended) }()
		time.Sleep(time.Second / 2) // so that nothing is lost just when it is logged
		for range 90 {              // in a minute and a half, something is lost each second
			e.figures.count(5, errors.New("it is gone"))
			e.figures.dropped.Add(1)
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		cancel()
		<-ended
		e.Close()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "dropped=60 not_taken=300") || !strings.Contains(lines[1], "dropped=30 not_taken=150") {
			t.Errorf("%s", log)
		}
		if !strings.Contains(lines[0], "it is gone") {
			t.Error("it does not say why")
		}
	})
}
