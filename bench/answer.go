package bench

import (
	"bytes"
	"errors"
	"strconv"
)

// httpAnswer is the answer to an HTTP request. Its body is part of what was read.
type httpAnswer struct {
	status int
	body   []byte
	last   bool // the server closes the connection behind it
}

// Faults of an HTTP answer.
var (
	errNotHTTP  = errors.New("an answer that is not HTTP")
	errLength   = errors.New("a Content-Length that is no number")
	errChunked  = errors.New("a chunked answer, which trackers do not send")
	errHead     = errors.New("an answer with more than 16 KiB of headers")
	errTooLarge = errors.New("an answer of more than 1 MiB")
	errCut      = errors.New("the connection ended before the answer")
)

// Limits of an answer in bytes.
const (
	maxHead = 16 << 10
	maxBody = 1 << 20
)

var (
	headEnd    = []byte("\r\n\r\n")
	lineEnd    = []byte("\r\n")
	colon      = []byte(":")
	http10     = []byte("HTTP/1.0 ")
	http11     = []byte("HTTP/1.1 ")
	length     = []byte("content-length")
	encoding   = []byte("transfer-encoding")
	connection = []byte("connection")
	closes     = []byte("close")
	keeps      = []byte("keep-alive")
)

// readAnswer reads the first answer in b, and returns how many bytes it takes; 0
// where more have to come. ended tells that no more will. An answer without a length
// goes on to the end.
func readAnswer(b []byte, ended bool) (a httpAnswer, used int, err error) {
	head := bytes.Index(b, headEnd)
	switch {
	case head < 0 && len(b) > maxHead:
		return a, 0, errHead
	case head < 0 && ended:
		return a, 0, errCut
	case head < 0:
		return a, 0, nil
	}
	a, size, err := readHead(b[:head])
	if err != nil {
		return a, 0, err
	}
	body := b[head+len(headEnd):]
	if size < 0 {
		a.last = true
		if size = len(body); !ended {
			size++ // what is missing is the end
		}
	}
	switch {
	case size > maxBody:
		return a, 0, errTooLarge
	case len(body) >= size:
		a.body = bytes.TrimSuffix(body[:size], lineEnd) // with which aquatic ends an answer
		return a, head + len(headEnd) + size, nil
	case ended:
		return a, 0, errCut
	}
	return a, 0, nil
}

// readHead reads the status and the headers; size is -1 where none is told.
func readHead(head []byte) (a httpAnswer, size int, err error) {
	line, rest, _ := bytes.Cut(head, lineEnd)
	isHTTP := bytes.HasPrefix(line, http11) || bytes.HasPrefix(line, http10)
	if !isHTTP || len(line) < len(http11)+3 {
		return a, -1, errNotHTTP
	}
	if a.status, err = strconv.Atoi(string(line[len(http11):][:3])); err != nil {
		return a, -1, errNotHTTP
	}
	a.last = line[len(http11)-2] == '0'
	size = -1
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, lineEnd)
		name, value, _ := bytes.Cut(line, colon)
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, length):
			if size, err = strconv.Atoi(string(value)); err != nil || size < 0 {
				return a, -1, errLength
			}
		case bytes.EqualFold(name, connection):
			a.last = bytes.EqualFold(value, closes) || (a.last && !bytes.EqualFold(value, keeps))
		case bytes.EqualFold(name, encoding):
			return a, -1, errChunked
		}
	}
	return a, size, nil
}
