package faraway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"waggle/store/faraway"
)

func TestSettingsAreReadAndWritten(t *testing.T) {
	var region, endpoint string
	settings := []faraway.Setting{{Name: "region", To: &region}, {Name: "endpoint", To: &endpoint}}
	if text := faraway.WriteSettings(settings...); text != "" {
		t.Errorf("nothing is written %q", text)
	}
	const text = "endpoint=http://127.0.0.1:8000/x&region=eu-central-1"
	if err := faraway.ReadSettings(text, settings...); err != nil || region != "eu-central-1" || endpoint != "http://127.0.0.1:8000/x" {
		t.Errorf("%q, %q, %v", region, endpoint, err)
	}
	if again := faraway.WriteSettings(settings...); again != "?"+text {
		t.Errorf("it is written %q", again)
	}
	endpoint = "http://me:hidden@host"
	if text := faraway.WriteSettings(settings...); strings.Contains(text, "hidden") || !strings.Contains(text, "host") {
		t.Errorf("%q", text)
	}
	for text, want := range map[string]string{
		"regoin=x":          `no option "regoin": there are region and endpoint`,
		"region=a&region=b": "region is there 2 times",
		"%zz":               "cannot be read",
	} {
		if err := faraway.ReadSettings(text, settings...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestPlacesThatCannotBeAreRefusedInWords(t *testing.T) {
	const example = "http://127.0.0.1:1"
	for _, test := range []struct{ region, endpoint, want string }{
		{"", "", ""},
		{"eu-central-1", "https://h:1/", ""},
		{"EU", "", "write it as eu-central-1"},
		{"", "h:1", "write it as " + example},
		{"", "ftp://h", "write it as " + example},
		{"", "http://", "write it as " + example},
		{"", "http://me:hidden@h", "AWS_ACCESS_KEY_ID"},
		{"", "ftp://me:hidden@h", "...@h"},
	} {
		err := faraway.CheckPlace(test.region, test.endpoint, example)
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// answer is an error as the library of AWS has it.
type answer struct {
	status int
	code   string
}

func (a answer) Error() string        { return "answer" }
func (a answer) HTTPStatusCode() int  { return a.status }
func (a answer) ErrorCode() string    { return a.code }
func (a answer) ErrorMessage() string { return "so it says" }

func TestErrorsAreExplainedByWhatToDo(t *testing.T) {
	remedy := func(err error) string {
		if faraway.Code(err) == "Known" {
			return "known: do this"
		}
		return ""
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{answer{400, "Known"}, "known: do this"},
		{answer{400, "Other"}, "Other: so it says"},
		{answer{503, ""}, "an error of its own"},
		{errors.New("get identity: none"), "give credentials"},
		{context.DeadlineExceeded, "in time"},
		{&net.OpError{Op: "dial", Err: io.EOF}, "cannot be reached (EOF)"},
		{io.EOF, "EOF"},
	} {
		err := faraway.Explain(fmt.Errorf("asking: %w", test.err), remedy)
		if err == nil || !strings.Contains(err.Error(), test.want) || !errors.Is(err, test.err) {
			t.Errorf("%v: %v, want %q", test.err, err, test.want)
		}
		if again := faraway.Explain(err, remedy); again != err { //nolint:errorlint // it is the same
			t.Errorf("explained again: %v", again)
		}
	}
	if err := faraway.Explain(nil, remedy); err != nil || faraway.Code(io.EOF) != "" || faraway.Status(io.EOF) != 0 {
		t.Errorf("no error: %v", err)
	}
}
