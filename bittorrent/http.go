package bittorrent

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Faults of an HTTP query.
const (
	ErrInfoHashMissing Error = "info_hash is missing"
	ErrInfoHashLength  Error = "info_hash: want 20 bytes, percent-encoded"
	ErrPeerIDMissing   Error = "peer_id is missing"
	ErrPeerIDLength    Error = "peer_id: want 20 bytes, percent-encoded"
	ErrPortMissing     Error = "port is missing"
	ErrUploaded        Error = "uploaded: want a whole number of bytes that fits 63 bits"
	ErrDownloaded      Error = "downloaded: want a whole number of bytes that fits 63 bits"
	ErrLeft            Error = "left: want a whole number of bytes that fits 63 bits"
	ErrNumWant         Error = "numwant: want a whole number"
	ErrRepeated        Error = "a parameter is given twice"
	ErrScrapeLimit     Error = "scrape: too many info hashes in one request"
	ErrScrapeEmpty     Error = "scrape: name at least one info_hash; this tracker does not list all of its torrents"
	ErrResponse        Error = "the tracker's answer is not a bencoded dictionary of BEP 3"
)

// Parameters of an announce that are read; each at most once.
const (
	seenInfoHash = 1 << iota
	seenPeerID
	seenPort
	seenUploaded
	seenDownloaded
	seenLeft
	seenEvent
	seenNumWant
	seenCompact
	seenNoPeerID
	seenKey
)

// ParseHTTPAnnounce reads the query of an announce URL (what follows the
// question mark) of BEP 3, 7, 21, 23, 24 and 27 into a. info_hash, peer_id and
// port must be there; a missing left is [LeftUnknown], a missing numwant is
// negative, and peers are compact unless compact=0. Addresses that the client
// claims (ip, ipv4, ipv6) and parameters that are not known are passed over. An
// empty value counts as a missing one.
//
// The error is one of this package's, and may be sent back as it is.
func ParseHTTPAnnounce(query string, a *AnnounceRequest) error {
	*a = AnnounceRequest{Left: LeftUnknown, NumWant: -1}
	seen, dictionary, noPeerID := 0, false, false
	for query != "" {
		var name, value string
		name, value, query = nextParameter(query)
		bit, err := a.setParameter(name, value)
		if err != nil {
			return err
		}
		if seen&bit != 0 {
			return ErrRepeated
		}
		seen |= bit
		switch bit {
		case seenCompact:
			dictionary = value == "0"
		case seenNoPeerID:
			noPeerID = value != "0"
		}
	}
	switch {
	case dictionary && noPeerID:
		a.Form = PeersWithoutIDs
	case dictionary:
		a.Form = PeersFull
	}
	switch {
	case seen&seenInfoHash == 0:
		return ErrInfoHashMissing
	case seen&seenPeerID == 0:
		return ErrPeerIDMissing
	case seen&seenPort == 0:
		return ErrPortMissing
	}
	return nil
}

// nextParameter cuts the first name=value off a query.
func nextParameter(query string) (name, value, rest string) {
	parameter, rest, _ := strings.Cut(query, "&")
	name, value, _ = strings.Cut(parameter, "=")
	return name, value, rest
}

// setParameter stores one parameter and returns its bit, or 0 where it is not
// one that is read or is empty.
func (a *AnnounceRequest) setParameter(name, value string) (bit int, err error) {
	if value == "" {
		return 0, nil
	}
	switch name {
	case "info_hash":
		return seenInfoHash, unescape20((*[20]byte)(&a.InfoHash), value, ErrInfoHashLength)
	case "peer_id":
		return seenPeerID, unescape20((*[20]byte)(&a.PeerID), value, ErrPeerIDLength)
	case "port":
		port, ok := parseInt(value)
		if !ok || port < 1 || port > math.MaxUint16 {
			return 0, ErrPort
		}
		a.Port = uint16(port)
		return seenPort, nil
	case "uploaded":
		n, ok := parseInt(value)
		a.Uploaded = max(0, n)
		return seenUploaded, unless(ok, ErrUploaded)
	case "downloaded":
		n, ok := parseInt(value)
		a.Downloaded = max(0, n)
		return seenDownloaded, unless(ok, ErrDownloaded)
	case "left":
		n, ok := parseInt(value)
		a.Left = knownLeft(n)
		return seenLeft, unless(ok, ErrLeft)
	case "numwant":
		n, ok := parseInt(value)
		a.NumWant = int32(min(max(n, -1), math.MaxInt32))
		return seenNumWant, unless(ok, ErrNumWant)
	case "event":
		a.Event = parseEvent(value)
		return seenEvent, nil
	case "compact":
		return seenCompact, nil
	case "no_peer_id":
		return seenNoPeerID, nil
	case "key":
		a.Key = parseKey(value)
		return seenKey, nil
	}
	return 0, nil
}

func unless(ok bool, err Error) error {
	if ok {
		return nil
	}
	return err
}

// parseEvent takes a word that no BEP knows for no event: refusing the announce
// would only hide the peer.
func parseEvent(word string) Event {
	for e, name := range eventNames {
		if word == name {
			return Event(e)
		}
	}
	return EventNone
}

// parseKey folds the key into the 32 bits that BEP 15 has for it. Clients that
// speak both protocols write it as hexadecimal digits here, and must be
// recognised by either.
func parseKey(value string) uint32 {
	if len(value) <= 8 {
		if n, ok := parseHex(value); ok {
			return n
		}
	}
	h := uint32(2166136261) // FNV-1a; hash/fnv would allocate
	for i := range len(value) {
		h = (h ^ uint32(value[i])) * 16777619
	}
	return h
}

func parseHex(value string) (n uint32, ok bool) {
	for i := range len(value) {
		d, ok := hexDigit(value[i])
		if !ok {
			return 0, false
		}
		n = n<<4 | uint32(d)
	}
	return n, true
}

// parseInt is strconv.ParseInt without its allocated errors.
func parseInt(value string) (int64, bool) {
	digits, negative := strings.CutPrefix(value, "-")
	if digits == "" {
		return 0, false
	}
	var n int64
	for i := range len(digits) {
		d := int64(digits[i]) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if negative {
		return -n, true
	}
	return n, true
}

// unescape20 decodes exactly 20 percent-encoded bytes. A plus is a space, as in
// forms: clients that mean a plus escape it.
func unescape20(dst *[20]byte, value string, fault Error) error {
	n := 0
	for i := 0; i < len(value); i++ {
		if n == len(dst) {
			return fault
		}
		c := value[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(value) {
				return fault
			}
			high, ok1 := hexDigit(value[i+1])
			low, ok2 := hexDigit(value[i+2])
			if !ok1 || !ok2 {
				return fault
			}
			c = high<<4 | low
			i += 2
		}
		dst[n] = c
		n++
	}
	return unless(n == len(dst), fault)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// AppendHTTPScrapeHashes appends to dst the info hashes of a scrape's query
// (BEP 48), sorted and each once, as the keys of the answer must be. Errors:
// [ErrInfoHashLength], [ErrScrapeEmpty], and [ErrScrapeLimit] where there are
// more than limit.
func AppendHTTPScrapeHashes(dst []InfoHash, query string, limit int) ([]InfoHash, error) {
	before := len(dst)
	for query != "" {
		var name, value string
		name, value, query = nextParameter(query)
		if name != "info_hash" {
			continue
		}
		if len(dst)-before == limit {
			return dst[:before], ErrScrapeLimit
		}
		var h InfoHash
		if err := unescape20((*[20]byte)(&h), value, ErrInfoHashLength); err != nil {
			return dst[:before], err
		}
		dst = append(dst, h)
	}
	if len(dst) == before {
		return dst, ErrScrapeEmpty
	}
	asked := dst[before:]
	slices.SortFunc(asked, func(a, b InfoHash) int { return bytes.Compare(a[:], b[:]) })
	return dst[:before+len(slices.Compact(asked))], nil
}

// AppendHTTPAnnounce appends the query of an announce, without question mark.
func AppendHTTPAnnounce(dst []byte, a *AnnounceRequest) []byte {
	dst = appendEscaped(append(dst, "info_hash="...), a.InfoHash[:])
	dst = appendEscaped(append(dst, "&peer_id="...), a.PeerID[:])
	dst = strconv.AppendUint(append(dst, "&port="...), uint64(a.Port), 10)
	dst = strconv.AppendInt(append(dst, "&uploaded="...), a.Uploaded, 10)
	dst = strconv.AppendInt(append(dst, "&downloaded="...), a.Downloaded, 10)
	dst = strconv.AppendInt(append(dst, "&left="...), a.Left, 10)
	if a.Event != EventNone {
		dst = append(append(dst, "&event="...), a.Event.String()...)
	}
	if a.NumWant >= 0 {
		dst = strconv.AppendInt(append(dst, "&numwant="...), int64(a.NumWant), 10)
	}
	if a.Key != 0 {
		dst = strconv.AppendUint(append(dst, "&key="...), uint64(a.Key), 16)
	}
	switch a.Form {
	case PeersCompact:
		return append(dst, "&compact=1"...)
	case PeersWithoutIDs:
		return append(dst, "&compact=0&no_peer_id=1"...)
	}
	return append(dst, "&compact=0"...)
}

// AppendHTTPScrape appends the query of a scrape, without question mark.
func AppendHTTPScrape(dst []byte, hashes []InfoHash) []byte {
	for i := range hashes {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = appendEscaped(append(dst, "info_hash="...), hashes[i][:])
	}
	return dst
}

func appendEscaped(dst, raw []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range raw {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// AppendHTTPAnnounceResponse appends the bencoded answer to an announce. In the
// compact form IPv4 peers are in peers and IPv6 ones in peers6 (BEP 7, 23); in
// the others both are in peers.
func AppendHTTPAnnounceResponse(dst []byte, r *AnnounceResponse, form PeerForm) []byte {
	dst = appendCount(dst, "d8:completei", r.Complete)
	dst = appendCount(dst, "10:downloadedi", r.Downloaded)
	if r.ExternalIP.IsValid() {
		dst = append(dst, "11:external ip"...)
		if ip := r.ExternalIP.Unmap(); ip.Is4() {
			a := ip.As4()
			dst = AppendBytes(dst, a[:])
		} else {
			a := ip.As16()
			dst = AppendBytes(dst, a[:])
		}
	}
	dst = appendCount(dst, "10:incompletei", r.Incomplete)
	dst = appendCount(dst, "8:intervali", seconds(r.Interval))
	if r.MinInterval > 0 {
		dst = appendCount(dst, "12:min intervali", seconds(r.MinInterval))
	}
	dst = append(dst, "5:peers"...)
	if form == PeersCompact {
		dst = AppendBytes(dst, r.Peers.V4)
		if len(r.Peers.V6) > 0 {
			dst = AppendBytes(append(dst, "6:peers6"...), r.Peers.V6)
		}
	} else {
		dst = appendPeerDictionaries(dst, &r.Peers, form)
	}
	if r.Warning != "" {
		dst = AppendString(append(dst, "15:warning message"...), r.Warning)
	}
	return append(dst, 'e')
}

// appendCount appends a key, with the i that opens an integer, and the integer.
func appendCount(dst []byte, key string, n uint32) []byte {
	return append(strconv.AppendUint(append(dst, key...), uint64(n), 10), 'e')
}

func appendPeerDictionaries(dst []byte, peers *PeerList, form PeerForm) []byte {
	var text [46]byte // the longest IPv6 address in text
	if len(peers.IDs4)+len(peers.IDs6) == 0 {
		form = PeersWithoutIDs // the tracker does not keep them
	}
	dst = append(dst, 'l')
	for addr, id := range peers.All() {
		dst = AppendBytes(append(dst, "d2:ip"...), addr.Addr().AppendTo(text[:0]))
		if form == PeersFull {
			dst = AppendBytes(append(dst, "7:peer id"...), id[:])
		}
		dst = append(appendCount(dst, "4:porti", uint32(addr.Port())), 'e')
	}
	return append(dst, 'e')
}

// AppendHTTPFailure appends the answer of BEP 3 to a request that is refused.
func AppendHTTPFailure(dst []byte, reason string) []byte {
	return append(AppendString(append(dst, "d14:failure reason"...), reason), 'e')
}

// Never is the [Refusal.RetryIn] of a request that is not to be sent again.
const Never time.Duration = math.MaxInt64

// Refusal is a failure reason that says when to try again (BEP 31). The other
// failures of this package do not: a client chooses.
type Refusal struct {
	Reason  Error
	RetryIn time.Duration // whole minutes, 1 and up, or Never
}

// Error returns the reason.
func (r *Refusal) Error() string { return string(r.Reason) }

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// AppendHTTPRefusal appends the answer to a request that is refused for some
// time (BEP 31). Parts of a minute count as a whole one. Beside the minutes it
// has the same time as an interval in seconds, where libtorrent looks for it.
func AppendHTTPRefusal(dst []byte, r *Refusal) []byte {
	dst = AppendString(append(dst, "d14:failure reason"...), string(r.Reason))
	if r.RetryIn == Never {
		return append(dst, "8:retry in5:nevere"...)
	}
	minutes := uint32(min(max(math.Ceil(r.RetryIn.Minutes()), 1), math.MaxInt32/60))
	dst = appendCount(dst, "8:intervali", minutes*60)
	return append(appendCount(dst, "8:retry ini", minutes), 'e')
}

// AppendHTTPScrapeResponse appends the answer to a scrape (BEP 48; downloaders
// of BEP 21). hashes must be sorted and each there once, as
// [AppendHTTPScrapeHashes] leaves them, with the counts in the same order.
// minInterval is how long a client should wait before it scrapes again; 0 says
// nothing of it.
func AppendHTTPScrapeResponse(dst []byte, hashes []InfoHash, counts []ScrapeCounts, minInterval time.Duration) []byte {
	dst = append(dst, "d5:filesd"...)
	for i := range hashes {
		dst = AppendBytes(dst, hashes[i][:])
		dst = appendCount(dst, "d8:completei", counts[i].Complete)
		dst = appendCount(dst, "10:downloadedi", counts[i].Downloaded)
		dst = appendCount(dst, "11:downloadersi", counts[i].Downloaders)
		dst = append(appendCount(dst, "10:incompletei", counts[i].Incomplete), 'e')
	}
	dst = append(dst, 'e')
	if minInterval > 0 {
		dst = appendCount(dst, "5:flagsd20:min_request_intervali", seconds(minInterval))
		dst = append(dst, 'e')
	}
	return append(dst, 'e')
}

// ParseHTTPAnnounceResponse reads an answer to an announce, compact or not, as
// a client does. Where the tracker refused, the error is its failure reason: a
// [*Refusal] if it says when to try again, and an [Error] if not. Compact peers
// are slices of body.
func ParseHTTPAnnounceResponse(body []byte, out *AnnounceResponse) error {
	*out = AnnounceResponse{}
	v, err := ParseBencode(body)
	if err != nil || v.Kind() != KindDict {
		return ErrResponse
	}
	if err := parseFailure(v); err != nil {
		return err
	}
	out.Interval = time.Duration(countAt(v, "interval")) * time.Second
	out.MinInterval = time.Duration(countAt(v, "min interval")) * time.Second
	out.Complete, out.Incomplete = countAt(v, "complete"), countAt(v, "incomplete")
	out.Downloaded = countAt(v, "downloaded")
	if warning, ok := v.Get("warning message"); ok {
		text, _ := warning.Bytes()
		out.Warning = string(text)
	}
	if external, ok := v.Get("external ip"); ok {
		raw, _ := external.Bytes()
		out.ExternalIP, _ = netip.AddrFromSlice(raw)
	}
	if peers, ok := v.Get("peers6"); ok {
		out.Peers.V6, _ = peers.Bytes()
	}
	peers, _ := v.Get("peers")
	if peers.Kind() == KindList {
		return appendParsedPeers(&out.Peers, peers)
	}
	out.Peers.V4, _ = peers.Bytes()
	if len(out.Peers.V4)%CompactLen4 != 0 || len(out.Peers.V6)%CompactLen6 != 0 {
		return ErrResponse
	}
	return nil
}

// parseFailure returns the failure reason that an answer holds, or nil. What is
// neither minutes nor never is passed over.
func parseFailure(v Value) error {
	reason, refused := v.Get("failure reason")
	if !refused {
		return nil
	}
	text, _ := reason.Bytes()
	retry, _ := v.Get("retry in")
	minutes, ok := retry.Int()
	if word, isText := retry.Bytes(); isText { // also numbers: the examples of BEP 31 write them so
		if string(word) == "never" {
			return &Refusal{Reason: Error(text), RetryIn: Never}
		}
		minutes, ok = parseInt(string(word))
	}
	if !ok || minutes < 1 {
		return Error(text)
	}
	return &Refusal{Reason: Error(text), RetryIn: time.Duration(min(minutes, int64(Never/time.Minute))) * time.Minute}
}

// countAt returns the integer at key within 0 and 2^31-1, and 0 where there is
// none.
func countAt(v Value, key string) uint32 {
	at, _ := v.Get(key)
	n, _ := at.Int()
	return uint32(min(max(n, 0), math.MaxInt32))
}

func appendParsedPeers(list *PeerList, peers Value) error {
	for p := range peers.List() {
		host, _ := p.Get("ip")
		text, _ := host.Bytes()
		ip, err := netip.ParseAddr(string(text))
		port := countAt(p, "port")
		if err != nil || port > math.MaxUint16 {
			return ErrResponse
		}
		var id PeerID
		if named, ok := p.Get("peer id"); ok {
			raw, _ := named.Bytes()
			copy(id[:], raw)
		}
		list.AppendWithID(netip.AddrPortFrom(ip, uint16(port)), id)
	}
	return nil
}

// ParseHTTPScrapeResponse reads the counts that an answer to a scrape holds of
// one torrent; ok is false where it holds none. Where the tracker refused, the
// error is its failure reason, as [ParseHTTPAnnounceResponse] has it.
func ParseHTTPScrapeResponse(body []byte, h InfoHash) (counts ScrapeCounts, ok bool, err error) {
	v, err := ParseBencode(body)
	if err != nil || v.Kind() != KindDict {
		return counts, false, ErrResponse
	}
	if err := parseFailure(v); err != nil {
		return counts, false, err
	}
	files, _ := v.Get("files")
	file, ok := files.Get(string(h[:]))
	if !ok {
		return counts, false, nil
	}
	return ScrapeCounts{
		Complete:    countAt(file, "complete"),
		Incomplete:  countAt(file, "incomplete"),
		Downloaded:  countAt(file, "downloaded"),
		Downloaders: countAt(file, "downloaders"),
	}, true, nil
}
