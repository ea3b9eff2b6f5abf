package bench

import (
	"errors"
	"strings"
	"testing"
)

func TestAnswerIsReadFromItsHeaders(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		ended bool
		body  string
		last  bool
		rest  string
		err   error
		more  bool
	}{
		"with a length":        {text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nd0eHTTP", body: "d0e", rest: "HTTP"},
		"in any case":          {text: "HTTP/1.1 200 OK\r\nX: y\r\ncONTENT-lENGTH:3\r\n\r\nd0e", body: "d0e"},
		"ending its line":      {text: "HTTP/1.1 200 OK\r\nContent-Length:    5  \r\n\r\nd0e\r\nHTTP", body: "d0e", rest: "HTTP"},
		"of no length":         {text: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		"that closes":          {text: "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx", body: "x", last: true},
		"of HTTP/1.0":          {text: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", body: "x", last: true},
		"of 1.0 that keeps":    {text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", body: "x"},
		"without a length":     {text: "HTTP/1.1 200 OK\r\n\r\nwhole", ended: true, body: "whole", last: true},
		"and its end to come":  {text: "HTTP/1.1 200 OK\r\n\r\nwhole", more: true},
		"half a body":          {text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nd0", more: true},
		"half a head":          {text: "HTTP/1.1 200 OK\r\nContent-Le", more: true},
		"nothing":              {more: true},
		"cut in the body":      {text: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nd0", ended: true, err: errCut},
		"cut in the head":      {text: "HTTP/1.1 200", ended: true, err: errCut},
		"of another protocol":  {text: "SSH-2.0-OpenSSH_10\r\n\r\n", err: errNotHTTP},
		"with an odd status":   {text: "HTTP/1.1 xyz\r\n\r\n", err: errNotHTTP},
		"with an odd length":   {text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", err: errLength},
		"in chunks":            {text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", err: errChunked},
		"with endless headers": {text: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 4_000), err: errHead},
		"too large":            {text: "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", err: errTooLarge},
	} {
		a, used, err := readAnswer([]byte(test.text), test.ended)
		if !errors.Is(err, test.err) || (used == 0) != (test.more || test.err != nil) {
			t.Errorf("an answer %s: %d bytes used, %v, want %v", name, used, err, test.err)
			continue
		}
		if used > 0 && (a.status != 200 || string(a.body) != test.body || a.last != test.last || test.text[used:] != test.rest) {
			t.Errorf("an answer %s: %+v, and %q is left", name, a, test.text[used:])
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nd0e"), false)
	f.Add([]byte("HTTP/1.0 404 Not Found\r\n\r\n"), true)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, ended bool) {
		a, used, err := readAnswer(b, ended)
		switch {
		case used < 0 || used > len(b) || len(a.body) > used:
			t.Errorf("%d bytes were used of %d for a body of %d", used, len(b), len(a.body))
		case used > 0 && err != nil:
			t.Errorf("an answer of %d bytes, and %v", used, err)
		case used == 0 && err == nil && ended:
			t.Error("more is waited for behind the end")
		}
	})
}
