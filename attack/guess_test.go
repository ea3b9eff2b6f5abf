package attack

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestManyAtATimeGuessNoMorePasswordsThanOne(t *testing.T) {
	t.Parallel()
	tr := startTracker(t, "", nil, "--store", "memory:", "--limits-memory", "256M")
	post(t, tr, "/api/v1/accounts", `{"name": "anna", "role": "admin", "password": "correct horse"}`)
	began := time.Now()
	var looked, refused, let atomic.Int64
	var guessers sync.WaitGroup
	for range 20 {
		guessers.Go(func() {
			for range 15 {
				request, err := http.NewRequest(http.MethodPost, tr.console+"/login", strings.NewReader("name=anna&password=wrong+horse"))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				switch status, _ := do(t, request); status {
				case http.StatusUnauthorized:
					looked.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				default:
					let.Add(1)
				}
			}
		})
	}
	guessers.Wait()
	// Ten, and one more for each 6 s.
	if most := 10 + int64(time.Since(began)/(6*time.Second)) + 1; looked.Load() > most || looked.Load() == 0 || let.Load() > 0 || refused.Load()+looked.Load() != 300 {
		t.Errorf("of 300 guesses %d were looked at, want %d at most; %d were refused, %d let in", looked.Load(), most, refused.Load(), let.Load())
	}
	if _, most := resident(t, tr.cmd.Process.Pid); most >= 256e6 {
		t.Errorf("%d MB resident, with a limit of 256", most/1e6)
	}
	wantServed(t, tr)
}
