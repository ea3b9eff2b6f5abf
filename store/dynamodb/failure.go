package dynamodb

import (
	"context"
	"errors"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"waggle/store/faraway"
)

// notFound is what the service says of a table that is not there.
const notFound = "ResourceNotFoundException"

// isThrottle reports whether the service refused a request because there were too many.
func isThrottle(err error) bool {
	switch faraway.Code(err) {
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
	return faraway.IsOwnError(err) || faraway.Code(err) == "" && !faraway.IsCredentials(err)
}

// isRefusal reports whether the server refuses all that this tracker asks, for a reason
// that somebody must see to.
func isRefusal(err error) bool {
	switch faraway.Code(err) {
	case notFound, "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException",
		"MissingAuthenticationTokenException", "MissingAuthenticationToken", "IncompleteSignatureException", "ExpiredTokenException",
		"InvalidClientTokenId", "SignatureDoesNotMatch":
		return true
	}
	return faraway.IsCredentials(err)
}

// explain says what an error of the service means, and what to do.
func explain(err error) error { return faraway.Explain(err, remedy) }

// remedy returns what is particular to this service.
func remedy(err error) string {
	switch faraway.Code(err) {
	case notFound:
		return "there is no such table in this region, or not yet: check the name and the region, or make it with \"waggle dynamodb create-table\""
	case "AccessDeniedException":
		return "the credentials do not allow this: let their role or user do what docs/dynamodb.md lists" + denied(err)
	case "UnrecognizedClientException", "InvalidClientTokenId":
		return "the service does not know the credentials, or not in this region: check AWS_ACCESS_KEY_ID, the profile or the role, and the region"
	case "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignatureException":
		return "the service does not accept the signature: check the secret access key, and that this machine's clock is right"
	case "ExpiredTokenException":
		return faraway.CredentialsExpired
	case "MissingAuthenticationTokenException", "MissingAuthenticationToken":
		return "the service wants credentials: " + faraway.GiveCredentials
	}
	return ""
}

var action = regexp.MustCompile(`dynamodb:[A-Za-z]+`)

// denied says what the credentials do not allow. The message itself names accounts and
// roles, and what is wrong with the store is shown to whoever asks.
func denied(err error) string {
	if what := action.FindString(faraway.Message(err)); what != "" {
		return " (" + what + ")"
	}
	return ""
}
