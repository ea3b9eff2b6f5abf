package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"waggle/frontend/lambda"
)

// checked answers what it is asked, and fails where the request is none that net/http
// could have made.
func checked(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL == nil || r.URL.Path == "" || r.URL.Path[0] != '/' || r.Header == nil || r.Header.Get("Via") == "" || !r.ProtoAtLeast(1, 1) {
			t.Errorf("%+v", r)
		}
		if _, err := netip.ParseAddrPort(r.RemoteAddr); err != nil && r.RemoteAddr != "" {
			t.Errorf("it comes from %q", r.RemoteAddr)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || int64(len(body)) != r.ContentLength {
			t.Errorf("%d bytes of %d, %v", len(body), r.ContentLength, err)
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.WriteString(w, r.URL.RawQuery)
		_, _ = w.Write(body)
	})
}

func tidyNothing(context.Context) (int, error) { return 0, nil }

// FuzzInvoke sends any bytes for an event. The answer is JSON, or there is an error.
func FuzzInvoke(f *testing.F) {
	for _, name := range []string{"function-url.json", "http-api-2.0.json", "rest-api.json", "balancer.json", "balancer-lists.json", "schedule.json", "openwhisk.json"} {
		f.Add(read(f, name))
	}
	f.Add([]byte(payload1("\ufffd")))
	f.Fuzz(func(t *testing.T, event []byte) {
		answer, err := lambda.New(lambda.Options{Handler: checked(t), Tidy: tidyNothing}).Invoke(t.Context(), event)
		if (err == nil) != json.Valid(answer) {
			t.Errorf("%s, %v", answer, err)
		}
	})
}

// FuzzRun sends any bytes for an activation. Each has an answer in JSON.
func FuzzRun(f *testing.F) {
	f.Add(read(f, "openwhisk.json"))
	f.Add([]byte(activation("info_hash=%EF%BF%BD", `"content-type":"text/plain"`, "/wB4")))
	f.Add([]byte(`{"value":{"detail-type":"Scheduled Event"},"deadline":"1"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		action := lambda.NewAction(lambda.ActionOptions{Open: func(context.Context, map[string]string) (*lambda.Front, error) {
			return lambda.New(lambda.Options{Handler: checked(t), Tidy: tidyNothing}), nil
		}})
		action.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/init", bytes.NewBufferString(initiation)))
		w := httptest.NewRecorder()
		action.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/run", bytes.NewReader(body)))
		if !json.Valid(w.Body.Bytes()) || w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
