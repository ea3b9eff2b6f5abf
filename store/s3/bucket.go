package s3

import (
	"context"
	"errors"
	"time"
)

// bucket is what a store needs of S3. Keys are below the store's prefix. ETags are
// without quotes. All methods may be called concurrently.
type bucket interface {
	// get returns an object; [errNone]: there is none; [errSame]: its ETag is still the
	// one given, where that is not "".
	get(ctx context.Context, key, unless string) (object, error)

	// put writes an object if its ETag is still the one given, "" for one that is not
	// there; else [errChanged].
	put(ctx context.Context, key string, body []byte, was string) (etag string, err error)

	// remove removes an object if its ETag is still the one given, else [errChanged]; "":
	// whatever it is. One that is not there is no error. Only some servers look at the
	// ETag, and only some of these do it in one step with the removal.
	remove(ctx context.Context, key, was string) error

	// list returns the objects whose keys begin with a prefix and come after a key, in
	// the order of their bytes, at most 1,000 of them.
	list(ctx context.Context, prefix, after string) (some []listed, more bool, err error)
}

// object is what lies at a key.
type object struct {
	body []byte
	etag string
}

// listed is what a list says of an object.
type listed struct {
	key, etag string
	size      int64 // bytes
	modified  time.Time
}

// Answers that are no failures.
var (
	errNone    = errors.New("there is no such object")
	errSame    = errors.New("the object is as it was")
	errChanged = errors.New("somebody else has changed the object")
)

// isAnswer reports whether the server did what it was asked, or said why not.
func isAnswer(err error) bool {
	return err == nil || errors.Is(err, errNone) || errors.Is(err, errSame) || errors.Is(err, errChanged)
}
