package config

import (
	"strings"
	"testing"
)

func TestReceiverOfTracesIsRefusedWithTheRemedy(t *testing.T) {
	for _, text := range []string{"", "http://127.0.0.1:4318", "https://otlp.example/tenant/", "http://[::1]:4318"} {
		if u, err := parseReceiverURL(text); err != nil || string(u) != text {
			t.Errorf("%q is %q, %v", text, u, err)
		}
	}
	for text, remedy := range map[string]string{
		"127.0.0.1:4318":                  errShape.Error(),
		"otlp.example":                    errShape.Error(),
		"ftp://otlp.example":              errShape.Error(),
		"http://":                         errShape.Error(),
		"http://:4318":                    errShape.Error(),
		"grpc://otlp.example:4317":        "over HTTP here, whose port is 4318",
		"http://u:p@otlp.example":         "OTEL_EXPORTER_OTLP_HEADERS",
		"http://otlp.example/?key=x":      "OTEL_EXPORTER_OTLP_HEADERS",
		"http://otlp.example/#x":          "leave out",
		"http://otlp.example/v1/traces":   "leave out /v1/traces",
		"http://otlp.example/a/v1/traces": "leave out /v1/traces",
	} {
		if _, err := parseReceiverURL(text); err == nil || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%q: %v, want %q", text, err, remedy)
		}
	}
}

func TestWrongReceiverOfTracesIsReportedWithLineAndKey(t *testing.T) {
	_, err := read("traces:\n  endpoint: otlp.example:4318\n  share: 200%\n")
	for _, want := range []string{
		`waggle.yaml:2: traces.endpoint wants the URL of a receiver such as http://127.0.0.1:4318, not "otlp.example:4318"`,
		`waggle.yaml:3: traces.share wants a share from 0 to 1 such as 0.1 or 10%, not "200%": there is no more than all`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := read("traces: {endpoint: 'http://u:hush@otlp.example'}"); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}

func TestShareIsANumberOrAPercentage(t *testing.T) {
	for text, want := range map[string]string{"0": "0", "1": "1", "100%": "1", "10%": "0.1", "0.05": "0.05", ".5": "0.5", "0.1%": "0.001", "0%": "0"} {
		s, err := parseShare(text)
		if err != nil || s.String() != want {
			t.Errorf("%q is %v, %v; want %s", text, s, err, want)
		}
		if again, err := parseShare(s.String()); err != nil || again != s {
			t.Errorf("%v is read back as %v, %v", s, again, err)
		}
	}
	for _, text := range []string{"", "%", "1.1", "101%", "-0.1", "NaN", "Inf", "1e-3", "half", "0.1.2", "10 %"} {
		if s, err := parseShare(text); err == nil {
			t.Errorf("%q is %v", text, s)
		}
	}
}
