package main

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestOpenWhiskActionAnswersAndStopsCleanly(t *testing.T) {
	t.Setenv("WAGGLE_STORE", "sqlite:none.db")
	t.Setenv("AWS_ACCESS_KEY_ID", "of the container")
	ctx, stop := context.WithCancel(t.Context())
	stdout, stderr := new(syncBuffer), newSaid("is an OpenWhisk action at ")
	ended := make(chan error, 1)
	go func() {
		ended <- serveOpenWhisk(ctx, functionFlags(), "127.0.0.1:0", stdout, stderr)
	}()
	url := "http://" + strings.TrimSpace(<-stderr.rest)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(path, body string) string {
		t.Helper()
		response, err := client.Post(url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	if got := post("/init", `{"value":{"name":"waggle"}}`); !strings.Contains(got, "WAGGLE_STORE") {
		t.Errorf("a store that is a file: %s", got)
	}
	if got := post("/init", `{"value":{"name":"waggle","env":{"A=B":"c"}}}`); !strings.Contains(got, `the variable \"A=B\"`) {
		t.Errorf("a variable that cannot be: %s", got)
	}
	if got := post("/init", `{"value":{"name":"waggle","env":{"WAGGLE_STORE":"memory:","AWS_ACCESS_KEY_ID":"of the action"}}}`); !strings.Contains(got, "true") {
		t.Errorf("/init: %s", got)
	}
	if got := os.Getenv("AWS_ACCESS_KEY_ID"); got != "of the action" {
		t.Errorf("the SDK of AWS would find the credentials %s", got)
	}
	const announce = `{"value":{"__ow_method":"get","__ow_path":"/announce","__ow_query":"","__ow_headers":{"x-forwarded-for":"203.0.113.7","x-forwarded-uri":"` + functionAnnounce + `"}}}`
	if got := post("/run", announce); !strings.Contains(got, `"statusCode":200`) || !strings.Contains(got, base64.StdEncoding.EncodeToString([]byte("d8:completei1e"))[:18]) {
		t.Errorf("/run: %s", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := strings.Count(stdout.String(), "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"); n != 4 {
		t.Errorf("%d marks on standard output", n)
	}
}

// said is a writer that tells what follows the first time that some words are said.
type said struct {
	syncBuffer
	words string
	rest  chan string // has room for one
}

func newSaid(words string) *said { return &said{words: words, rest: make(chan string, 1)} }

func (s *said) Write(p []byte) (int, error) {
	if _, rest, ok := strings.Cut(string(p), s.words); ok {
		s.rest <- rest
	}
	return s.syncBuffer.Write(p)
}

func TestOpenWhiskSaysWhereItCannotListen(t *testing.T) {
	err := serveOpenWhisk(t.Context(), functionFlags(), "256.0.0.1:8080", new(syncBuffer), new(syncBuffer))
	if err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("%v", err)
	}
}
