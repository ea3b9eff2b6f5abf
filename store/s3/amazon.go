package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"waggle/store/faraway"
)

// amazon is a [bucket] behind Amazon's library.
type amazon struct {
	client *s3.Client
	bucket string
	prefix string // ends with a slash

	transport http.RoundTripper
	versioned func() // called where the bucket says that it keeps what is replaced
}

// maxBody is the largest object that is read: more than any that is written.
const maxBody = 64 << 20

// defaultRegion is what servers that are not Amazon's are told: most take any, and
// those that look take this one.
const defaultRegion = "us-east-1"

func newAmazon(ctx context.Context, o *Options) (*amazon, error) {
	settings := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if o.Region != "" {
		settings = append(settings, config.WithRegion(o.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, settings...)
	if err != nil {
		return nil, fmt.Errorf("the environment or the profile of AWS cannot be read: %w", err)
	}
	if cfg.Region == "" && o.Endpoint != "" {
		cfg.Region = defaultRegion
	}
	if cfg.Region == "" {
		return nil, &faraway.Problem{Text: "no region is said: add ?region=REGION to the URL, or set AWS_REGION"}
	}
	client := &http.Client{
		Transport:     transportOf(o, &cfg),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it says where the bucket is
	}
	return &amazon{
		client: s3.NewFromConfig(cfg, func(s *s3.Options) {
			s.HTTPClient = client
			if o.Endpoint != "" {
				s.BaseEndpoint, s.UsePathStyle = &o.Endpoint, true
			}
			s.DisableLogOutputChecksumValidationSkipped = true
		}),
		bucket: o.Bucket, prefix: o.Prefix + "/", transport: client.Transport, versioned: func() {},
	}, nil
}

// transportOf returns what requests go through: as the library makes it of the
// environment, with more connections.
func transportOf(o *Options, cfg *aws.Config) http.RoundTripper {
	if o.Transport != nil {
		return o.Transport
	}
	made, is := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !is {
		made = awshttp.NewBuildableClient()
	}
	own := made.GetTransport()
	own.MaxIdleConns, own.MaxIdleConnsPerHost = o.Requests, o.Requests
	return own
}

func (b *amazon) close() {
	if t, ok := b.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// quoted is an ETag as headers have it; nil: none.
func quoted(etag string) *string {
	if etag == "" {
		return nil
	}
	return aws.String(`"` + etag + `"`)
}

func unquoted(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

func (b *amazon) key(key string) *string { return aws.String(b.prefix + key) }

func (b *amazon) get(ctx context.Context, key, unless string) (object, error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: b.key(key), IfNoneMatch: quoted(unless)})
	if err != nil {
		return object{}, answerOf(err)
	}
	defer func() { _ = out.Body.Close() }() // it was read to its end, or is not wanted
	var body []byte
	if aws.ToInt64(out.ContentLength) <= maxBody {
		body, err = io.ReadAll(io.LimitReader(out.Body, maxBody+1))
	}
	switch {
	case err != nil:
		return object{}, fmt.Errorf("reading %s: %w", key, err)
	case len(body) > maxBody || aws.ToInt64(out.ContentLength) > maxBody:
		return object{}, fmt.Errorf("object %s has more than %d bytes: %w", key, maxBody, errDamaged)
	}
	return object{body, unquoted(out.ETag)}, nil
}

func (b *amazon) put(ctx context.Context, key string, body []byte, was string) (string, error) {
	in := &s3.PutObjectInput{
		Bucket: &b.bucket, Key: b.key(key), Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
		ContentType: aws.String("application/octet-stream"), IfMatch: quoted(was),
	}
	if was == "" {
		in.IfNoneMatch = aws.String("*")
	}
	out, err := b.client.PutObject(ctx, in)
	if err != nil {
		if err = answerOf(err); err == errNone { //nolint:errorlint // answerOf returns it bare
			err = errChanged
		}
		return "", err
	}
	if v := aws.ToString(out.VersionId); v != "" && v != "null" {
		b.versioned()
	}
	return unquoted(out.ETag), nil
}

func (b *amazon) remove(ctx context.Context, key, was string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: b.key(key), IfMatch: quoted(was)})
	if err = answerOf(err); err == errNone { //nolint:errorlint // answerOf returns it bare
		return nil
	}
	return err
}

func (b *amazon) list(ctx context.Context, prefix, after string) (some []listed, more bool, err error) {
	in := &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: b.key(prefix)}
	if after != "" {
		in.StartAfter = b.key(after)
	}
	out, err := b.client.ListObjectsV2(ctx, in)
	if err != nil {
		return nil, false, answerOf(err)
	}
	for i := range out.Contents {
		o := &out.Contents[i]
		some = append(some, listed{
			key: strings.TrimPrefix(aws.ToString(o.Key), b.prefix), etag: unquoted(o.ETag),
			size: aws.ToInt64(o.Size), modified: aws.ToTime(o.LastModified),
		})
	}
	return some, aws.ToBool(out.IsTruncated) && len(some) > 0, nil
}
