//go:build !portable

package http_test

import (
	"testing"

	frontend "waggle/frontend/http"
)

func TestConnectionThatEndsWithItsFirstAnswerCountsForNobody(t *testing.T) {
	s := listen(t, func(o *frontend.Options) { o.MaxPerAddress = 1 })
	kept := s.dial(t)
	kept.send(plain(1))
	kept.answer(200)
	for n := range 3 {
		once := s.dial(t)
		once.send(plain(2+n, "Connection: close"))
		wantAnswers(t, once.rest(), 1)
	}
	if f := s.Figures(); f.Crowded != 0 {
		t.Errorf("%d connections were too many", f.Crowded)
	}
}
