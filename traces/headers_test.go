package traces_test

import (
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"waggle/traces"
)

func TestHeadersAreReadAsTheSpecificationHasThem(t *testing.T) {
	for text, want := range map[string]http.Header{
		"":                             {},
		"a=1":                          {"A": {"1"}},
		" api-key = x%2Cy , b=c%20d ,": {"Api-Key": {"x,y"}, "B": {"c d"}},
		"authorization=Basic dXNlcg==": {"Authorization": {"Basic dXNlcg=="}},
		"a=1,A=2":                      {"A": {"2"}},
	} {
		if got, err := traces.ParseHeaders(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

func TestHeadersForTracesWinOverThoseForAll(t *testing.T) {
	got, err := traces.HeadersFrom([]string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=2", "PATH=/bin", "OTEL_EXPORTER_OTLP_HEADERS=a=1,b=1"})
	if want := (http.Header{"A": {"2"}, "B": {"1"}}); err != nil || !maps.EqualFunc(got, want, func(a, b []string) bool { return a[0] == b[0] }) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWrongHeaderIsCountedAndNotRepeated(t *testing.T) {
	for text, want := range map[string]string{
		"a=1,hush":         "header 2 is not written name=value",
		"hush hush=1":      "header 1 is not written name=value",
		"a=hush%":          "the value of header 1 cannot be",
		"a=1,b=hush%0Ac:1": "the value of header 2 cannot be",
	} {
		_, err := traces.HeadersFrom([]string{"OTEL_EXPORTER_OTLP_HEADERS=" + text})
		if err == nil || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_HEADERS: "+want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzHeaders reads any text as headers: what is taken can be sent.
func FuzzHeaders(f *testing.F) {
	f.Add("authorization=Bearer%20abc,x-tenant=a")
	f.Add("a=%0d%0ab:c")
	f.Add(",=,a==,%=1")
	f.Fuzz(func(t *testing.T, text string) {
		headers, err := traces.ParseHeaders(text)
		if err != nil {
			return
		}
		for name, values := range headers {
			if name != http.CanonicalHeaderKey(name) || len(values) != 1 || strings.ContainsAny(name+values[0], "\r\n\x00") {
				t.Errorf("%q: %q", name, values)
			}
		}
	})
}
