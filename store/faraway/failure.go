package faraway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// GiveCredentials is what to do where there are none, or in the wrong place.
const GiveCredentials = "give credentials as AWS programs take them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"

// CredentialsExpired is what to do where they have.
const CredentialsExpired = "the credentials have expired: get new ones"

// Problem is an error in words, whose last are the remedy.
type Problem struct {
	Text  string
	Cause error // nil: there is no other
}

// Error returns the words.
func (p *Problem) Error() string { return p.Text }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// IsNetwork reports whether an error is that of a connection.
func IsNetwork(err error) bool {
	_, is := errors.AsType[net.Error](err)
	return is
}

// Root returns the innermost error, which says what happened.
func Root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// answered and refused are errors of the library of AWS: of a server that answered, and of
// a service that said why not.
type (
	answered interface {
		error
		HTTPStatusCode() int
	}
	refused interface {
		error
		ErrorCode() string
		ErrorMessage() string
	}
)

// Status returns the HTTP status of an answer that is an error, or 0 where there was none.
func Status(err error) int {
	if answer, is := errors.AsType[answered](err); is {
		return answer.HTTPStatusCode()
	}
	return 0
}

// Code returns what the service calls an error, or "".
func Code(err error) string {
	if api, is := errors.AsType[refused](err); is {
		return api.ErrorCode()
	}
	return ""
}

// Message returns what the service says of an error.
func Message(err error) string {
	if api, is := errors.AsType[refused](err); is {
		return api.ErrorMessage()
	}
	return err.Error()
}

// IsCredentials reports whether no credentials could be had.
func IsCredentials(err error) bool {
	return err != nil && strings.Contains(err.Error(), "get identity")
}

// IsOwnError reports whether the server answered that it failed.
func IsOwnError(err error) bool { return Status(err) >= http.StatusInternalServerError }

// Explain returns a [Problem] that says what an error of a service means, and what to do:
// what explain returns of what is particular to the service, else what is alike in all. nil
// stays nil, and a Problem as it is.
func Explain(err error, explain func(error) string) error {
	if _, is := errors.AsType[*Problem](err); is || err == nil {
		return err
	}
	text := explain(err)
	switch {
	case text != "":
	case IsCredentials(err):
		text = "no credentials are found: " + GiveCredentials
	case errors.Is(err, context.DeadlineExceeded):
		text = "the server does not answer in time: check the endpoint, and that it can be reached from here"
	case IsNetwork(err):
		text = fmt.Sprintf("the server cannot be reached (%v): check the endpoint or the region, and the network", Root(err))
	case IsOwnError(err):
		text = "the server has an error of its own: wait, or see to the server (" + Root(err).Error() + ")"
	case Code(err) != "":
		text = Code(err) + ": " + Message(err)
	default:
		text = err.Error()
	}
	return &Problem{text, err}
}
