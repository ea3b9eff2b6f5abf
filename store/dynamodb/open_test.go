package dynamodb_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"waggle/bittorrent"
	"waggle/store/dynamodb"
)

// client asks dynalite, as another program would.
func client(o dynamodb.Options) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: &o.Endpoint, Region: "us-east-1", HTTPClient: http.DefaultClient,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "other", SecretAccessKey: "other"}, nil
		}),
	})
}

func wantRefused(t *testing.T, o dynamodb.Options, words ...string) {
	t.Helper()
	s, err := dynamodb.Open(t.Context(), o)
	if err == nil {
		_ = s.Close()
		t.Fatal("it was opened")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v: does not say %q", err, w)
		}
	}
}

func TestTableThatIsNotThereIsRefused(t *testing.T) {
	wantRefused(t, dynamodb.Options{Table: "missing", Region: "eu-central-1", Endpoint: endpoints[0]}, "waggle dynamodb create-table", "region")
}

func TestTableOfAnotherShapeIsRefusedAndLeftAsItIs(t *testing.T) {
	for name, keys := range map[string][]string{"other-keys": {"id", "when"}, "no-index": {"p", "s"}} {
		name = fmt.Sprintf("%s%04d", name, tables.Add(1))
		o := dynamodb.Options{Table: name, Region: "us-east-1", Endpoint: endpoints[0]}
		_, err := client(o).CreateTable(t.Context(), &sdk.CreateTableInput{
			TableName: &name, BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{
				{AttributeName: &keys[0], AttributeType: types.ScalarAttributeTypeB}, {AttributeName: &keys[1], AttributeType: types.ScalarAttributeTypeB},
			},
			KeySchema: []types.KeySchemaElement{
				{AttributeName: &keys[0], KeyType: types.KeyTypeHash}, {AttributeName: &keys[1], KeyType: types.KeyTypeRange},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, func() bool {
			out, err := client(o).DescribeTable(t.Context(), &sdk.DescribeTableInput{TableName: &name})
			return err == nil && out.Table.TableStatus == types.TableStatusActive
		})
		wantRefused(t, o, "create-table")
		if err := dynamodb.CreateTable(t.Context(), o, func(string) {}); err == nil || !strings.Contains(err.Error(), "other keys") {
			t.Errorf("create-table: %v", err)
		}
		all, err := client(o).Scan(t.Context(), &sdk.ScanInput{TableName: &name})
		if err != nil || len(all.Items) != 0 {
			t.Errorf("%v, %v was written", all.Items, err)
		}
	}
}

func TestTableIsOfAnotherShapeWithoutPeerIDsInItsIndex(t *testing.T) {
	o := newTable(t)
	o.Table += "-keys-only"
	attribute := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: types.ScalarAttributeTypeB}
	}
	keys := func(sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: aws.String("p"), KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	_, err := client(o).CreateTable(t.Context(), &sdk.CreateTableInput{
		TableName: &o.Table, BillingMode: types.BillingModePayPerRequest, KeySchema: keys("s"),
		AttributeDefinitions: []types.AttributeDefinition{attribute("p"), attribute("s"), attribute("o")},
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
			IndexName: aws.String("order"), KeySchema: keys("o"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamodb.CreateTable(t.Context(), o, func(string) {}); err == nil || !strings.Contains(err.Error(), "other keys") {
		t.Errorf("create-table: %v", err)
	}
	wantRefused(t, o, "create-table")
}

// setMark changes an attribute of a table's mark.
func setMark(t *testing.T, o dynamodb.Options, name string, value types.AttributeValue) {
	t.Helper()
	_, err := client(o).UpdateItem(t.Context(), &sdk.UpdateItemInput{
		TableName: &o.Table, UpdateExpression: aws.String("SET #a = :v"),
		Key:                       map[string]types.AttributeValue{"p": &types.AttributeValueMemberB{Value: []byte("waggle")}, "s": &types.AttributeValueMemberB{Value: []byte("mark")}},
		ExpressionAttributeNames:  map[string]string{"#a": name},
		ExpressionAttributeValues: map[string]types.AttributeValue{":v": value},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTableOfANewerSchemaOrAnotherProgramIsRefused(t *testing.T) {
	o := newTable(t)
	setMark(t, o, "schema", &types.AttributeValueMemberN{Value: "2"})
	wantRefused(t, o, "newer waggle", "schema 2")
	setMark(t, o, "schema", &types.AttributeValueMemberN{Value: "0"})
	wantRefused(t, o, "another table")
	setMark(t, o, "program", &types.AttributeValueMemberS{Value: "shop"})
	wantRefused(t, o, "another program")
	o = newTable(t)
	setMark(t, o, "key", &types.AttributeValueMemberB{Value: []byte("short")})
	wantRefused(t, o, "damaged")
}

// answering is a server that gives all requests one answer.
func answering(t *testing.T, status int, kind string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"__type":"com.amazon.coral.service#`+kind+`","message":"no"}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestWrongCredentialsAreRefusedInWords(t *testing.T) {
	for kind, words := range map[string]string{
		"UnrecognizedClientException": "AWS_ACCESS_KEY_ID", "InvalidSignatureException": "secret access key",
		"ExpiredTokenException": "expired", "AccessDeniedException": "docs/dynamodb.md",
	} {
		wantRefused(t, dynamodb.Options{Table: "table", Region: "us-east-1", Endpoint: answering(t, 400, kind)}, words)
	}
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	wantRefused(t, dynamodb.Options{Table: "table", Region: "us-east-1", Endpoint: endpoints[0]}, "no credentials")
}

// TestServerThatIsNoDynamoDBIsRefused has one that answers all requests alike.
func TestServerThatIsNoDynamoDBIsRefused(t *testing.T) {
	o := dynamodb.Options{Table: "table", Region: "us-east-1", Endpoint: answering(t, 200, "")}
	wantRefused(t, o, "endpoint")
	if err := dynamodb.CreateTable(t.Context(), o, func(string) {}); err == nil || !strings.Contains(err.Error(), "endpoint") {
		t.Errorf("create-table: %v", err)
	}
}

// firstAnswers has the first requests of a kind answered with errors of the service.
func firstAnswers(operation string, kinds ...string) http.RoundTripper {
	var mu sync.Mutex
	return transport(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if operationOf(r) == operation && len(kinds) > 0 {
			kind := kinds[0]
			kinds = kinds[1:]
			return failure(r, kind), nil
		}
		return http.DefaultTransport.RoundTrip(r)
	})
}

func TestTableThatIsNotKnownYetOrCannotBeDescribedNowIsWaitedFor(t *testing.T) {
	o := newTable(t)
	o.Transport = firstAnswers("DescribeTable", "ThrottlingException", "ResourceNotFoundException", "ResourceNotFoundException")
	if err := dynamodb.CreateTable(t.Context(), o, func(string) {}); err != nil {
		t.Error(err)
	}
	o.Transport = firstAnswers("DescribeTable", "ThrottlingException", "ThrottlingException")
	open(t, o)
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestCreateTableRefusesATableThatTheServiceDeletesFrom(t *testing.T) {
	o := newTable(t)
	o.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if operationOf(r) == "DescribeTimeToLive" {
			return answer(r, http.StatusOK, `{"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"t"}}`), nil
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	if err := dynamodb.CreateTable(t.Context(), o, func(string) {}); err == nil || !strings.Contains(err.Error(), `"t"`) {
		t.Error(err)
	}
}

func TestCreateTableLeavesTheTableOfAnotherProgramAsItIs(t *testing.T) {
	o := newTable(t)
	setMark(t, o, "program", &types.AttributeValueMemberS{Value: "shop"})
	o.Transport = transport(func(r *http.Request) (*http.Response, error) {
		switch operation := operationOf(r); operation {
		case "CreateTable", "DescribeTable", "GetItem":
		default:
			t.Errorf("%s was asked for", operation)
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	if err := dynamodb.CreateTable(t.Context(), o, func(string) {}); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Error(err)
	}
}

func TestServerThatCannotBeReachedIsRefusedInWords(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	o := dynamodb.Options{Table: "table", Region: "us-east-1", Endpoint: s.URL, Patience: 200 * time.Millisecond}
	wantRefused(t, o, "cannot be reached", "endpoint")
	o.Endpoint = answering(t, 503, "ServiceUnavailable")
	wantRefused(t, o)
	p := newProxy(t)
	p.all(hang)
	wantRefused(t, p.through(o), "does not answer")
}

func TestRegionMustBeSaidSomewhere(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	wantRefused(t, dynamodb.Options{Table: "table"}, "AWS_REGION")
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	o := newTable(t)
	o.MaxShards = 3
	if _, err := dynamodb.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "1, 2, 4") {
		t.Error(err)
	}
	o.MaxShards, o.Heads = 0, 512
	if _, err := dynamodb.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "256") {
		t.Error(err)
	}
}

func TestCreateTableAgainChangesNothingAndSaysSo(t *testing.T) {
	o := newTable(t)
	s := open(t, o)
	do(t, s, leecher(hash(1), 1))
	var said []string
	o.Heads = 8 // that of the table stays
	if err := dynamodb.CreateTable(t.Context(), o, func(what string) { said = append(said, what) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(said, "the table is there already") || !strings.Contains(said[len(said)-1], "2 partitions") {
		t.Errorf("%q", said)
	}
	agree(t, open(t, o), hash(1), 0)
}

// TestStoreWritesTheMarkOfATableThatHasNone is of a table that another tool has made, as
// a template of CloudFormation does.
func TestStoreMarksATableThatHasTheRightShape(t *testing.T) {
	o := newTable(t)
	_, err := client(o).DeleteItem(t.Context(), &sdk.DeleteItemInput{TableName: &o.Table, Key: map[string]types.AttributeValue{
		"p": &types.AttributeValueMemberB{Value: []byte("waggle")}, "s": &types.AttributeValueMemberB{Value: []byte("mark")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var stores [4]*dynamodb.Store
	writers(len(stores), func(w int) { stores[w] = open(t, o) })
	for n, s := range stores {
		do(t, s, leecher(hash(1), n))
	}
	agree(t, stores[0], hash(1), 0)
}

func TestListingsShowWhatBeginsWithAByteAndCanEndEarly(t *testing.T) {
	s := open(t, newTable(t))
	for n := range 12 {
		h := hash(byte(n % 3 * 100))
		h[5] = byte(n)
		do(t, s, leecher(h, n))
	}
	for first, want := range map[int]int{0: 4, 100: 4, 200: 4, 1: 0} {
		hashes, err := s.Torrents(t.Context(), first)
		if err != nil || len(hashes) != want || !slices.IsSortedFunc(hashes, func(a, b bittorrent.InfoHash) int { return slices.Compare(a[:], b[:]) }) {
			t.Errorf("%d: %v, %v", first, hashes, err)
		}
	}
	seen := 0
	whole, err := s.AllCounts(t.Context(), 0, 255, func(hashes []bittorrent.InfoHash, counts []bittorrent.ScrapeCounts) bool {
		for i := range hashes {
			if counts[i] != scrapeOf(1) {
				t.Errorf("%v: %+v", hashes[i], counts[i])
			}
			seen++
		}
		return true
	})
	if seen != 12 || !whole || err != nil {
		t.Errorf("%d torrents, %v, %v", seen, whole, err)
	}
	whole, err = s.AllCounts(t.Context(), 0, 255, func([]bittorrent.InfoHash, []bittorrent.ScrapeCounts) bool { return false })
	if whole || err != nil {
		t.Errorf("%v, %v to one who wants no more", whole, err)
	}
	if _, ok, err := s.Counts(t.Context(), hash(77)); ok || err != nil {
		t.Errorf("an unknown torrent: %v, %v", ok, err)
	}
}
