package dynamodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"waggle/store/faraway"
)

// program and schema are what the mark of a table says.
const (
	program = "waggle"
	schema  = 1
)

// Attributes of the mark.
const (
	programName = "program"
	schemaName  = "schema"
	headsName   = "heads"
	keyName     = "key"
)

// mark is what all trackers of a table must agree on.
type mark struct {
	heads int
	key   []byte
}

const keyLen = 16

// markOf reads a mark, and refuses one that is not ours to use.
func markOf(i item) (m mark, err error) {
	name, _ := i[programName].(*types.AttributeValueMemberS)
	switch version := numberOf(i, schemaName); {
	case name == nil || name.Value != program:
		return m, errors.New("the table is another program's: name another table, or make one with \"waggle dynamodb create-table\"")
	case version > schema:
		return m, fmt.Errorf("the table is of a newer waggle (schema %d, and this one knows %d): use that version, or another table", version, schema)
	case version < schema:
		return m, fmt.Errorf("the table says schema %d, which there never was: use another table", version)
	}
	m = mark{int(numberOf(i, headsName)), bytesOf(i, keyName)}
	if !isPower(m.heads, mostHeads) || len(m.key) != keyLen {
		return m, errors.New("the mark of the table is damaged: restore the table from a backup, or use another one")
	}
	return m, nil
}

// readMark reads the mark, which is written where there is none.
func (s *server) readMark(ctx context.Context, heads int) (mark, error) {
	for {
		i, err := s.get(ctx, markKey)
		if err != nil {
			return mark{}, err
		}
		if len(i) > 0 {
			return markOf(i)
		}
		if err := s.writeMark(ctx, heads); err != nil && !isCondition(err) { // else another tracker was first
			return mark{}, err
		}
	}
}

func (s *server) writeMark(ctx context.Context, heads int) error {
	secret := make([]byte, keyLen)
	_, _ = rand.Read(secret) // never fails
	_, err := s.put(ctx, &dynamodb.PutItemInput{
		Item: item{
			partition: markKey[partition], place: markKey[place],
			programName: &types.AttributeValueMemberS{Value: program}, schemaName: numberValue(schema),
			headsName: numberValue(heads), keyName: binaryValue(secret),
		},
		ConditionExpression: ref("attribute_not_exists(p)"),
	})
	return err
}

// checkTable refuses a table that is not there, or has another shape.
func (s *server) checkTable(ctx context.Context) error {
	table, err := s.describe(ctx)
	switch {
	case err != nil:
		return err
	case !usable(table):
		return fmt.Errorf("the table is %s: wait until it is ACTIVE", table.TableStatus)
	}
	return checkShape(table)
}

// describe asks what the table is like, again where the server answers that it cannot say
// now: many trackers may start at once.
func (s *server) describe(ctx context.Context) (*types.TableDescription, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		out, err := s.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: s.table})
		switch {
		case err == nil && out.Table == nil:
			return nil, errors.New("the server does not say what the table is like: check that the endpoint is a server that speaks DynamoDB")
		case err == nil:
			return out.Table, nil
		case !isThrottle(err) && !faraway.IsOwnError(err) || !sleep(ctx, mathrand.N(pause)):
			return nil, explain(err)
		}
	}
}

func usable(t *types.TableDescription) bool {
	return t.TableStatus == types.TableStatusActive || t.TableStatus == types.TableStatusUpdating
}

var errShape = errors.New("the table has other keys or indexes than waggle's: name another table, or make one with \"waggle dynamodb create-table\"")

func checkShape(t *types.TableDescription) error {
	if !hasKeys(t.KeySchema, partition, place) {
		return errShape
	}
	for _, a := range t.AttributeDefinitions {
		switch aws.ToString(a.AttributeName) {
		case partition, place, order:
			if a.AttributeType != types.ScalarAttributeTypeB {
				return errShape
			}
		}
	}
	for _, index := range t.LocalSecondaryIndexes {
		untold := len(index.KeySchema) == 0 // not all servers say
		if aws.ToString(index.IndexName) == indexName && (untold || hasKeys(index.KeySchema, partition, order)) && projects(index.Projection) {
			return nil
		}
	}
	return errShape
}

func hasKeys(keys []types.KeySchemaElement, hash, sort string) bool {
	return len(keys) == 2 && aws.ToString(keys[0].AttributeName) == hash && keys[0].KeyType == types.KeyTypeHash &&
		aws.ToString(keys[1].AttributeName) == sort && keys[1].KeyType == types.KeyTypeRange
}

// projects reports whether an index has what answers are made of, as far as is told.
func projects(p *types.Projection) bool {
	if p == nil {
		return true
	}
	switch p.ProjectionType {
	case types.ProjectionTypeKeysOnly:
		return false
	case types.ProjectionTypeInclude:
		return slices.Contains(p.NonKeyAttributes, shown)
	}
	return true
}

func keySchema(hash, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &hash, KeyType: types.KeyTypeHash},
		{AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}

// CreateTable makes the table as the store needs it, paid by request, unless it is there,
// waits until it can be used, has the service delete what nobody has expired for a day,
// where it can, and marks it as waggle's. say is told of each thing that it did, or found
// done. A table of another shape, or of another program, is an error, and is left as it is.
func CreateTable(ctx context.Context, o Options, say func(string)) error {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return err
	}
	s, err := newServer(ctx, &o)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.create(ctx, say); err != nil {
		return err
	}
	if err := s.waitActive(ctx, say); err != nil {
		return err
	}
	m, err := s.readMark(ctx, o.Heads) // before anything is changed: it may be another program's
	if err != nil {
		return fmt.Errorf("marking the table: %w", s.why(err))
	}
	if err := s.switchExpiryOn(ctx, say); err != nil {
		return err
	}
	say(fmt.Sprintf("the table is marked as waggle's (schema %d, torrents over %d partitions)", schema, m.heads))
	return nil
}

func (s *server) create(ctx context.Context, say func(string)) error {
	one := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeTypeB}
	}
	_, err := s.client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            s.table,
		AttributeDefinitions: []types.AttributeDefinition{one(partition), one(place), one(order)},
		KeySchema:            keySchema(partition, place),
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
			IndexName: ref(indexName), KeySchema: keySchema(partition, order),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{shown}},
		}},
		BillingMode: types.BillingModePayPerRequest,
	})
	if _, there := errors.AsType[*types.ResourceInUseException](err); there {
		say("the table is there already")
		return nil
	}
	if err != nil {
		return fmt.Errorf("making the table: %w", explain(err))
	}
	say("the table is being made, paid by request")
	return nil
}

// How often a table that is being made is looked at, and told of; and for how long after
// it was made it may not be known yet (DescribeTable, API reference).
const (
	firstLook   = 50 * time.Millisecond
	laterLooks  = 2 * time.Second
	tellEvery   = 5 * time.Second
	longUnknown = 30 * time.Second
)

func (s *server) waitActive(ctx context.Context, say func(string)) error {
	began := time.Now()
	told := began
	for wait := firstLook; ; wait = min(2*wait, laterLooks) {
		table, err := s.describe(ctx)
		switch {
		case err == nil && table.TableStatus == types.TableStatusCreating:
		case faraway.Code(err) == notFound && time.Since(began) < longUnknown:
		case err != nil:
			return err
		case !usable(table):
			return fmt.Errorf("the table is %s: wait until that is over", table.TableStatus)
		default:
			if err := checkShape(table); err != nil {
				return err
			}
			say("the table can be used")
			return nil
		}
		if time.Since(told) >= tellEvery {
			told = time.Now()
			say(fmt.Sprintf("waiting for the table for %v", told.Sub(began).Round(time.Second)))
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// switchExpiryOn has the service delete items by themselves, where it can do such a thing.
func (s *server) switchExpiryOn(ctx context.Context, say func(string)) error {
	const without = "this server deletes nothing by itself, which waggle does not need"
	out, err := s.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: s.table})
	if faraway.Code(err) == "UnknownOperationException" || faraway.Code(err) == "ValidationException" {
		say(without)
		return nil
	}
	if err == nil && out.TimeToLiveDescription != nil {
		switch out.TimeToLiveDescription.TimeToLiveStatus {
		case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
			if of := aws.ToString(out.TimeToLiveDescription.AttributeName); of != expiry {
				return fmt.Errorf("the service deletes items by attribute %q, which takes what is still wanted: let time to live be on %q, or off", of, expiry)
			}
			say("the service deletes what nobody expired for a day")
			return nil
		}
	}
	_, err = s.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               s.table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: ref(expiry), Enabled: ref(true)},
	})
	switch {
	case faraway.Code(err) == "UnknownOperationException" || faraway.Code(err) == "ValidationException":
		say(without)
		return nil
	case err != nil:
		return fmt.Errorf("switching time to live on: %w", explain(err))
	}
	say("the service now deletes what nobody expired for a day")
	return nil
}
