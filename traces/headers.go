package traces

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// HeaderVariables are the environment variables that have headers for a receiver of
// traces, those of the later one over those of the first (OpenTelemetry specification,
// OTLP exporter configuration).
var HeaderVariables = []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}

// HeadersFrom reads the headers that an environment has (see os.Environ). Its error names
// the variable and never repeats what stands in it.
func HeadersFrom(environ []string) (http.Header, error) {
	all := http.Header{}
	for _, name := range HeaderVariables {
		for _, variable := range environ {
			text, is := strings.CutPrefix(variable, name+"=")
			if !is {
				continue
			}
			headers, err := ParseHeaders(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			for name, values := range headers {
				all[name] = values
			}
		}
	}
	return all, nil
}

// ParseHeaders reads headers as such a variable has them: name=value, with commas
// between, and what is special in a value as in a URL: %20 is a space, %2C a comma. Its
// error counts the headers, and never repeats what stands there, since that may be a
// secret.
func ParseHeaders(text string) (http.Header, error) {
	headers := http.Header{}
	for i, part := range strings.Split(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if !found || !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("header %d is not written name=value; a comma within a value is %%2C", i+1)
		}
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if err != nil || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("the value of header %d cannot be; write %% as %%25, and leave out line breaks", i+1)
		}
		headers.Set(name, value)
	}
	return headers, nil
}
