package events

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"waggle/events/signature"
	"waggle/internal/clustertest"
)

// site is a receiver over HTTP, which keeps what is signed rightly.
type site struct {
	answer func(w http.ResponseWriter, r *http.Request) bool // nil: it takes all; true: it goes on

	mu      sync.Mutex
	parcels []parcel
	wrong   []string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && s.answer != nil && !s.answer(w, r) {
		return
	}
	var p parcel
	if err == nil {
		p, err = open(body, r.Header.Get("Content-Encoding") == "gzip", r.Header.Get(signature.Header))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := r.Header
	switch {
	case err != nil:
		s.wrong = append(s.wrong, err.Error())
	case r.Method != http.MethodPost || h.Get("Content-Type") != "application/json" || h.Get("User-Agent") != "waggle test" || h.Get("Waggle-Batch") != p.Batch:
		s.wrong = append(s.wrong, fmt.Sprintf("%s %s %v", r.Method, r.URL, h))
	default:
		s.parcels = append(s.parcels, p)
	}
}

// numbers are the peers of the events that came, batches that came again left out.
func (s *site) numbers() (all []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, p := range s.parcels {
		if seen[p.Batch] {
			continue
		}
		seen[p.Batch] = true
		for _, e := range p.Events {
			all = append(all, int(*e.Uploaded))
		}
	}
	return all
}

func (s *site) wantNothingWrong(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wrong) > 0 {
		t.Errorf("the receiver refused %q", s.wrong)
	}
}

// hooked opens a stream to a webhook. Batches go every tenth of a second.
func hooked(t *testing.T, url string, change func(*Options)) *Stream {
	t.Helper()
	o := Options{Settings: someSettings(), Directory: t.TempDir(), Tracker: "ams1", Software: "waggle test", Log: slog.New(slog.DiscardHandler)}
	o.Webhook, o.Every = url, 100*time.Millisecond
	if change != nil {
		change(&o)
	}
	st, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestWebhookGetsWhatIsSigned(t *testing.T) {
	for _, compress := range []bool{false, true} {
		s := &site{}
		server := httptest.NewServer(s)
		defer server.Close()
		st := hooked(t, server.URL+"/in?key=hush", func(o *Options) { o.Compress = compress })
		st.Announce(anAnnounce(1))
		eventually(t, "the event comes", func() bool { return slices.Equal(s.numbers(), []int{1}) })
		if f := st.Figures().Ends[0]; f.Name != "webhook" || f.Target != server.URL {
			t.Errorf("%+v", f)
		}
		closed(t, st)
		s.wantNothingWrong(t)
	}
}

// TestWebhookThatIsIllGetsAllInTheEnd has it answer with errors, hang, cut the connection, and go away.
func TestWebhookThatIsIllGetsAllInTheEnd(t *testing.T) {
	var ills atomic.Int32
	hang := make(chan struct{})
	s := &site{answer: func(w http.ResponseWriter, _ *http.Request) bool {
		switch ills.Add(1) {
		case 1:
			http.Error(w, "no "+strings.Repeat("x", 2*maxAnswer), http.StatusInternalServerError)
		case 2:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 3:
			<-hang
		case 4:
			panic(http.ErrAbortHandler)
		default:
			return true
		}
		return false
	}}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	defer server.Close()
	st := hooked(t, server.URL, func(o *Options) { o.Timeout = time.Second })
	st.Announce(anAnnounce(1))
	settings := *st.settings.Load()
	for range 4 { // a reload has it tried at once, which is quicker than to wait
		before := st.Figures().Ends[0].Failed
		st.Announce(anAnnounce(2))
		eventually(t, "an attempt fails", func() bool { return st.Figures().Ends[0].Failed > before })
		st.Apply(settings)
	}
	eventually(t, "both come", func() bool { return len(s.numbers()) == 5 })
	close(hang)
	closed(t, st)
	s.wantNothingWrong(t)
}

func TestWebhookThatRefusesSaysWhy(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for status, want := range map[int]string{
		http.StatusInternalServerError:           `it answers 500 Internal Server Error: "why\x1b"`,
		http.StatusTemporaryRedirect:             "redirects are not followed",
		http.StatusForbidden:                     "give both sides the same secret",
		http.StatusRequestEntityTooLarge:         "have it take larger requests",
		http.StatusNotFound:                      "correct events.webhook",
		http.StatusNetworkAuthenticationRequired: "it answers 511",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(status)
			_, _ = w.Write([]byte("why\x1b"))
		}))
		st := hooked(t, server.URL+"/hush?token=hush", nil)
		st.Announce(anAnnounce(1))
		eventually(t, "it is said what is wrong", func() bool { return st.Figures().Ends[0].Problem != "" })
		if f := st.Figures().Ends[0]; !strings.Contains(f.Problem, want) || strings.Contains(fmt.Sprint(f), "hush") || f.Waiting != 1 {
			t.Errorf("%d: %+v, want %q", status, f, want)
		}
		closed(t, st)
		server.Close()
	}
	if elsewhere.Load() != 0 {
		t.Error("it went where it was redirected")
	}
}

func TestSecretOfAWebhookIsNotInItsErrors(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	st := hooked(t, strings.Replace(server.URL, "://", "://u:hush@", 1)+"/hush", nil)
	st.Announce(anAnnounce(1))
	eventually(t, "it is said what is wrong", func() bool { return st.Figures().Ends[0].Problem != "" })
	if f := st.Figures().Ends[0]; strings.Contains(fmt.Sprint(f), "hush") || f.Target != server.URL {
		t.Errorf("%+v", f)
	}
	closed(t, st)
}

func TestWebhookWithAWrongCertificateGetsNothing(t *testing.T) {
	s := &site{}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	st := hooked(t, server.URL, nil)
	st.Announce(anAnnounce(1))
	eventually(t, "it is said what is wrong", func() bool { return strings.Contains(st.Figures().Ends[0].Problem, "certificate") })
	closed(t, st)
	if got := s.numbers(); len(got) != 0 {
		t.Errorf("it has %v", got)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	w := newWebhook("waggle test")
	w.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	st = hooked(t, server.URL, func(o *Options) { o.ends = []*end{newEnd("webhook", w)} })
	st.Announce(anAnnounce(1))
	eventually(t, "the event comes", func() bool { return slices.Equal(s.numbers(), []int{1}) })
	closed(t, st)
	s.wantNothingWrong(t)
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "99999999999": 0, "soon": 0, "0": 0,
		now.Add(time.Hour).UTC().Format(http.TimeFormat):  time.Hour,
		now.Add(-time.Hour).UTC().Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// published opens a stream to a NATS.
func published(t *testing.T, n NATS, change func(*Options)) *Stream {
	t.Helper()
	n.Plain, n.Subject = true, "waggle.events"
	return hooked(t, "", func(o *Options) {
		o.NATS = &n
		if change != nil {
			change(o)
		}
	})
}

// hear has a site hear what is published, until the test ends.
func (s *site) hear(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if _, err = nc.Subscribe("waggle.>", s.take); err == nil {
		err = nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) take(m *nats.Msg) {
	p, err := open(m.Data, m.Header.Get("Content-Encoding") == "gzip", m.Header.Get(signature.Header))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || m.Header.Get(nats.MsgIdHdr) != p.Batch || m.Subject != "waggle.events" {
		s.wrong = append(s.wrong, fmt.Sprint(err, m.Header, m.Subject))
		return
	}
	s.parcels = append(s.parcels, p)
}

func TestWhoeverListensAtANATSGetsEvents(t *testing.T) {
	n, _ := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT})
	for _, mode := range []string{JetStreamAuto, JetStreamNever} {
		s := &site{}
		s.hear(t, n.ClientURL())
		st := published(t, NATS{URL: n.ClientURL(), JetStream: mode}, func(o *Options) { o.Compress = mode == JetStreamNever })
		st.Announce(anAnnounce(1))
		eventually(t, "the event comes", func() bool { return slices.Equal(s.numbers(), []int{1}) })
		eventually(t, "it is counted", func() bool { return st.Figures().Ends[0].Sent == 1 })
		if f := st.Figures().Ends[0]; f.Name != "nats" || f.Target != n.ClientURL()+" waggle.events" {
			t.Errorf("%+v", f)
		}
		closed(t, st)
		s.wantNothingWrong(t)
	}
}

func streaming(t *testing.T, port int, directory string) (s *server.Server, stop func()) {
	return clustertest.NATS(t, server.Options{Port: port, JetStream: true, StoreDir: directory})
}

// TestStreamGetsEachBatchOnce has the NATS go away for a while, and what is published again left out.
func TestStreamGetsEachBatchOnce(t *testing.T) {
	directory := t.TempDir()
	n, stop := streaming(t, server.RANDOM_PORT, directory)
	url, port := n.ClientURL(), int(netip.MustParseAddrPort(n.Addr().String()).Port())
	addStream := func() nats.JetStreamContext {
		nc, err := nats.Connect(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := nc.JetStream()
		if err == nil {
			_, err = js.AddStream(&nats.StreamConfig{Name: "EVENTS", Subjects: []string{"waggle.events"}})
		}
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	addStream()
	st := published(t, NATS{URL: url}, nil)
	st.Announce(anAnnounce(1))
	eventually(t, "the stream has it", func() bool { return st.Figures().Ends[0].Sent == 1 })
	stop()
	st.Announce(anAnnounce(2))
	eventually(t, "it is said what is wrong", func() bool { return strings.Contains(st.Figures().Ends[0].Problem, "NATS") })
	n, _ = streaming(t, port, directory)
	eventually(t, "the stream has the other", func() bool { return st.Figures().Ends[0].Sent == 2 })

	// Whoever is not sure that it was taken says it again.
	b := st.ends[0].sender.(*broker)
	again, err := seal(&piece{&batch{sequence: 1, run: "0", count: 1}, 0, 1, []byte("{}")}, 0, "ams1", st.settings.Load(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	closed(t, st)
	js := addStream()
	other, err := newBroker(&b.o)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is connected", other.nc.IsConnected)
	for range 3 {
		if err := other.send(t.Context(), again, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.close(); err != nil {
		t.Error(err)
	}
	info, err := js.StreamInfo("EVENTS")
	if err != nil || info.State.Msgs != 3 {
		t.Errorf("%+v, %v: want three messages", info, err)
	}
	if n.ClientURL() != url {
		t.Fatal(n.ClientURL())
	}
}

func TestEventsWaitForAStreamWhereOneHasToTakeThem(t *testing.T) {
	n, _ := streaming(t, server.RANDOM_PORT, t.TempDir())
	s := &site{}
	s.hear(t, n.ClientURL())
	st := published(t, NATS{URL: n.ClientURL(), JetStream: JetStreamAlways}, func(o *Options) { o.Timeout = time.Second })
	st.Announce(anAnnounce(1))
	eventually(t, "it is said what is wrong", func() bool { return st.Figures().Ends[0].Problem != "" })
	if f := st.Figures().Ends[0]; f.Sent != 0 || f.Waiting != 1 {
		t.Errorf("%+v", f)
	}
	closed(t, st)
}

// TestEventsWaitForAStreamThatWasThere has it deleted for a while, as it is while its server starts.
func TestEventsWaitForAStreamThatWasThere(t *testing.T) {
	n, _ := streaming(t, server.RANDOM_PORT, t.TempDir())
	nc, err := nats.Connect(n.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	add := func() {
		if _, err := js.AddStream(&nats.StreamConfig{Name: "EVENTS", Subjects: []string{"waggle.events"}}); err != nil {
			t.Fatal(err)
		}
	}
	add()
	st := published(t, NATS{URL: n.ClientURL()}, func(o *Options) { o.Timeout = time.Second })
	st.Announce(anAnnounce(1))
	eventually(t, "the stream has it", func() bool { return st.Figures().Ends[0].Sent == 1 })
	if err := js.DeleteStream("EVENTS"); err != nil {
		t.Fatal(err)
	}
	st.Announce(anAnnounce(2))
	eventually(t, "it is said what is wrong", func() bool {
		return strings.Contains(st.Figures().Ends[0].Problem, "no stream takes waggle.events any more")
	})
	for range 2 { // which looks again, and does not find a stream
		failed := st.Figures().Ends[0].Failed
		st.Apply(*st.settings.Load())
		eventually(t, "it is tried again", func() bool { return st.Figures().Ends[0].Failed > failed })
	}
	add()
	st.Apply(*st.settings.Load())
	eventually(t, "the stream has the other", func() bool { return st.Figures().Ends[0].Sent == 2 })
	if info, err := js.StreamInfo("EVENTS"); err != nil || info.State.Msgs != 1 {
		t.Errorf("%+v, %v: want one message", info, err)
	}
	closed(t, st)
}

// TestMessageThatIsTooLargeForAStreamComesInPieces has a stream take less than its server.
func TestMessageThatIsTooLargeForAStreamOrItsServerComesInPieces(t *testing.T) {
	for name, o := range map[string]struct {
		server int32
		stream int32
	}{"server": {2000, -1}, "stream": {1 << 20, 2000}} {
		n, _ := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), MaxPayload: o.server, MaxPending: 1 << 20})
		nc, err := nats.Connect(n.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		js, err := nc.JetStream()
		if err == nil {
			_, err = js.AddStream(&nats.StreamConfig{Name: "EVENTS", Subjects: []string{"waggle.events"}, MaxMsgSize: o.stream})
		}
		if err != nil {
			t.Fatal(err)
		}
		st := published(t, NATS{URL: n.ClientURL()}, func(o *Options) { o.Every = time.Second })
		for i := range 20 {
			st.Announce(anAnnounce(i + 1))
		}
		eventually(t, "all come", func() bool { return st.Figures().Ends[0].Sent == 20 })
		if info, err := js.StreamInfo("EVENTS"); err != nil || info.State.Msgs < 2 {
			t.Errorf("%s: %+v, %v: want several messages", name, info, err)
		}
		closed(t, st)
		nc.Close()
	}
}

func TestNATSThatDoesNotLetPublishSaysSo(t *testing.T) {
	n, _ := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT, Users: []*server.User{{
		Username: "u", Password: "hush", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"other.>"}}},
	}}})
	url := strings.Replace(n.ClientURL(), "://", "://u:hush@", 1)
	for _, mode := range []string{JetStreamNever, JetStreamAlways} {
		st := published(t, NATS{URL: url, JetStream: mode}, func(o *Options) { o.Timeout = time.Second })
		st.Announce(anAnnounce(1))
		eventually(t, "it is said what is wrong", func() bool {
			return strings.Contains(st.Figures().Ends[0].Problem, "has to let this user publish to waggle.events")
		})
		if f := st.Figures().Ends[0]; strings.Contains(fmt.Sprint(f), "hush") || f.Sent != 0 {
			t.Errorf("%s: %+v", mode, f)
		}
		closed(t, st)
	}
}

func TestBatchThatANATSDoesNotTakeSaysSo(t *testing.T) {
	n, _ := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT, MaxPayload: 200, MaxPending: 1000})
	st := published(t, NATS{URL: n.ClientURL()}, nil)
	st.Announce(anAnnounce(1))
	eventually(t, "it is said what is wrong", func() bool { return strings.Contains(st.Figures().Ends[0].Problem, "raise its max_payload") })
	closed(t, st)
}

func TestNATSThatWantsTLSIsWhatItSays(t *testing.T) {
	n, _ := clustertest.NATS(t, server.Options{Port: server.RANDOM_PORT})
	o := NATS{URL: n.ClientURL(), Subject: "waggle.events"} // not plain
	st := hooked(t, "", func(all *Options) { all.NATS = &o })
	st.Announce(anAnnounce(1))
	eventually(t, "it is said what is wrong", func() bool { return strings.Contains(st.Figures().Ends[0].Problem, "secure connection") })
	if f := st.Figures().Ends[0]; f.Sent != 0 {
		t.Errorf("%+v", f)
	}
	closed(t, st)
}

func TestEventsThatNobodyIsToldAreRefused(t *testing.T) {
	if _, err := Open(Options{Settings: someSettings()}); err == nil {
		t.Error("nobody is told")
	}
}
