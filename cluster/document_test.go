package cluster

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
	"time"

	"waggle/bittorrent"
)

// What seed document 003 says, section by section; its numbers are quoted.

// Section 4, Tracker-Tracker, 1: "KA messages: are sent every second to all the instances. A
// member is considered down if two followed KA messages are not received." "type (32 bits): 0",
// "ID (160 bits)".
func TestKeepaliveHasATypeOf32BitsAndAnIDOf160(t *testing.T) {
	want(t, appendKeepalive(nil, ID{1, 2, 19: 3}), "00000000"+"0102000000000000000000000000000000000003")
	if Document.Keepalive != time.Second {
		t.Errorf("one is sent every %v", Document.Keepalive)
	}
}

// 2: "type (32 bits): 1", "payload (160 bits): the minimum tracker ID", "sent every 3 seconds".
func TestElectionMessageNamesTheLowestID(t *testing.T) {
	want(t, appendElection(nil, ID{0xff}), "00000001"+"ff00000000000000000000000000000000000000")
	if Document.Election != 3*time.Second {
		t.Errorf("one is sent every %v", Document.Election)
	}
}

// 3: "[type, connection_id]": 2 and 64 bits.
func TestRequestToJoinIsTypeAndConnection(t *testing.T) {
	h := Hello{Connection: 0x0123456789abcdef, Request: true}
	want(t, h.append(nil), "00000002"+"0123456789abcdef")
}

// 3: "[type, connection_id, assigned_id, contents_sha, [info_hash, host, port]...,]": 160 bits,
// 160 bits, and 160, 32 and 16 bits for each row of CONTENTS.
func TestAnswerToOneThatJoinsHasAllTriplets(t *testing.T) {
	list := []Triplet{{bittorrent.InfoHash{0xaa}, [4]byte{10, 0, 0, 1}, 6881}, {bittorrent.InfoHash{0xbb}, [4]byte{10, 0, 0, 2}, 6882}}
	h := Hello{Connection: 1, Assigned: ID{2}, Contents: contentsOf(list), Triplets: list}
	triplets := "aa00000000000000000000000000000000000000" + "0a000001" + "1ae1" + "bb00000000000000000000000000000000000000" + "0a000002" + "1ae2"
	raw, _ := hex.DecodeString(triplets)
	sum := sha1.Sum(raw)
	want(t, h.append(nil), "00000002"+"0000000000000001"+"0200000000000000000000000000000000000000"+hex.EncodeToString(sum[:])+triplets)
	back, err := parseHello(h.append(nil))
	if err != nil || back.Request || !slices.Equal(back.Triplets, list) || back.Assigned != h.Assigned || back.Contents != h.Contents {
		t.Errorf("it is read as %+v, %v", back, err)
	}
}

// 3: "When the new tracker slave successfully receives the master's data":
// "[type, connection_id, assigned_id, contents_sha]", 52 bytes.
func TestConfirmationHasNoTriplets(t *testing.T) {
	h := Hello{Connection: 1, Assigned: ID{2}, Contents: [20]byte{3}}
	if n := len(h.append(nil)); n != 52 {
		t.Errorf("it has %d bytes", n)
	}
}

// 4: "[type, connection_id, action, transaction_id, [info_hash]...]": DS-ready is 3, DS-commit 4,
// DS-done 5; the last two are "without the variable info_hashes".
func TestMessagesOfDatabaseSynchronisation(t *testing.T) {
	x := Transaction{0x0102030405060708, 1, 0x0a0b0c0d}
	const fields = "0102030405060708" + "00000001" + "0a0b0c0d"
	want(t, appendSync(nil, typeReady, x, bittorrent.InfoHash{0xcc}), "00000003"+fields+"cc00000000000000000000000000000000000000")
	want(t, appendSync(nil, typeCommit, x), "00000004"+fields)
	want(t, appendSync(nil, typeDone, x), "00000005"+fields)
}

// Tracker-Peer, announce: 784 bits. The fields of a request lie where the document has them.
func TestRequestIsThePacketOf784Bits(t *testing.T) {
	a := bittorrent.AnnounceRequest{InfoHash: bittorrent.InfoHash{0xaa}, Event: bittorrent.EventStarted, Left: 5, Port: 6881}
	packet := bittorrent.AppendUDPAnnounce(nil, 7, 9, &a, "")
	if len(packet)*8 != 784 {
		t.Fatalf("it has %d bits", len(packet)*8)
	}
	r := Request{Source: netip.MustParseAddrPort("[2001:db8::1]:7000"), Packet: [announceLen]byte(packet)}
	if x := r.Transaction(); x != (Transaction{7, bittorrent.ActionAnnounce, 9}) || r.InfoHash() != a.InfoHash {
		t.Errorf("it is transaction %+v of %v", x, r.InfoHash())
	}
	back, at, err := parseForward(r.append(nil, 42))
	if err != nil || back != r || at != 42 {
		t.Errorf("it is passed on as %+v at %d, %v", back, at, err)
	}
}

// Section 5, 3: "its ID will be a random version 4 UUID"; resolution 4: with zeros on its right.
func TestFirstIDIsAVersion4UUIDWithZerosBehindIt(t *testing.T) {
	id := firstID([16]byte(bytes.Repeat([]byte{0xff}, 16)))
	if id[6]>>4 != 4 || id[8]>>6 != 2 || !bytes.Equal(id[16:], make([]byte, 4)) {
		t.Errorf("it is %v", id)
	}
}

// Resolution 4: a new slave must not win the next election.
func TestIDThatIsAssignedIsAboveAllOthers(t *testing.T) {
	for _, highest := range []ID{{}, {1}, {19: 0xff}, {0: 0xff, 18: 0xff, 19: 0xff}} {
		for _, random := range [][10]byte{{}, {0: 0xff}, {9: 1}} {
			if id := above(highest, random); !highest.Less(id) {
				t.Errorf("above %v is %v", highest, id)
			}
		}
	}
}

// Section 5: "it will wait 10 seconds until the new slave answers with the confirmation", and "if
// no response is received after 15 seconds, the peer must resend"; "one minute from the first
// resend" makes 75 s (resolution 12).
func TestTimesAreTheDocuments(t *testing.T) {
	if Document.Confirm != 10*time.Second || Document.Resend != 10*time.Second || Document.Request != 75*time.Second {
		t.Errorf("%+v", Document)
	}
}

// contentsOf returns the SHA-1 of triplets.
func contentsOf(list []Triplet) [20]byte {
	var all triplets
	for _, t := range list {
		all.add(t)
	}
	sum, _ := all.sum(len(list))
	return sum
}

func want(t *testing.T, got []byte, hexadecimal string) {
	t.Helper()
	if hex.EncodeToString(got) != hexadecimal {
		t.Errorf("it is\n%x, want\n%s", got, hexadecimal)
	}
}

// FuzzMessage has all parsers read what may come.
func FuzzMessage(f *testing.F) {
	id := Transaction{1, 1, 2}
	row := Row{InfoHash: bittorrent.InfoHash{0, 1}, Addr: netip.MustParseAddrPort("10.0.0.1:6881"), First: 1, Stamp: 2}
	at := row.cursor()
	some := rows{node: leafBase + uint32(leafOf(&at)), list: []Row{row}}
	question := ask{node: 3, now: 4}
	hello := Hello{Connection: 1, Assigned: ID{2}, Triplets: []Triplet{{Port: 1}}}
	request := Request{Source: row.Addr}
	for _, b := range [][]byte{
		appendKeepalive(nil, ID{1}), appendElection(nil, ID{1}), hello.append(nil), appendSync(nil, typeReady, id, bittorrent.InfoHash{}),
		appendSync(nil, typeCommit, id), appendStamp(nil, id, stamp{1, 1}, 2), question.append(nil), appendDigests(nil, 1, 0, &[fanOut]uint64{}),
		some.append(nil), appendPull(nil, typePull, 1, 2, 3), request.append(nil, 1),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t, 1, 2)
		for _, i := range w.nodes {
			i.start(nil)
		}
		w.run(5 * time.Second)
		for _, i := range w.nodes {
			for _, other := range w.nodes {
				i.node.Receive(i.time(), other.addr, b)
			}
			i.node.Receive(i.time(), netip.MustParseAddrPort("10.9.9.9:1"), b)
		}
		w.run(5 * time.Second)
		if r, err := parseRows(b); err == nil && bytes.HasPrefix(b, header(nil, typeRows)) && !bytes.Equal(r.append(nil), b) {
			t.Errorf("rows are written otherwise: %x", r.append(nil))
		}
		if h, err := parseHello(b); err == nil && !h.Request && bytes.HasPrefix(b, header(nil, typeHello)) && !bytes.Equal(h.append(nil), b) {
			t.Errorf("HI is written otherwise: %x", h.append(nil))
		}
	})
}
