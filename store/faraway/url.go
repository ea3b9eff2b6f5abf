package faraway

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Setting is what the URL of a store may have behind its question mark: where its value
// goes.
type Setting struct {
	Name string
	To   *string
}

// ReadSettings reads what is behind the question mark of a URL.
func ReadSettings(query string, settings ...Setting) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what follows the ? cannot be read: write it as region=REGION&endpoint=URL")
	}
	for _, s := range settings {
		if list := values[s.Name]; len(list) > 1 {
			return fmt.Errorf("%s is there %d times: say it once", s.Name, len(list))
		}
		*s.To = values.Get(s.Name)
		values.Del(s.Name)
	}
	for name := range values {
		return fmt.Errorf("it has no option %q: there are %s", name, namesOf(settings))
	}
	return nil
}

func namesOf(settings []Setting) string {
	names := make([]string, len(settings))
	for i := range settings {
		names[i] = settings[i].Name
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// WriteSettings is what ReadSettings reads, with the question mark; "" where nothing is
// said. There is no secret in it.
func WriteSettings(settings ...Setting) string {
	values := url.Values{}
	for _, s := range settings {
		if *s.To != "" {
			values.Set(s.Name, HideUser(*s.To))
		}
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + readable.Replace(values.Encode())
}

// readable takes back what need not be escaped in the options of a URL.
var readable = strings.NewReplacer("%3A", ":", "%2F", "/")

// HideUser returns what of a URL may be shown.
func HideUser(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "..." + text[at:]
	}
	return text
}

var regionName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// CheckPlace refuses what can be no region, or no endpoint; either may be "". The example
// is of an endpoint.
func CheckPlace(region, endpoint, example string) error {
	if region != "" && !regionName.MatchString(region) {
		return fmt.Errorf("region %q is none: write it as eu-central-1", region)
	}
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("endpoint %q is no URL of a server: write it as %s", HideUser(endpoint), example)
	case u.User != nil:
		return errors.New("the endpoint has a user or a password: take them out, and " + GiveCredentials)
	}
	return nil
}
