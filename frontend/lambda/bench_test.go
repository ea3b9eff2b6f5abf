package lambda_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"waggle/frontend/lambda"
	"waggle/frontend/lambda/lambdatest"
)

// BenchmarkInvoke is what the front itself takes of an announce event.
func BenchmarkInvoke(b *testing.B) {
	body := make([]byte, 250)
	for i := range body {
		body[i] = byte(i)
	}
	front := lambda.New(lambda.Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(body)
	})})
	r := httptest.NewRequest("GET", "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws/announce?info_hash=%ff%fe%80%00%01%c3%28abcdefghijk%f0%9f"+
		"&peer_id=-qB4500-012345678901&port=1024&uploaded=0&downloaded=0&left=1&corrupt=0&key=00000001&event=started&numwant=30&compact=1&no_peer_id=1", nil)
	for name, value := range map[string]string{
		"User-Agent": "qBittorrent/4.5.2", "Accept-Encoding": "gzip", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https",
		"X-Amzn-Trace-Id": "Root=1-5e9f0c65-1de4d666d4dd26aced652b6c", "X-Amzn-Tls-Version": "TLSv1.3", "X-Amzn-Tls-Cipher-Suite": "TLS_AES_128_GCM_SHA256",
	} {
		r.Header.Set(name, value)
	}
	event, err := lambdatest.Event(r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := front.Invoke(b.Context(), event); err != nil {
			b.Fatal(err)
		}
	}
}
