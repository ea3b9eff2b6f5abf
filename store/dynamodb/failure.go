package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"waggle/store/faraway"
)

// code returns what the service calls an error, or "".
func code(err error) string {
	if api, is := errors.AsType[smithy.APIError](err); is {
		return api.ErrorCode()
	}
	return ""
}

// notFound is what the service says of a table that is not there.
const notFound = "ResourceNotFoundException"

// isThrottle reports whether the service refused a request because there were too many.
func isThrottle(err error) bool {
	switch code(err) {
	case "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "RequestLimitExceeded", "LimitExceededException":
		return true
	}
	return false
}

// isCondition reports whether an item was not as a write wanted it.
func isCondition(err error) bool {
	_, is := errors.AsType[*types.ConditionalCheckFailedException](err)
	return is
}

// isPassing reports whether the same request may well be answered in a moment: nothing
// came back, or an error of the server's own.
func isPassing(err error) bool {
	if isThrottle(err) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	return isOwnError(err) || code(err) == "" && !isCredentials(err)
}

// isRefusal reports whether the server refuses all that this tracker asks, for a reason
// that somebody must see to.
func isRefusal(err error) bool {
	switch code(err) {
	case notFound, "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException",
		"MissingAuthenticationTokenException", "MissingAuthenticationToken", "IncompleteSignatureException", "ExpiredTokenException",
		"InvalidClientTokenId", "SignatureDoesNotMatch":
		return true
	}
	return isCredentials(err)
}

// isCredentials reports whether no credentials could be had.
func isCredentials(err error) bool {
	return err != nil && strings.Contains(err.Error(), "get identity")
}

// problem is an error in words, whose last are the remedy.
type problem struct {
	text  string
	cause error
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.cause }

// explain says what an error of the service means, and what to do.
func explain(err error) error {
	if _, is := errors.AsType[*problem](err); is || err == nil {
		return err
	}
	text := ""
	switch code(err) {
	case notFound:
		text = "there is no such table in this region, or not yet: check the name and the region, or make it with \"waggle dynamodb create-table\""
	case "AccessDeniedException":
		text = "the credentials do not allow this: let their role or user do what docs/dynamodb.md lists" + denied(err)
	case "UnrecognizedClientException", "InvalidClientTokenId":
		text = "the service does not know the credentials, or not in this region: check AWS_ACCESS_KEY_ID, the profile or the role, and the region"
	case "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignatureException":
		text = "the service does not accept the signature: check the secret access key, and that this machine's clock is right"
	case "ExpiredTokenException":
		text = "the credentials have expired: get new ones"
	case "MissingAuthenticationTokenException", "MissingAuthenticationToken":
		text = "the service wants credentials: give them as AWS programs take them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	}
	switch {
	case text != "":
	case isCredentials(err):
		text = "no credentials are found: give them as AWS programs take them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"
	case errors.Is(err, context.DeadlineExceeded):
		text = "the server does not answer in time: check the endpoint, and that it can be reached from here"
	case faraway.IsNetwork(err):
		text = fmt.Sprintf("the server cannot be reached (%v): check the endpoint or the region, and the network", faraway.Root(err))
	case isOwnError(err):
		text = "the server has an error of its own: wait, or see to the server (" + faraway.Root(err).Error() + ")"
	case code(err) != "":
		text = code(err) + ": " + message(err)
	default:
		text = err.Error()
	}
	return &problem{text, err}
}

var action = regexp.MustCompile(`dynamodb:[A-Za-z]+`)

// denied says what the credentials do not allow. The message itself names accounts and
// roles, and what is wrong with the store is shown to whoever asks.
func denied(err error) string {
	if what := action.FindString(message(err)); what != "" {
		return " (" + what + ")"
	}
	return ""
}

// isOwnError reports whether the server answered that it failed.
func isOwnError(err error) bool {
	answer, is := errors.AsType[*awshttp.ResponseError](err)
	return is && answer.HTTPStatusCode() >= http.StatusInternalServerError
}

func message(err error) string {
	if api, is := errors.AsType[smithy.APIError](err); is {
		return api.ErrorMessage()
	}
	return err.Error()
}
