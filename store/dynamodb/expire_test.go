package dynamodb_test

import (
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"waggle/bittorrent"
	"waggle/store/dynamodb"
	"waggle/swarm"
)

// headItem is the key of a torrent's head in a table of newTable.
func headItem(h bittorrent.InfoHash) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"p": &types.AttributeValueMemberB{Value: []byte{'h', h[0] & 1}},
		"s": &types.AttributeValueMemberB{Value: append(h[:], 0)},
	}
}

// change updates an item as another program would.
func change(t *testing.T, o dynamodb.Options, key map[string]types.AttributeValue, expression string, values map[string]types.AttributeValue) {
	t.Helper()
	_, err := client(o).UpdateItem(t.Context(), &sdk.UpdateItemInput{
		TableName: &o.Table, Key: key, UpdateExpression: &expression, ExpressionAttributeValues: values,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTorrentThatCannotBePurgedKeepsNoOthersFromIt(t *testing.T) {
	o, c := newTable(t), newClock()
	o.Now = c.Now
	s := open(t, o)
	damaged := hash(2) // in the first partition; what its located peers shared is damaged
	do(t, s, leecher(damaged, 1))
	do(t, s, stop(damaged, 1))
	change(t, o, headItem(damaged), "SET z = :one", map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}})
	change(t, o, map[string]types.AttributeValue{
		"p": &types.AttributeValueMemberB{Value: append([]byte{'m'}, damaged[:]...)}, "s": &types.AttributeValueMemberB{Value: []byte{'h'}},
	}, "SET b = :b", map[string]types.AttributeValue{":b": &types.AttributeValueMemberB{Value: []byte("damage")}})
	for _, n := range []byte{4, 1} { // in the same partition, and in the next
		do(t, s, leecher(hash(n), 2))
	}
	n, err := s.Expire(t.Context(), start.Add(time.Minute))
	if err == nil || !strings.Contains(err.Error(), damaged.String()) {
		t.Errorf("what is damaged is not told of: %v", err)
	}
	if n != 2 {
		t.Errorf("%d peers were purged, want those of two torrents", n)
	}
}

// TestTorrentThatComesBackIsNotForgotten has two trackers forget a torrent, of whom one is
// late: meanwhile it has come back, and as many changes of its counts as before.
func TestTorrentThatComesBackIsNotForgotten(t *testing.T) {
	o, p := newTable(t), newProxy(t)
	s, late := open(t, o), open(t, p.through(o))
	do(t, s, leecher(hash(1), 1))
	do(t, s, stop(hash(1), 1))
	p.do(func(operation, _ string) fault {
		if operation == "DeleteItem" {
			expire(t, s, start)
			do(t, s, leecher(hash(1), 1))
			do(t, s, leecher(hash(1), 2))
		}
		return none
	})
	expire(t, late, start)
	p.do(nil)
	agree(t, s, hash(1), 0)
	wantTotals(t, s, swarm.Totals{Torrents: 1, Peers: 2})
}

// TestPeerThatLeftBeforeItWasCountedLeavesNothingBehind is of a tracker that died between
// writing a peer and counting it. The peer stops at another one.
func TestPeerThatLeftBeforeItWasCountedLeavesNothingBehind(t *testing.T) {
	o, p, c := newTable(t), newProxy(t), newClock()
	o.Now = c.Now
	s := open(t, o)
	o.Patience = time.Second
	leaveUncounted(t, p, o, leecher(hash(1), 1))
	do(t, s, stop(hash(1), 1))
	for range 3 {
		expire(t, s, start.Add(time.Minute))
		c.pass(40 * time.Second)
	}
	wantTotals(t, s, swarm.Totals{})
}

// readsPeers has Expire look for peers that are too old, of which there are none, and
// reports how many queries it made beside those of the two partitions of heads.
func readsPeers(t *testing.T, s *dynamodb.Store, before time.Time) uint64 {
	t.Helper()
	queries := s.Figures().Query
	if n := expire(t, s, before); n != 0 {
		t.Errorf("%d were purged", n)
	}
	return s.Figures().Query - queries - 2
}

func TestSwarmThatChangesMeanwhileIsReadOnceAndNotByEachExpiry(t *testing.T) {
	o, p := newTable(t), newProxy(t)
	s, slow := open(t, o), open(t, p.through(o))
	one := leecher(hash(1), 1)
	do(t, s, one)
	one.Now = start.Add(10 * time.Minute)
	do(t, s, one) // and the head says that somebody was not heard of since the start
	newcomers := 1
	p.do(func(operation, body string) fault {
		if operation == "Query" && !strings.Contains(body, "BETWEEN") { // of the peers
			newcomers++
			a := leecher(hash(1), newcomers)
			a.Now = start.Add(10 * time.Minute)
			do(t, s, a)
		}
		return none
	})
	if n := readsPeers(t, slow, start.Add(time.Minute)); n != 1 {
		t.Errorf("the peers were read %d times, want once", n)
	}
	if n := readsPeers(t, slow, start.Add(2*time.Minute)); n != 0 {
		t.Errorf("the peers were read %d times more", n)
	}
	agree(t, s, hash(1), 0)
}

func TestHeadThatDoesNotSayWhoIsOldestLearnsIt(t *testing.T) {
	o := newTable(t)
	s := open(t, o)
	do(t, s, leecher(hash(1), 1))
	change(t, o, headItem(hash(1)), "REMOVE t", nil)
	if n := readsPeers(t, s, start); n != 1 {
		t.Errorf("the peers were read %d times, want once", n)
	}
	if n := readsPeers(t, s, start); n != 0 {
		t.Errorf("the peers were read %d times more", n)
	}
}
