package bittorrent

import (
	"encoding/binary"
	"math"
	"time"
)

// ConnectMagic is the connection id of a connect request (BEP 15).
const ConnectMagic uint64 = 0x41727101980

// DocumentMagic is what seed document 003 has in the place of [ConnectMagic], for
// requests to a multicast group. Its text has "OxFEELDEADBAADBEEF", which is no
// number.
const DocumentMagic uint64 = 0xFEE1DEADBAADBEEF

// Action is the kind of a UDP packet (BEP 15).
type Action uint32

// The actions of BEP 15.
const (
	ActionConnect  Action = 0
	ActionAnnounce Action = 1
	ActionScrape   Action = 2
	ActionError    Action = 3
)

// Lengths of UDP packets in bytes, and the number of hashes that BEP 15 lets a
// scrape carry.
const (
	UDPHeaderLen           = 16 // of every request; a connect request is nothing more
	UDPAnnounceLen         = 98 // options of BEP 41 follow
	UDPConnectResponseLen  = 16
	UDPAnnounceResponseLen = 20 // peers follow
	UDPScrapeResponseLen   = 8  // 12 bytes a hash follow
	UDPScrapeCountsLen     = 12
	UDPMaxScrapeHashes     = 74
)

// Faults of a UDP packet.
const (
	ErrUDPShort        Error = "packet too short"
	ErrUDPMagic        Error = "connect request without the protocol's magic number"
	ErrUDPAction       Error = "unknown action"
	ErrUDPEvent        Error = "event: want 0 to 4"
	ErrUDPScrapeLen    Error = "scrape: want whole info hashes of 20 bytes, at least one"
	ErrUDPScrapeLimit  Error = "scrape: too many info hashes in one request"
	ErrUDPOptions      Error = "options: a length goes beyond the packet"
	ErrUDPPeers        Error = "announce response: want whole peers of 6 or 18 bytes"
	ErrUDPResponseKind Error = "response of another action than asked for"
	ErrPort            Error = "port: want 1 to 65535"
)

// UDPHeader is the beginning of every request.
type UDPHeader struct {
	ConnectionID  uint64
	Action        Action
	TransactionID uint32
}

// ParseUDPHeader reads the beginning of a request. It checks the length
// ([ErrUDPShort]) and nothing else: whether the connection id is good is the
// server's to say, before it looks at anything that follows.
func ParseUDPHeader(packet []byte) (UDPHeader, error) {
	if len(packet) < UDPHeaderLen {
		return UDPHeader{}, ErrUDPShort
	}
	return UDPHeader{
		ConnectionID:  binary.BigEndian.Uint64(packet),
		Action:        Action(binary.BigEndian.Uint32(packet[8:])),
		TransactionID: binary.BigEndian.Uint32(packet[12:]),
	}, nil
}

// ParseUDPAnnounce reads an announce request of at least [UDPAnnounceLen] bytes
// into a, and returns the options of BEP 41 that follow, unread. Errors:
// [ErrUDPShort], [ErrUDPEvent], [ErrPort].
//
// Negative figures, which a client sends that does not know better, count as
// nothing transferred and [LeftUnknown] left.
func ParseUDPAnnounce(packet []byte, a *AnnounceRequest) (options []byte, err error) {
	if len(packet) < UDPAnnounceLen {
		return nil, ErrUDPShort
	}
	event := binary.BigEndian.Uint32(packet[80:])
	if event > uint32(EventPaused) {
		return nil, ErrUDPEvent
	}
	*a = AnnounceRequest{
		InfoHash:   InfoHash(packet[16:36]),
		PeerID:     PeerID(packet[36:56]),
		Downloaded: max(0, int64(binary.BigEndian.Uint64(packet[56:]))),
		Left:       knownLeft(int64(binary.BigEndian.Uint64(packet[64:]))),
		Uploaded:   max(0, int64(binary.BigEndian.Uint64(packet[72:]))),
		Event:      Event(event),
		Key:        binary.BigEndian.Uint32(packet[88:]),
		NumWant:    int32(binary.BigEndian.Uint32(packet[92:])),
		Port:       binary.BigEndian.Uint16(packet[96:]),
	}
	if a.Port == 0 {
		return nil, ErrPort
	}
	return packet[UDPAnnounceLen:], nil
}

// PeekUDPAnnounce returns the torrent and the port of an announce, which need not
// be a good one; false if it is too short for any.
func PeekUDPAnnounce(packet []byte) (h InfoHash, port uint16, ok bool) {
	if len(packet) < UDPAnnounceLen {
		return h, 0, false
	}
	return InfoHash(packet[16:36]), binary.BigEndian.Uint16(packet[96:]), true
}

func knownLeft(left int64) int64 {
	if left < 0 {
		return LeftUnknown
	}
	return left
}

// Options of BEP 41.
const (
	optionEnd     = 0
	optionNothing = 1
	optionURLData = 2
)

// AppendURLData appends to dst the path and query of the announce URL that the
// options of BEP 41 carry, in as many pieces as they came. Options of other
// types are passed over. Where a length goes beyond the packet the error is
// [ErrUDPOptions] and dst comes back as it was.
func AppendURLData(dst, options []byte) ([]byte, error) {
	whole := dst
	for len(options) > 0 {
		switch options[0] {
		case optionEnd:
			return whole, nil
		case optionNothing:
			options = options[1:]
			continue
		}
		if len(options) < 2 || len(options) < 2+int(options[1]) {
			return dst, ErrUDPOptions
		}
		if options[0] == optionURLData {
			whole = append(whole, options[2:2+int(options[1])]...)
		}
		options = options[2+int(options[1]):]
	}
	return whole, nil
}

// AppendUDPScrapeHashes appends to dst the info hashes of a scrape request.
// Errors: [ErrUDPScrapeLen], and [ErrUDPScrapeLimit] where there are more than
// limit.
func AppendUDPScrapeHashes(dst []InfoHash, packet []byte, limit int) ([]InfoHash, error) {
	if len(packet) <= UDPHeaderLen || (len(packet)-UDPHeaderLen)%len(InfoHash{}) != 0 {
		return dst, ErrUDPScrapeLen
	}
	hashes := packet[UDPHeaderLen:]
	if len(hashes)/len(InfoHash{}) > limit {
		return dst, ErrUDPScrapeLimit
	}
	for len(hashes) > 0 {
		dst = append(dst, InfoHash(hashes[:len(InfoHash{})]))
		hashes = hashes[len(InfoHash{}):]
	}
	return dst, nil
}

// AppendUDPConnect appends a connect request.
func AppendUDPConnect(dst []byte, transaction uint32) []byte {
	return appendUDPHeader(dst, UDPHeader{ConnectMagic, ActionConnect, transaction})
}

func appendUDPHeader(dst []byte, h UDPHeader) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.ConnectionID)
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.Action))
	return binary.BigEndian.AppendUint32(dst, h.TransactionID)
}

// AppendUDPAnnounce appends an announce request. urlData is the path and query
// of the announce URL, sent as options of BEP 41; empty for none.
func AppendUDPAnnounce(dst []byte, connection uint64, transaction uint32, a *AnnounceRequest, urlData string) []byte {
	dst = appendUDPHeader(dst, UDPHeader{connection, ActionAnnounce, transaction})
	dst = append(dst, a.InfoHash[:]...)
	dst = append(dst, a.PeerID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Downloaded))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Left))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Uploaded))
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.Event))
	dst = binary.BigEndian.AppendUint32(dst, 0) // the address is the one that the packet comes from
	dst = binary.BigEndian.AppendUint32(dst, a.Key)
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.NumWant))
	dst = binary.BigEndian.AppendUint16(dst, a.Port)
	for len(urlData) > 0 {
		n := min(len(urlData), math.MaxUint8)
		dst = append(dst, optionURLData, byte(n))
		dst = append(dst, urlData[:n]...)
		urlData = urlData[n:]
	}
	return dst
}

// AppendUDPScrape appends a scrape request for at most [UDPMaxScrapeHashes]
// hashes.
func AppendUDPScrape(dst []byte, connection uint64, transaction uint32, hashes []InfoHash) []byte {
	dst = appendUDPHeader(dst, UDPHeader{connection, ActionScrape, transaction})
	for i := range hashes {
		dst = append(dst, hashes[i][:]...)
	}
	return dst
}

// AppendUDPConnectResponse appends the answer to a connect request: 16 bytes,
// no more than were asked with.
func AppendUDPConnectResponse(dst []byte, transaction uint32, connection uint64) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(ActionConnect))
	dst = binary.BigEndian.AppendUint32(dst, transaction)
	return binary.BigEndian.AppendUint64(dst, connection)
}

// PutUDPAnnounceHeader writes the first [UDPAnnounceResponseLen] bytes of an
// answer to an announce into b, which must be at least that long. The compact
// peers of the asker's family come behind; a server that lets selection append
// them there sends what it selected without another copy.
func PutUDPAnnounceHeader(b []byte, transaction uint32, r *AnnounceResponse) {
	_ = b[UDPAnnounceResponseLen-1]
	binary.BigEndian.PutUint32(b, uint32(ActionAnnounce))
	binary.BigEndian.PutUint32(b[4:], transaction)
	binary.BigEndian.PutUint32(b[8:], seconds(r.Interval))
	binary.BigEndian.PutUint32(b[12:], r.Incomplete)
	binary.BigEndian.PutUint32(b[16:], r.Complete)
}

// AppendUDPScrapeResponse appends the answer to a scrape.
func AppendUDPScrapeResponse(dst []byte, transaction uint32, counts []ScrapeCounts) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(ActionScrape))
	dst = binary.BigEndian.AppendUint32(dst, transaction)
	for i := range counts {
		dst = binary.BigEndian.AppendUint32(dst, counts[i].Complete)
		dst = binary.BigEndian.AppendUint32(dst, counts[i].Downloaded)
		dst = binary.BigEndian.AppendUint32(dst, counts[i].Incomplete)
	}
	return dst
}

// AppendUDPError appends an error response. Only a client whose connection id
// was good may be sent one: the text makes it larger than what it answers.
func AppendUDPError(dst []byte, transaction uint32, message string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(ActionError))
	dst = binary.BigEndian.AppendUint32(dst, transaction)
	return append(dst, message...)
}

// UDPResponse is a response as a client reads it.
type UDPResponse struct {
	Action        Action
	TransactionID uint32
	Body          []byte // what follows, still within the packet
}

// ParseUDPResponse reads the beginning of a response. The error is
// [ErrUDPShort].
func ParseUDPResponse(packet []byte) (UDPResponse, error) {
	if len(packet) < 8 {
		return UDPResponse{}, ErrUDPShort
	}
	return UDPResponse{
		Action:        Action(binary.BigEndian.Uint32(packet)),
		TransactionID: binary.BigEndian.Uint32(packet[4:]),
		Body:          packet[8:],
	}, nil
}

// expect returns the tracker's own words, as an [Error], where it answered with
// an error.
func (r UDPResponse) expect(action Action) error {
	switch r.Action {
	case action:
		return nil
	case ActionError:
		return Error(r.Body)
	}
	return ErrUDPResponseKind
}

// ConnectionID reads the answer to a connect request.
func (r UDPResponse) ConnectionID() (uint64, error) {
	if err := r.expect(ActionConnect); err != nil {
		return 0, err
	}
	if len(r.Body) < 8 {
		return 0, ErrUDPShort
	}
	return binary.BigEndian.Uint64(r.Body), nil
}

// Announce reads the answer to an announce into out. Which family its peers are
// of the packet does not say: it is that of the tracker's address (BEP 15), of
// v6 for 18 bytes a peer. The peers are slices of the packet.
func (r UDPResponse) Announce(v6 bool, out *AnnounceResponse) error {
	if err := r.expect(ActionAnnounce); err != nil {
		return err
	}
	if len(r.Body) < UDPAnnounceResponseLen-8 {
		return ErrUDPShort
	}
	*out = AnnounceResponse{
		Interval:   time.Duration(binary.BigEndian.Uint32(r.Body)) * time.Second,
		Incomplete: binary.BigEndian.Uint32(r.Body[4:]),
		Complete:   binary.BigEndian.Uint32(r.Body[8:]),
	}
	peers := r.Body[12:]
	if v6 {
		out.Peers.V6 = peers
	} else {
		out.Peers.V4 = peers
	}
	if len(out.Peers.V4)%CompactLen4 != 0 || len(out.Peers.V6)%CompactLen6 != 0 {
		return ErrUDPPeers
	}
	return nil
}

// AppendScrapeCounts appends to dst the counts of an answer to a scrape, in the
// order asked.
func (r UDPResponse) AppendScrapeCounts(dst []ScrapeCounts) ([]ScrapeCounts, error) {
	if err := r.expect(ActionScrape); err != nil {
		return dst, err
	}
	for b := r.Body; len(b) >= UDPScrapeCountsLen; b = b[UDPScrapeCountsLen:] {
		incomplete := binary.BigEndian.Uint32(b[8:])
		dst = append(dst, ScrapeCounts{
			Complete:    binary.BigEndian.Uint32(b),
			Downloaded:  binary.BigEndian.Uint32(b[4:]),
			Incomplete:  incomplete,
			Downloaders: incomplete,
		})
	}
	return dst, nil
}
