package http_test

import (
	"net/http"
	"testing"

	frontend "waggle/frontend/http"
)

func TestPagesAnswerWhatIsNeitherAnnounceNorScrapeNorHealth(t *testing.T) {
	s := listen(t, func(o *frontend.Options) {
		o.Pages = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				http.NotFound(w, r)
				return
			}
			_, _ = w.Write([]byte("a page"))
		})
	})
	s.announce(t, s.v4()+query(1, ""))
	if got := s.get(t, s.v4()+"/"); string(got) != "a page" {
		t.Errorf("the page is %q", got)
	}
	if got := s.get(t, s.v6()+"/health"); string(got) != "ok\n" {
		t.Errorf("health is %q", got)
	}
	if r := s.announce(t, s.v4()+query(2, "")); len(peers(&r)) != 1 {
		t.Errorf("an announce after a page is told of %v", peers(&r))
	}
	response, err := s.client.Get(s.v4() + "/console")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if f := s.Figures(); response.StatusCode != http.StatusNotFound || f.NotFound != 1 {
		t.Errorf("status %d, %+v", response.StatusCode, f)
	}
}
