package config

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// ReceiverURL is where traces are sent, without the path that OTLP has for them: http or https;
// empty for nowhere.
type ReceiverURL string

func parseReceiverURL(text string) (ReceiverURL, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	switch {
	case err == nil && u.Scheme == "grpc":
		return "", errors.New("OTLP is spoken over HTTP here, whose port is 4318 as a rule")
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", errShape
	case u.User != nil:
		return "", errors.New("a password does not belong here; put a header into OTEL_EXPORTER_OTLP_HEADERS")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("leave out what follows ? or #; put a key into OTEL_EXPORTER_OTLP_HEADERS")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/v1/traces"):
		return "", errors.New("leave out /v1/traces, which is added to it")
	}
	return ReceiverURL(text), nil
}

// Share is a part of a whole, from 0 to 1.
type Share float64

// String is the share as a number, such as 0.1.
func (s Share) String() string { return strconv.FormatFloat(float64(s), 'f', -1, 64) }

func parseShare(text string) (Share, error) {
	number, isPercentage := strings.CutSuffix(text, "%")
	if strings.Trim(number, "0123456789.") != "" {
		return 0, errShape // also of what ParseFloat takes besides: NaN, 1e-3, 0x1p-2
	}
	share, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, errShape
	}
	if isPercentage {
		share /= 100
	}
	if share > 1 {
		return 0, errors.New("there is no more than all, which is 1 or 100%")
	}
	return Share(share), nil
}
