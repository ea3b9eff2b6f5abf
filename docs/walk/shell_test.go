package walk

import (
	"os/exec"
	"strings"
	"testing"
)

// TestCommandsOfTheManualCanBeReadByBash has bash read all, those too that are not run.
func TestCommandsOfTheManualCanBeReadByBash(t *testing.T) {
	for _, page := range manual(t) {
		for _, b := range page.Blocks {
			if b.Kind != "sh" {
				continue
			}
			bash := exec.CommandContext(t.Context(), "bash", "-n")
			bash.Stdin = strings.NewReader(b.script("log"))
			if out, err := bash.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s:%d: %v\n%s", page.Path, b.Line, err, out)
			}
		}
	}
}
