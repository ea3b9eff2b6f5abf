package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
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

// status returns the HTTP status of an answer, or 0 where there was none.
func status(err error) int {
	if answer, is := errors.AsType[*awshttp.ResponseError](err); is {
		return answer.HTTPStatusCode()
	}
	return 0
}

// answerOf makes of an error of the library the answer that it is.
func answerOf(err error) error {
	switch status(err) {
	case http.StatusNotModified:
		return errSame
	case http.StatusPreconditionFailed:
		return errChanged
	case http.StatusConflict:
		if code(err) == "ConditionalRequestConflict" {
			return errChanged
		}
	case http.StatusNotFound:
		if code(err) == "NoSuchKey" {
			return errNone
		}
	}
	return err
}

// isThrottle reports whether the service refused a request because there were too many.
// ServiceUnavailable is also what the library calls any 503 of a proxy with nothing behind it.
func isThrottle(err error) bool {
	switch code(err) {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests":
		return true
	}
	return status(err) == http.StatusTooManyRequests
}

// isPassing reports whether the same request may well be answered in a moment: nothing
// came back, or an error of the server's own.
func isPassing(err error) bool {
	switch {
	case isThrottle(err), errors.Is(err, context.DeadlineExceeded):
		return true
	case status(err) != 0:
		return status(err) >= http.StatusInternalServerError || code(err) == "RequestTimeout" || code(err) == "OperationAborted"
	}
	return code(err) == "" && !isCredentials(err) && !errors.Is(err, errDamaged)
}

// isRefusal reports whether the server refuses all that this tracker asks, for a reason
// that somebody must see to.
func isRefusal(err error) bool {
	switch code(err) {
	case "NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", versitygwNobody, "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
		"PermanentRedirect", "AuthorizationHeaderMalformed", "RequestTimeTooSkewed", "AllAccessDisabled", "AccountProblem":
		return true
	}
	return isCredentials(err) || isRedirect(err)
}

func isRedirect(err error) bool {
	return status(err) == http.StatusMovedPermanently || status(err) == http.StatusTemporaryRedirect
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

const howToGiveCredentials = "give credentials as AWS programs take them, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"

// versitygwNobody is what versitygw says of an access key that it does not know.
const versitygwNobody = "XAdminUserNotFound"

const unknownKey = "the service does not know the access key: check AWS_ACCESS_KEY_ID, the profile or the role, and the endpoint"

// remedies are what errors of the service mean, and what to do.
var remedies = map[string]string{
	"NoSuchBucket":          "there is no such bucket: check its name and the endpoint, or make it",
	"AccessDenied":          "the credentials do not allow this: let their role or user do what docs/s3.md lists",
	"InvalidAccessKeyId":    unknownKey,
	versitygwNobody:         unknownKey,
	"SignatureDoesNotMatch": "the service does not accept the signature: check the secret access key, and that nothing on the way changes requests",
	"RequestTimeTooSkewed":  "this machine's clock is wrong: set it",
	"ExpiredToken":          "the credentials have expired: get new ones",
	"InvalidToken":          "the service does not accept the session token: get new credentials",
	"InvalidBucketName":     "the service does not accept the bucket's name: check it",
}

// explain says what an error of the service means, and what to do.
func explain(err error) error {
	if _, is := errors.AsType[*problem](err); is || err == nil {
		return err
	}
	text := remedies[code(err)]
	switch {
	case text != "":
	case isRedirect(err), code(err) == "PermanentRedirect", code(err) == "AuthorizationHeaderMalformed":
		text = "the bucket is in another region: " + regionOf(err)
	case isCredentials(err):
		text = "no credentials are found: " + howToGiveCredentials
	case errors.Is(err, context.DeadlineExceeded):
		text = "the server does not answer in time: check the endpoint, and that it can be reached from here"
	case faraway.IsNetwork(err):
		text = fmt.Sprintf("the server cannot be reached (%v): check the endpoint or the region, and the network", faraway.Root(err))
	case code(err) != "":
		text = code(err) + ": " + message(err)
	default:
		text = err.Error()
	}
	return &problem{text, err}
}

// regionOf says which region a bucket is in, where the answer does.
func regionOf(err error) string {
	if answer, is := errors.AsType[*awshttp.ResponseError](err); is && answer.Response != nil {
		if region := answer.Response.Header.Get("x-amz-bucket-region"); region != "" {
			return fmt.Sprintf("say ?region=%.40s in the URL", region)
		}
	}
	return "check ?region= in the URL, or AWS_REGION"
}

func message(err error) string {
	if api, is := errors.AsType[smithy.APIError](err); is {
		return api.ErrorMessage()
	}
	return err.Error()
}
