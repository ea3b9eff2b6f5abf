package s3

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"waggle/store/faraway"
	"waggle/swarm"
)

// openTime bounds how long Open takes.
const openTime = 10 * time.Second

// Open looks whether the bucket can be used, and returns its store. It writes nothing but
// the mark of a prefix that has none, and, once a day, a probe below the prefix, which it
// removes. Errors name the store and the remedy: the server cannot be reached, refuses the
// credentials, or has no such bucket in its region; it does not honour conditions; the
// prefix is another program's or a newer waggle's.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	b, err := newAmazon(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	s := newServer(b, &o)
	versioned := false
	b.versioned = func() { versioned = true }
	m, err := s.prove(ctx, &o)
	if err == nil {
		err = o.settleDeletes(&m)
	}
	if err != nil {
		err = s.why(err)
		s.close()
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	b.versioned = func() {}
	if versioned {
		o.Log.Warn("the bucket keeps all versions of its objects, of which each announce makes one: suspend versioning, or let a lifecycle rule remove what is not current", "store", o.String())
	}
	return newStore(s, &o), nil
}

// why returns what is known to be wrong in place of swarm.ErrBusy.
func (s *server) why(err error) error {
	if !errors.Is(err, swarm.ErrBusy) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if wrong := s.health.Lately(); wrong != nil {
		return wrong
	}
	return &faraway.Problem{Text: "the server does not answer in time, or refuses because too much is asked of it: check the endpoint, or try again later", Cause: err}
}

// schema is the version of what lies below the prefix.
const schema = 1

// mark is the object that says whose a prefix is.
type mark struct {
	Format string `json:"format"`
	Schema int    `json:"schema"`

	// Endpoint honoured conditions at a time.
	Endpoint string    `json:"endpoint,omitempty"`
	Proved   time.Time `json:"proved,omitzero"`

	// Removes says that it refused to remove an object that had another ETag.
	Removes bool `json:"removes,omitempty"`
}

const format = "waggle swarms"

// provedFor is for how long it is believed that an endpoint honours conditions.
const provedFor = 24 * time.Hour

// prove reads the mark, or makes one, and has the endpoint show that it honours
// conditions, unless it did lately.
func (s *server) prove(ctx context.Context, o *Options) (mark, error) {
	m, etag, err := s.mark(ctx)
	if err != nil {
		return m, err
	}
	if age := o.Now().Sub(m.Proved); etag != "" && m.Endpoint == o.endpointName() && age >= 0 && age < provedFor {
		return m, nil
	}
	if etag == "" {
		if err := s.unused(ctx); err != nil {
			if _, etag, again := s.mark(ctx); again == nil && etag == "" {
				return m, err
			}
			return s.prove(ctx, o) // another tracker made the mark just now
		}
	}
	removes, err := s.probeConditions(ctx)
	if err != nil {
		return m, err
	}
	m = mark{format, schema, o.endpointName(), o.Now().UTC().Truncate(time.Second), removes}
	body, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	_, err = s.put(ctx, markKey, append(body, '\n'), etag)
	if errors.Is(err, errChanged) { // another tracker was quicker: whose is it?
		_, _, err = s.mark(ctx)
	}
	return m, err
}

// settleDeletes makes of what is wanted what is done.
func (o *Options) settleDeletes(m *mark) error {
	switch {
	case o.Deletes == DeletesConditional && !m.Removes:
		return errors.New("the endpoint removes objects whatever their ETag (DELETE with If-Match): leave deletes=conditional out of the URL")
	case o.Deletes == DeletesAuto && !m.Removes:
		o.Deletes = DeletesNever
	}
	return nil
}

// endpointName is what conditions were proved of.
func (o *Options) endpointName() string {
	if o.Endpoint == "" {
		return "amazon"
	}
	return faraway.HideUser(o.Endpoint)
}

// mark reads the mark; etag is "" where there is none.
func (s *server) mark(ctx context.Context) (m mark, etag string, err error) {
	object, err := s.get(ctx, markKey, "")
	if errors.Is(err, errNone) {
		return m, "", nil
	}
	if err != nil {
		return m, "", err
	}
	if json.Unmarshal(object.body, &m) != nil || m.Format != format || m.Schema < 1 {
		return m, "", errors.New("the prefix belongs to another program: its object \"schema\" is none of waggle's; choose another prefix, s3://BUCKET/PREFIX")
	}
	if m.Schema > schema {
		return m, "", fmt.Errorf("a newer waggle made this store: its schema is %d, and this one knows up to %d; upgrade this tracker, or choose another prefix", m.Schema, schema)
	}
	return m, object.etag, nil
}

// unused refuses a prefix without a mark in which there is something.
func (s *server) unused(ctx context.Context) error {
	some, _, err := s.list(ctx, "", "")
	if err != nil {
		return err
	}
	for i := range some {
		if key := some[i].key; !strings.HasPrefix(key, probePrefix) {
			return fmt.Errorf("the prefix is not empty and has no mark of waggle's (there is %.80q): choose another prefix, s3://BUCKET/PREFIX", key)
		}
	}
	return nil
}

// Keys and values of the probe.
const (
	wrongETag = "00000000000000000000000000000000"
	absentEnd = ".absent"
)

// errNoConditions is the error of an endpoint with which peers would be lost.
func errNoConditions(what string) error {
	return fmt.Errorf("the endpoint does not honour conditions: %s; trackers would overwrite each other's peers. Use Amazon S3, or a current versitygw or minio, or let whatever is between pass the headers If-Match and If-None-Match on", what)
}

// probeConditions writes an object of its own, and sees that it is not written where it
// must not be. It returns whether it is not removed either.
func (s *server) probeConditions(ctx context.Context) (removes bool, err error) {
	key := probePrefix + rand.Text()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
		defer cancel()
		for _, key := range [...]string{key, key + absentEnd} {
			if err := s.remove(ctx, key, ""); err != nil {
				s.health.Log.Warn("a probe could not be removed from the bucket", "key", key, "error", err)
			}
		}
	}()
	etag, err := s.put(ctx, key, begin("wgp", 0), "")
	switch {
	case errors.Is(err, errChanged):
		return false, errNoConditions("it says that an object is there which is not")
	case err != nil:
		return false, err
	case etag == "":
		return false, errNoConditions("it does not say the ETag of what is written")
	}
	for _, try := range [...]struct{ key, was, what string }{
		{key, "", "it replaced an object that was to be made only if it was not there (If-None-Match: *)"},
		{key, wrongETag, "it replaced an object that was to be replaced only with another ETag (If-Match)"},
		{key + absentEnd, wrongETag, "it made an object that was to be replaced only (If-Match)"},
	} {
		if _, err := s.put(ctx, try.key, begin("wgp", 0), try.was); err == nil {
			return false, errNoConditions(try.what)
		} else if !errors.Is(err, errChanged) {
			return false, err
		}
	}
	next, err := s.put(ctx, key, begin("wgp", 0), etag)
	switch {
	case errors.Is(err, errChanged):
		return false, errNoConditions("it did not replace an object with the ETag that it had given (If-Match)")
	case err != nil:
		return false, err
	case next == etag:
		return false, errNoConditions("it gave two objects the same ETag")
	}
	if err := s.probeListing(ctx, key, next); err != nil {
		return false, err
	}
	switch err := s.remove(ctx, key, wrongETag); {
	case errors.Is(err, errChanged):
		return true, nil
	case errors.Is(err, swarm.ErrBusy):
		return false, err
	}
	return false, nil // it was removed, or the endpoint does not know what is wanted
}

// probeListing sees that what was written is read and listed, with the same ETag.
func (s *server) probeListing(ctx context.Context, key, etag string) error {
	if o, err := s.get(ctx, key, ""); err != nil {
		return err
	} else if o.etag != etag {
		return errNoConditions("an object is read with another ETag than that with which it was written")
	}
	some, _, err := s.list(ctx, key, "")
	if err != nil {
		return err
	}
	for i := range some {
		if some[i].key == key && some[i].etag == etag {
			return nil
		}
	}
	return errNoConditions("it does not list an object that was written, or with another ETag")
}
