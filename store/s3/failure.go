package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"waggle/store/faraway"
)

// answerOf makes of an error of the library the answer that it is.
func answerOf(err error) error {
	switch faraway.Status(err) {
	case http.StatusNotModified:
		return errSame
	case http.StatusPreconditionFailed:
		return errChanged
	case http.StatusConflict:
		if faraway.Code(err) == "ConditionalRequestConflict" {
			return errChanged
		}
	case http.StatusNotFound:
		if faraway.Code(err) == "NoSuchKey" {
			return errNone
		}
	}
	return err
}

// isThrottle reports whether the service refused a request because there were too many.
// ServiceUnavailable is also what the library calls any 503 of a proxy with nothing behind it.
func isThrottle(err error) bool {
	switch faraway.Code(err) {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequests":
		return true
	}
	return faraway.Status(err) == http.StatusTooManyRequests
}

// isPassing reports whether the same request may well be answered in a moment: nothing
// came back, or an error of the server's own.
func isPassing(err error) bool {
	switch {
	case isThrottle(err), errors.Is(err, context.DeadlineExceeded):
		return true
	case faraway.Status(err) != 0:
		return faraway.IsOwnError(err) || faraway.Code(err) == "RequestTimeout" || faraway.Code(err) == "OperationAborted"
	}
	return faraway.Code(err) == "" && !faraway.IsCredentials(err) && !errors.Is(err, errDamaged)
}

// isRefusal reports whether the server refuses all that this tracker asks, for a reason
// that somebody must see to.
func isRefusal(err error) bool {
	switch faraway.Code(err) {
	case "NoSuchBucket", "AccessDenied", "InvalidAccessKeyId", versitygwNobody, "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
		"PermanentRedirect", "AuthorizationHeaderMalformed", "RequestTimeTooSkewed", "AllAccessDisabled", "AccountProblem":
		return true
	}
	return faraway.IsCredentials(err) || isRedirect(err)
}

func isRedirect(err error) bool {
	return faraway.Status(err) == http.StatusMovedPermanently || faraway.Status(err) == http.StatusTemporaryRedirect
}

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
	"ExpiredToken":          faraway.CredentialsExpired,
	"InvalidToken":          "the service does not accept the session token: get new credentials",
	"InvalidBucketName":     "the service does not accept the bucket's name: check it",
}

// explain says what an error of the service means, and what to do.
func explain(err error) error { return faraway.Explain(err, remedy) }

// remedy returns what is particular to this service.
func remedy(err error) string {
	code := faraway.Code(err)
	if isRedirect(err) || code == "PermanentRedirect" || code == "AuthorizationHeaderMalformed" {
		return "the bucket is in another region: " + regionOf(err)
	}
	return remedies[code]
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
