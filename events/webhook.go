package events

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"waggle/events/signature"
)

const (
	maxHeader = 64 << 10 // bytes of the header of an answer
	maxAnswer = 64 << 10 // bytes of an answer that are read, so that its connection can be kept
	maxQuoted = 200      // bytes of it that are shown where it is a refusal
)

// webhook posts batches.
type webhook struct {
	client   *http.Client
	software string
}

func newWebhook(software string) *webhook {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 1
	transport.MaxResponseHeaderBytes = maxHeader
	transport.DisableCompression = true // nobody reads the answer
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return &webhook{software: software, client: &http.Client{
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // events are for this receiver alone
		},
	}}
}

func (w *webhook) send(ctx context.Context, e *envelope, s *Settings) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Webhook, bytes.NewReader(e.body))
	if err != nil {
		return errors.New("events.webhook is no URL") // which the configuration has checked
	}
	h := request.Header
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", w.software)
	h.Set("Waggle-Batch", e.id)
	h.Set(signature.Header, e.signature)
	if e.gzipped {
		h.Set("Content-Encoding", "gzip")
	}
	response, err := w.client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode/100 == 2 {
		return nil
	}
	return refusal(response, answer)
}

// withoutURL is an error of a request without its URL, which may have a secret.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// refusal says how a batch was refused, and what to do.
func refusal(r *http.Response, answer []byte) error {
	err := fmt.Errorf("it answers %d %s%s", r.StatusCode, http.StatusText(r.StatusCode), remedy(r.StatusCode))
	if len(answer) > 0 {
		err = fmt.Errorf("%w: %q", err, answer[:min(len(answer), maxQuoted)])
	}
	switch r.StatusCode {
	case http.StatusRequestEntityTooLarge:
		err = &tooLarge{&unfit{err}}
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		err = &unfit{err}
	}
	if wait := retryAfter(r.Header.Get("Retry-After"), time.Now()); wait > 0 {
		return &later{err, wait}
	}
	return err
}

func remedy(status int) string {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return " to a single event; have it take larger requests"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "; give both sides the same secret, and clocks that agree"
	case status == http.StatusNotFound || status/100 == 3:
		return "; correct events.webhook, redirects are not followed"
	}
	return ""
}

// retryAfter reads the header of that name: seconds, or a date. 0: it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

func (*webhook) target(s *Settings) string {
	u, err := url.Parse(s.Webhook)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (w *webhook) close() error {
	w.client.CloseIdleConnections()
	return nil
}
