package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/logging"

	"waggle/store/faraway"
	"waggle/swarm"
)

// server is the table, and the one way to ask for something: in several attempts, in a
// bounded time.
type server struct {
	client   *dynamodb.Client
	key      []byte // of the table's mark; nil: not known yet
	http     http.Client
	table    *string
	attempt  time.Duration
	patience time.Duration
	health   faraway.Health
	counters counters
}

// connections is the most connections to the server. Requests beyond them wait, within
// the time of their attempt.
const connections = 256

func newServer(ctx context.Context, o *Options) (*server, error) {
	loading := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }), // try does it, and counts
	}
	if o.Region != "" {
		loading = append(loading, config.WithRegion(o.Region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, loading...)
	if err != nil {
		return nil, fmt.Errorf("the settings of AWS cannot be read: %w", err)
	}
	if loaded.Region == "" {
		if o.Endpoint == "" {
			return nil, fmt.Errorf("no region is named: add ?region=REGION to %s, or set AWS_REGION", o)
		}
		loaded.Region = "us-east-1" // other servers do not care
	}
	s := &server{table: &o.Table, attempt: o.Attempt, patience: o.Patience}
	s.http = http.Client{
		Transport:     transport(o, &loaded),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.client = dynamodb.NewFromConfig(loaded, func(d *dynamodb.Options) {
		d.HTTPClient, d.Logger = &s.http, logged(o.Log)
		if o.Endpoint != "" {
			d.BaseEndpoint = &o.Endpoint
		}
	})
	s.watch(o.Log, s.probe)
	return s, nil
}

// longFailing is for what part of the time of an attempt attempts must fail, until the
// server is taken to be away: 400 ms of two seconds.
const longFailing = 5

// watch has the server's health known.
func (s *server) watch(log *slog.Logger, probe func(context.Context) error) {
	h := &s.health
	h.What, h.Log, h.Probe, h.Explain, h.Patience = "DynamoDB table", log, probe, explain, s.attempt/longFailing
	h.IsAnswer = func(err error) bool { return err == nil || isThrottle(err) }
}

// logged passes on what the SDK says, which nobody need see.
func logged(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(_ logging.Classification, format string, values ...any) {
		log.Debug("the SDK of AWS says: " + fmt.Sprintf(format, values...))
	})
}

// transport returns what requests go through: as the SDK makes it, with more connections.
func transport(o *Options, loaded *aws.Config) http.RoundTripper {
	if o.Transport != nil {
		return o.Transport
	}
	made, is := loaded.HTTPClient.(*awshttp.BuildableClient)
	if !is {
		made = awshttp.NewBuildableClient()
	}
	own := made.GetTransport()
	own.MaxConnsPerHost, own.MaxIdleConnsPerHost, own.MaxIdleConns = connections, connections, connections
	return own
}

func (s *server) close() {
	s.health.Close()
	s.http.CloseIdleConnections()
}

// probe asks for the mark, once.
func (s *server) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.attempt)
	defer cancel()
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: s.table, Key: markKey, ConsistentRead: ref(true)})
	if err == nil && s.key != nil && !bytes.Equal(bytesOf(out.Item, keyName), s.key) {
		return &faraway.Problem{Text: "the table was replaced by another one: restart the tracker"}
	}
	return err
}

// tried is what became of attempts that were not the last.
type tried struct {
	throttled int // were refused
	unknown   int // got no answer: the server may have done it or not
}

// Waits between attempts: a random part of the first, twice the first, and so on up to
// the longest.
const (
	firstPause   = 25 * time.Millisecond
	longestPause = time.Second
)

// try makes attempts at a request until one is answered, the time is up, or the server
// is known to be away: then the error is swarm.ErrBusy. A request must do no harm where
// it is done twice.
func (s *server) try(ctx context.Context, op operation, do func(context.Context) error) (t tried, err error) {
	if err := ctx.Err(); err != nil {
		return t, ended(ctx)
	}
	if err := s.health.Check(); err != nil {
		return t, err
	}
	all, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := s.once(all, op, do)
		switch {
		case err == nil || isCondition(err):
			s.health.Answered()
			return t, err
		case ctx.Err() != nil:
			t.unknown++
			return t, ended(ctx)
		case isRefusal(err):
			s.counters.failed.Add(1)
			s.health.Failed(err, true)
			return t, swarm.ErrBusy
		case !isPassing(err):
			s.health.Answered()
			return t, explain(err)
		case isThrottle(err):
			t.throttled++
			s.counters.throttled.Add(1)
			s.health.Answered()
		default:
			t.unknown++
			s.counters.failed.Add(1)
			s.health.Failed(err, false)
			if err := s.health.Check(); err != nil {
				return t, err
			}
		}
		if !sleep(all, rand.N(pause)) {
			return t, swarm.ErrBusy
		}
	}
}

// ended is the error of what took until ctx ended.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return swarm.ErrBusy
	}
	return ctx.Err()
}

func (s *server) once(ctx context.Context, op operation, do func(context.Context) error) error {
	s.counters.requests[op].Add(1)
	ctx, cancel := context.WithTimeout(ctx, s.attempt)
	defer cancel()
	return do(ctx)
}

// sleep waits, and reports false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// get returns an item as it is now; nil: it is not there.
func (s *server) get(ctx context.Context, k item) (item, error) {
	in := &dynamodb.GetItemInput{TableName: s.table, Key: k, ConsistentRead: ref(true), ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal}
	var out *dynamodb.GetItemOutput
	_, err := s.try(ctx, getItem, func(ctx context.Context) (err error) {
		out, err = s.client.GetItem(ctx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	if out.ConsumedCapacity != nil {
		s.counters.charged(getItem, *out.ConsumedCapacity)
	}
	return out.Item, nil
}

// mostBatch is the most items of one BatchGetItem.
const mostBatch = 100

// getAll returns those of some items that are there, in no order, each as it is now.
func (s *server) getAll(ctx context.Context, keys []item) (found []item, err error) {
	for some := range slices.Chunk(keys, mostBatch) {
		if found, err = s.getBatch(ctx, some, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// getBatch appends those of some items that are there. What a batch leaves out is asked
// for again, for as long as patience lasts: it was throttled.
func (s *server) getBatch(ctx context.Context, keys, found []item) ([]item, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	ask := map[string]types.KeysAndAttributes{*s.table: {Keys: keys, ConsistentRead: aws.Bool(true)}}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		some, rest, err := s.batchGet(ctx, ask)
		if err != nil {
			return nil, err
		}
		if found, ask = append(found, some...), rest; len(ask) == 0 {
			return found, nil
		}
		s.counters.throttled.Add(1)
		if !sleep(ctx, rand.N(pause)) {
			return nil, ended(ctx)
		}
	}
}

func (s *server) batchGet(ctx context.Context, ask map[string]types.KeysAndAttributes) ([]item, map[string]types.KeysAndAttributes, error) {
	in := &dynamodb.BatchGetItemInput{RequestItems: ask, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal}
	var out *dynamodb.BatchGetItemOutput
	_, err := s.try(ctx, batchGetItem, func(ctx context.Context) (err error) {
		out, err = s.client.BatchGetItem(ctx, in)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	s.counters.charged(batchGetItem, out.ConsumedCapacity...)
	return out.Responses[*s.table], out.UnprocessedKeys, nil
}

// page asks for one page of a query, and returns where the next one begins; nil: there
// is none.
func (s *server) page(ctx context.Context, in *dynamodb.QueryInput) (items []item, next item, err error) {
	in.TableName, in.ReturnConsumedCapacity = s.table, types.ReturnConsumedCapacityTotal
	var out *dynamodb.QueryOutput
	_, err = s.try(ctx, query, func(ctx context.Context) (err error) {
		out, err = s.client.Query(ctx, in)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if out.ConsumedCapacity != nil {
		s.counters.charged(query, *out.ConsumedCapacity)
	}
	return out.Items, out.LastEvaluatedKey, nil
}

// pages shows all pages of a query. It ends early where see returns an error.
func (s *server) pages(ctx context.Context, in *dynamodb.QueryInput, see func([]item) error) error {
	for {
		items, next, err := s.page(ctx, in)
		if err == nil && len(items) > 0 {
			err = see(items)
		}
		if err != nil || len(next) == 0 {
			return err
		}
		in.ExclusiveStartKey = next
	}
}

// update changes an item, and returns what was asked for of it, before or after.
func (s *server) update(ctx context.Context, in *dynamodb.UpdateItemInput) (attributes item, t tried, err error) {
	in.TableName, in.ReturnConsumedCapacity = s.table, types.ReturnConsumedCapacityTotal
	var out *dynamodb.UpdateItemOutput
	t, err = s.try(ctx, updateItem, func(ctx context.Context) (err error) {
		out, err = s.client.UpdateItem(ctx, in)
		return err
	})
	if err != nil {
		return nil, t, err
	}
	if out.ConsumedCapacity != nil {
		s.counters.charged(updateItem, *out.ConsumedCapacity)
	}
	return out.Attributes, t, nil
}

// put writes an item.
func (s *server) put(ctx context.Context, in *dynamodb.PutItemInput) (t tried, err error) {
	in.TableName, in.ReturnConsumedCapacity = s.table, types.ReturnConsumedCapacityTotal
	var out *dynamodb.PutItemOutput
	t, err = s.try(ctx, putItem, func(ctx context.Context) (err error) {
		out, err = s.client.PutItem(ctx, in)
		return err
	})
	if err == nil && out.ConsumedCapacity != nil {
		s.counters.charged(putItem, *out.ConsumedCapacity)
	}
	return t, err
}

// remove deletes an item, and returns what it was; nil: it was not there.
func (s *server) remove(ctx context.Context, in *dynamodb.DeleteItemInput) (was item, t tried, err error) {
	in.TableName, in.ReturnConsumedCapacity = s.table, types.ReturnConsumedCapacityTotal
	in.ReturnValues = types.ReturnValueAllOld
	var out *dynamodb.DeleteItemOutput
	t, err = s.try(ctx, deleteItem, func(ctx context.Context) (err error) {
		out, err = s.client.DeleteItem(ctx, in)
		return err
	})
	if err != nil {
		return nil, t, err
	}
	if out.ConsumedCapacity != nil {
		s.counters.charged(deleteItem, *out.ConsumedCapacity)
	}
	return out.Attributes, t, nil
}
