package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waggle/swarm"
)

// serveFake is a server of S3 on a bucket in memory. It does not look at signatures, and
// at conditions only where it honours them.
func serveFake(t *testing.T, b *fakeBucket, honours func(r *http.Request) bool) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"+testBucket), "/")
		match, none := strings.Trim(r.Header.Get("If-Match"), `"`), strings.Trim(r.Header.Get("If-None-Match"), `"`)
		if !honours(r) {
			match, none = "", ""
		}
		answerFake(w, r, b, key, match, none)
	}))
	t.Cleanup(server.Close)
	return server
}

func answerFake(w http.ResponseWriter, r *http.Request, b *fakeBucket, key, match, none string) {
	ctx := r.Context()
	switch {
	case r.Method == http.MethodGet && key == "":
		listFake(ctx, w, r, b)
	case r.Method == http.MethodGet:
		o, err := b.get(ctx, key, none)
		switch {
		case errors.Is(err, errSame):
			w.WriteHeader(http.StatusNotModified)
		case err != nil:
			refuse(w, http.StatusNotFound, "NoSuchKey")
		default:
			w.Header().Set("ETag", `"`+o.etag+`"`)
			_, _ = w.Write(o.body)
		}
	case r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		was := match
		if match == "" && none == "" {
			if o, err := b.get(ctx, key, ""); err == nil {
				was = o.etag
			}
		}
		etag, err := b.put(ctx, key, body, was)
		if err != nil {
			refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		w.Header().Set("ETag", `"`+etag+`"`)
	case r.Method == http.MethodDelete:
		_ = b.remove(ctx, key, "")
		w.WriteHeader(http.StatusNoContent)
	}
}

func listFake(ctx context.Context, w http.ResponseWriter, r *http.Request, b *fakeBucket) {
	type content struct {
		Key, ETag, LastModified string
		Size                    int64
	}
	var answer struct {
		XMLName     xml.Name `xml:"ListBucketResult"`
		IsTruncated bool
		Contents    []content
	}
	some, more, _ := b.list(ctx, r.URL.Query().Get("prefix"), r.URL.Query().Get("start-after"))
	answer.IsTruncated = more
	for _, l := range some {
		answer.Contents = append(answer.Contents, content{l.key, `"` + l.etag + `"`, l.modified.UTC().Format(time.RFC3339), l.size})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(answer)
}

func TestEndpointThatIgnoresConditionsIsRefused(t *testing.T) {
	for name, honours := range map[string]func(*http.Request) bool{
		"all":           func(*http.Request) bool { return false },
		"If-None-Match": func(r *http.Request) bool { return r.Header.Get("If-None-Match") == "" },
		"If-Match":      func(r *http.Request) bool { return r.Header.Get("If-Match") == "" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFake()
			o := versitygw.options("prefix")
			o.Endpoint = serveFake(t, b, honours).URL
			s, err := Open(t.Context(), o)
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), "does not honour conditions") || !strings.Contains(err.Error(), "If-") {
				t.Error(err)
			}
			if keys := b.keys(""); len(keys) != 0 {
				t.Errorf("left behind: %q", keys)
			}
		})
	}
	b := newFake()
	o := versitygw.options("prefix")
	o.Endpoint = serveFake(t, b, func(*http.Request) bool { return true }).URL
	do(t, open(t, o), announced(1, 1))
	if keys := b.keys(""); len(keys) != 2 {
		t.Errorf("the bucket has %q, want the mark and the swarm", keys)
	}
}

func TestRemovalsThatTheEndpointDoesNotLookAtAreRefused(t *testing.T) {
	for server, want := range map[*testServer]bool{versitygw: true, minio: false} {
		o := server.newPrefix()
		o.Deletes = DeletesConditional
		s, err := Open(t.Context(), o)
		if is := err == nil; is != want || !is && !strings.Contains(err.Error(), "leave deletes=conditional out") {
			t.Errorf("%s: %v", server.name, err)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		o.Deletes = DeletesAuto
		if s := open(t, o); s.options.trustsRemovals() {
			t.Errorf("%s is trusted by itself", server.name)
		}
	}
}

func TestEndpointIsNotProvedAgainTheSameDay(t *testing.T) {
	o := versitygw.newPrefix()
	now := time.Now()
	o.Now = func() time.Time { return now }
	if f := open(t, o).Figures(); f.Put < 5 {
		t.Errorf("the first time: %+v", f)
	}
	if f := open(t, o).Figures(); f.Put+f.List+f.Delete != 0 || f.Get != 1 {
		t.Errorf("the second time: %+v", f)
	}
	now = now.Add(25 * time.Hour)
	if f := open(t, o).Figures(); f.Put < 5 {
		t.Errorf("the day after: %+v", f)
	}
	now = now.Add(time.Hour)
	if f := open(t, o).Figures(); f.Get != 1 || f.Put != 0 {
		t.Errorf("and then: %+v", f)
	}
}

// TestTrackersThatStartAtOnceShareANewPrefix has one begin between two requests of another.
func TestTrackersThatStartAtOnceShareANewPrefix(t *testing.T) {
	for _, between := range []string{"list", "put", "delete"} {
		t.Run(between, func(t *testing.T) {
			b := newFake()
			o := versitygw.options("prefix")
			o.Endpoint = serveFake(t, b, func(*http.Request) bool { return true }).URL
			var began atomic.Bool
			b.turn = func(_ context.Context, verb, _ string) error {
				if verb == between && began.CompareAndSwap(false, true) {
					do(t, open(t, o), announced(1, 1))
				}
				return nil
			}
			if r := do(t, open(t, o), announced(1, 2)); r.Incomplete != 2 {
				t.Errorf("%+v, want both peers", r)
			}
		})
	}
}

func TestWhatIsWrongIsSaidAndNothingIsOverwritten(t *testing.T) {
	putMark := func(text string) func(*testing.T, *Options) {
		return func(t *testing.T, o *Options) {
			if _, err := bucketOf(t, *o).put(t.Context(), markKey, []byte(text), ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		spoil func(*testing.T, *Options)
		want  string
	}{
		"no such bucket":      {func(_ *testing.T, o *Options) { o.Bucket = "elsewhere" }, "there is no such bucket"},
		"unknown key":         {func(t *testing.T, _ *Options) { t.Setenv("AWS_ACCESS_KEY_ID", "nobody") }, "does not know the access key"},
		"wrong secret":        {func(t *testing.T, _ *Options) { t.Setenv("AWS_SECRET_ACCESS_KEY", "guessed-wrongly") }, "check the secret access key"},
		"nobody listens":      {func(_ *testing.T, o *Options) { o.Endpoint = "http://127.0.0.1:1" }, "cannot be reached"},
		"a newer schema":      {putMark(`{"format":"waggle swarms","schema":2}`), "upgrade this tracker"},
		"another program":     {putMark(`{"format":"something"}`), "another program"},
		"not a mark":          {putMark("schema"), "another program"},
		"something lies here": {func(t *testing.T, o *Options) { putObject(t, *o, "holiday.jpg") }, "not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			o := versitygw.newPrefix()
			whole := o
			before := keysOf(t, whole)
			if test.spoil(t, &o); !strings.Contains(name, "key") && !strings.Contains(name, "secret") {
				before = keysOf(t, whole)
			}
			s, err := Open(t.Context(), o)
			if err == nil {
				_ = s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "s3://"+o.Bucket) || strings.Contains(err.Error(), "guessed") {
				t.Errorf("%v, want %q", err, test.want)
			}
			if after := keysOf(t, whole); after != before {
				t.Errorf("the prefix had %q, and has %q", before, after)
			}
		})
	}
}

func TestRegionOfTheBucketIsSaid(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("x-amz-bucket-region", "eu-north-1")
		refuse(w, http.StatusMovedPermanently, "PermanentRedirect")
	}))
	defer server.Close()
	o := versitygw.newPrefix()
	o.Endpoint = server.URL
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "say ?region=eu-north-1") {
		t.Error(err)
	}
}

// TestAnswersAreUnderstoodWhateverServersCallThem has answers of servers to a PUT on
// condition, and what becomes of it.
func TestAnswersAreUnderstoodWhateverServersCallThem(t *testing.T) {
	for _, test := range []struct {
		status  int
		code    string
		want    error
		asked   int64 // requests
		healthy bool
	}{
		{http.StatusPreconditionFailed, "PreconditionFailed", errChanged, 1, true},
		{http.StatusConflict, "ConditionalRequestConflict", errChanged, 1, true},
		{http.StatusNotFound, "NoSuchKey", errChanged, 1, true},
		{http.StatusConflict, "OperationAborted", swarm.ErrBusy, attempts, true},
		{http.StatusServiceUnavailable, "SlowDown", swarm.ErrBusy, attempts, true},
		{http.StatusServiceUnavailable, "XMinioServerNotInitialized", swarm.ErrBusy, attempts, true},
		{http.StatusTooManyRequests, "Whatever", swarm.ErrBusy, attempts, true},
		{http.StatusInternalServerError, "InternalError", swarm.ErrBusy, attempts, true},
		{http.StatusForbidden, "AccessDenied", swarm.ErrBusy, 1, false},
		{http.StatusNotFound, "NoSuchBucket", swarm.ErrBusy, 1, false},
		{http.StatusBadRequest, "EntityTooLarge", nil, 1, true},
	} {
		t.Run(fmt.Sprint(test.status, test.code), func(t *testing.T) {
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				refuse(w, test.status, test.code)
			}))
			defer server.Close()
			o := versitygw.options("prefix")
			o.Endpoint = server.URL
			s := openAnyhow(t, o)
			_, err := s.server.put(t.Context(), "key", []byte("value"), wrongETag)
			if err == nil || test.want != nil && !errors.Is(err, test.want) || asked.Load() != test.asked || (s.Healthy() == nil) != test.healthy {
				t.Errorf("%v after %d requests; healthy: %v", err, asked.Load(), s.Healthy())
			}
		})
	}
}

func TestNoRegionAndNoCredentialsAreSaid(t *testing.T) {
	o := Options{Bucket: testBucket}
	t.Setenv("AWS_REGION", "")
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "?region=") {
		t.Error(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	o = versitygw.newPrefix()
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no credentials are found") {
		t.Error(err)
	}
}

func TestVersionsThatTheBucketKeepsAreWarnedOf(t *testing.T) {
	b := newFake()
	inner := serveFake(t, b, func(*http.Request) bool { return true })
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.Header().Set("x-amz-version-id", "3sL4kqtJlcpXroDTDmJ")
		}
		inner.Config.Handler.ServeHTTP(w, r)
	}))
	defer outer.Close()
	var said strings.Builder
	o := versitygw.options("prefix")
	o.Endpoint, o.Log = outer.URL, slog.New(slog.NewTextHandler(&said, nil))
	open(t, o)
	if !strings.Contains(said.String(), "keeps all versions") {
		t.Errorf("%q", said.String())
	}
}

// bucketOf returns the bucket of a store, below its prefix.
func bucketOf(t *testing.T, o Options) *amazon {
	t.Helper()
	b, err := newAmazon(t.Context(), new(o.withDefaults()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

func putObject(t *testing.T, o Options, key string) {
	t.Helper()
	if _, err := bucketOf(t, o).put(t.Context(), key, []byte("something"), ""); err != nil {
		t.Fatal(err)
	}
}

func keysOf(t *testing.T, o Options) string {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", testKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", testSecret)
	some, _, err := bucketOf(t, o).list(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, l := range some {
		keys = append(keys, l.key+" "+l.etag)
	}
	return strings.Join(keys, "\n")
}
