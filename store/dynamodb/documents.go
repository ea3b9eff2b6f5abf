package dynamodb

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"waggle/document"
)

// documents is the [document.Store] of a table: an item a document, all in one partition,
// in the order of their names. The index has their names and versions alone.
type documents struct{ *server }

// Documents returns the documents of the table. Their Close does nothing.
func (s *Store) Documents() document.Store { return documents{s.server} }

// Close does nothing: the store is closed by whoever opened it.
func (documents) Close() error { return nil }

func documentKey(name string) item {
	return key([]byte{documentPartition}, []byte(name))
}

// possible reports whether there can be a document of a name.
func possible(name string) bool { return document.Check(name, nil) == nil }

// Get is documented at [document.Store].
func (d documents) Get(ctx context.Context, name string) (document.Document, error) {
	none := fmt.Errorf("%s: %w", name, document.ErrNone)
	if !possible(name) {
		return document.Document{}, none
	}
	i, err := d.get(ctx, documentKey(name))
	switch {
	case err != nil:
		return document.Document{}, err
	case len(i) == 0:
		return document.Document{}, none
	}
	return documentOf(i), nil
}

func documentOf(i item) document.Document {
	return document.Document{Name: string(bytesOf(i, place)), Value: bytesOf(i, valueName), Version: hex.EncodeToString(bytesOf(i, shown))}
}

// ifDocument is the condition that a document has a version.
func ifDocument(version string) (condition string, values item, ok bool) {
	if version == "" {
		return "attribute_not_exists(p)", nil, true
	}
	v, err := hex.DecodeString(version)
	if err != nil || len(v) == 0 {
		return "", nil, false
	}
	return "v = :v", item{":v": binaryValue(v)}, true
}

// Put is documented at [document.Store].
func (d documents) Put(ctx context.Context, name string, value []byte, version string) (string, error) {
	if err := document.Check(name, value); err != nil {
		return "", err
	}
	changed := fmt.Errorf("%s: %w", name, document.ErrChanged)
	condition, values, ok := ifDocument(version)
	if !ok {
		return "", changed
	}
	mine := nonce()
	i := documentKey(name)
	i[valueName], i[shown], i[order] = binaryValue(append([]byte{}, value...)), binaryValue(mine), binaryValue([]byte(name))
	tried, err := d.put(ctx, &dynamodb.PutItemInput{Item: i, ConditionExpression: &condition, ExpressionAttributeValues: values})
	if isCondition(err) {
		if err = changed; tried.unknown > 0 { // an attempt before may have done it
			now, failed := d.get(ctx, documentKey(name))
			if failed != nil {
				return "", failed
			}
			if bytes.Equal(bytesOf(now, shown), mine) {
				err = nil
			}
		}
	}
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(mine), nil
}

// Delete is documented at [document.Store].
func (d documents) Delete(ctx context.Context, name, version string) error {
	if !possible(name) {
		return nil
	}
	condition, values, ok := ifDocument(version)
	if !ok {
		condition = "attribute_not_exists(p)"
	} else if version != "" {
		condition += " OR attribute_not_exists(p)"
	}
	_, _, err := d.remove(ctx, &dynamodb.DeleteItemInput{Key: documentKey(name), ConditionExpression: &condition, ExpressionAttributeValues: values})
	if isCondition(err) {
		return fmt.Errorf("%s: %w", name, document.ErrChanged)
	}
	return err
}

// List is documented at [document.Store].
func (d documents) List(ctx context.Context, prefix, after string, values bool) iter.Seq2[document.Document, error] {
	return func(yield func(document.Document, error) bool) {
		in := listing(prefix, after)
		if !values {
			in.IndexName, in.ProjectionExpression = ref(indexName), ref("s, v")
			in.KeyConditionExpression = ref("p = :p AND o BETWEEN :from AND :to")
		}
		err := d.pages(ctx, in, func(items []item) error {
			for _, i := range items {
				found := documentOf(i)
				if found.Name == after {
					continue
				}
				if !yield(found, nil) {
					return stopped{}
				}
			}
			return ctx.Err()
		})
		if _, err := wholeUnless(err); err != nil {
			yield(document.Document{}, err)
		}
	}
}

// listing asks for the documents whose names begin with a prefix, from a name on.
func listing(prefix, after string) *dynamodb.QueryInput {
	from := max(prefix, after, "!") // the first byte that a name can begin with
	// All bytes of names are below 0x7f.
	to := slices.Concat([]byte(prefix), []byte{0x7f})
	if from > string(to) {
		to = []byte(from) // nothing is there
	}
	return &dynamodb.QueryInput{
		KeyConditionExpression: ref("p = :p AND s BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{
			":p": binaryValue([]byte{documentPartition}), ":from": binaryValue([]byte(from)), ":to": binaryValue(to),
		},
		ConsistentRead: ref(true),
	}
}
