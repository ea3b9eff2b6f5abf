package console_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestDescriptionIsOpenAPI31(t *testing.T) {
	v, err := description()
	if err != nil {
		t.Fatal(err)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s: %+v", e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
}

func TestDescriptionNamesEveryOperation(t *testing.T) {
	w := newWorld(t, nil)
	type document struct {
		OpenAPI string                    `json:"openapi" yaml:"openapi"`
		Info    struct{ Version string }  `json:"info" yaml:"info"`
		Paths   map[string]map[string]any `json:"paths" yaml:"paths"`
	}
	var inJSON, inYAML document
	if err := json.Unmarshal(w.do(t, get("/api/v1/openapi.json")).body, &inJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(w.do(t, get("/api/v1/openapi.yaml")).body, &inYAML); err != nil {
		t.Fatal(err)
	}
	for _, d := range []document{inJSON, inYAML} {
		if d.OpenAPI != "3.1.0" || d.Info.Version != "1.2.3" {
			t.Errorf("OpenAPI %s of version %s", d.OpenAPI, d.Info.Version)
		}
		for path, methods := range map[string][]string{
			"/torrents": {"get", "post"}, "/torrents/{hash}": {"get", "delete"},
			"/transfers": {"get"}, "/transfers/{hash}": {"get", "patch"}, "/transfers/{hash}/peers": {"get"},
			"/transfers/{hash}/activate": {"post"}, "/transfers/{hash}/deactivate": {"post"},
			"/transfers/{hash}/places": {"get"}, "/transfers/{hash}/peers/{address}/explanation": {"get"},
			"/locality": {"get"}, "/locality/{address}": {"get"},
			"/links": {"get"}, "/links/invitations": {"post"}, "/links/join": {"post"}, "/links/hub": {"delete"}, "/links/{name}": {"delete"},
			"/links/{name}/reset": {"post"}, "/links/{name}/rights": {"put"}, "/links/announce-list": {"get"},
			"/passkeys": {"get", "post"}, "/passkeys/find": {"post"}, "/passkeys/{id}": {"get", "patch", "delete"}, "/passkeys/{id}/revoke": {"post"},
			"/passkeys/{id}/restore": {"post"}, "/passkeys/{id}/renew": {"post"}, "/passkeys/{id}/reset": {"post"},
			"/overview": {"get"}, "/timeline": {"get"},
			"/history": {"get"}, "/requests": {"get"}, "/peers": {"get"}, "/version": {"get"}, "/figures": {"get"},
		} {
			for _, method := range methods {
				if d.Paths["/api/v1"+path][method] == nil {
					t.Errorf("no %s %s", method, path)
				}
			}
			if got := len(d.Paths["/api/v1"+path]); got != len(methods) {
				t.Errorf("%d methods of %s, want %d", got, path, len(methods))
			}
		}
	}
}

func TestManualNamesEveryOperation(t *testing.T) {
	manual, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	var d struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(w.do(t, get("/api/v1/openapi.json")).body, &d); err != nil {
		t.Fatal(err)
	}
	for path, methods := range d.Paths {
		for method := range methods {
			if operation := "`" + strings.ToUpper(method) + " " + strings.TrimPrefix(path, "/api/v1"); !strings.Contains(string(manual), operation) {
				t.Errorf("docs/api.md has no %s", operation)
			}
		}
	}
}

func TestAnswerAgainstItsDescriptionIsNoticed(t *testing.T) {
	v, err := description()
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]bool{
		`{"name":"waggle","version":"1"}`:            true,
		`{"name":"waggle"}`:                          false,
		`{"name":"waggle","version":1}`:              false,
		`{"name":"waggle","version":"1","more":"x"}`: false,
	} {
		sent := httptest.NewRequest(http.MethodGet, "/api/v1/version", nil)
		received := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
		if ok, _ := v.ValidateHttpResponse(sent, received); ok != want {
			t.Errorf("%s is as described: %v, want %v", body, ok, want)
		}
	}
}
