//go:build lab

package lab

import (
	"fmt"
	"io"
	"sync"
	"testing"
)

// figures are what tests have measured, for the table at the end.
var figures struct {
	mu   sync.Mutex
	rows []string
}

// figure prints something that was measured, now and at the end.
func figure(t *testing.T, what, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	t.Logf("%s: %s", what, text)
	figures.mu.Lock()
	defer figures.mu.Unlock()
	figures.rows = append(figures.rows, fmt.Sprintf("| %s | %s |", what, text))
}

// printFigures prints the table, if there is anything in it.
func printFigures(w io.Writer) {
	figures.mu.Lock()
	defer figures.mu.Unlock()
	if len(figures.rows) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, "| measured | |\n|---|---|")
	for _, row := range figures.rows {
		_, _ = fmt.Fprintln(w, row)
	}
}
