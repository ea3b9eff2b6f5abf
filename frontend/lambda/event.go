package lambda

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// maxEvent bounds an event in bytes: more than Lambda sends.
const maxEvent = 6<<20 + 64<<10

// Faults of events. They are for whoever set the function up.
var (
	errHuge    = fmt.Errorf("the event has more than the %d bytes that Lambda sends", maxEvent)
	errForeign = errors.New(`this event is none that waggle knows: it takes those of a Function URL, an HTTP API (payload 2.0 or 1.0), a REST API (proxy integration), ` +
		`a load balancer, and a schedule ("detail-type": "Scheduled Event"); connect one of these to the function`)
)

// event has what is looked at of all events. Each source fills in a part.
type event struct {
	// Payload 2.0: Function URL and HTTP API.
	RawPath        string
	RawQueryString string
	Cookies        []string

	// Payload 1.0, and load balancer.
	HTTPMethod                      string
	Path                            string
	QueryStringParameters           map[string]string
	MultiValueQueryStringParameters map[string][]string
	MultiValueHeaders               map[string][]string

	// All of these.
	Headers         map[string]string
	RequestContext  requestContext
	Body            string
	IsBase64Encoded bool

	// Schedule.
	DetailType string `json:"detail-type"`
}

type requestContext struct {
	HTTP       *contextHTTP
	Identity   struct{ SourceIP string }
	ELB        *struct{}
	Stage      string
	DomainName string
}

// contextHTTP is what payload 2.0 alone has.
type contextHTTP struct{ Method, SourceIP string }

// kind is what an event is one of.
type kind uint8

const (
	foreign       kind = iota
	payload2           // Function URL, HTTP API
	payload1           // REST API, HTTP API
	balancer           // load balancer
	balancerLists      // the same with multi-value headers
	schedule
)

// parseEvent reads an event.
func parseEvent(payload []byte) (*event, kind, error) {
	if len(payload) > maxEvent {
		return nil, foreign, errHuge
	}
	e := new(event)
	if err := json.Unmarshal(payload, e); err != nil {
		return nil, foreign, fmt.Errorf("%w (%w)", errForeign, err)
	}
	k := e.kind()
	if k == foreign {
		return nil, k, errForeign
	}
	return e, k, nil
}

func (e *event) kind() kind {
	switch c := &e.RequestContext; {
	case c.HTTP != nil && c.HTTP.Method != "":
		return payload2
	case e.HTTPMethod == "":
		if e.DetailType == "Scheduled Event" {
			return schedule
		}
		return foreign
	case c.ELB == nil:
		return payload1
	case e.MultiValueHeaders != nil:
		return balancerLists
	default:
		return balancer
	}
}

// body returns the body of the request.
func (e *event) body() ([]byte, error) {
	if !e.IsBase64Encoded {
		return []byte(e.Body), nil
	}
	body, err := base64.StdEncoding.DecodeString(e.Body)
	if err != nil {
		return nil, fmt.Errorf("the event's body is not base64, as isBase64Encoded says: %w", err)
	}
	return body, nil
}
