package passkey

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"waggle/document/table"
)

// rowDocument is a passkey as it is written into a document. Times are those of RFC 3339.
type rowDocument struct {
	Key     string          `json:"key"`
	Name    string          `json:"name,omitempty"`
	Note    string          `json:"note,omitempty"`
	Created time.Time       `json:"created,omitzero"`
	Expires time.Time       `json:"expires,omitzero"`
	Revoked time.Time       `json:"revoked,omitzero"`
	Counts  *countsDocument `json:"counts,omitempty"` // nil in a change: those that are there stay
}

// countsDocument is what was counted. Of others' news it has no sessions.
type countsDocument struct {
	Uploaded    int64     `json:"uploaded,omitempty"`
	Downloaded  int64     `json:"downloaded,omitempty"`
	Implausible int64     `json:"implausible,omitempty"`
	Torrents    int64     `json:"torrents,omitempty"`
	Seen        time.Time `json:"seen,omitzero"`
	Sessions    []byte    `json:"sessions,omitempty"`
}

func rowOf(r *Record, t *Totals) *rowDocument {
	d := &rowDocument{Key: r.Key, Name: r.Name, Note: r.Note, Created: r.Created, Expires: r.Expires, Revoked: r.Revoked}
	if t != nil {
		d.Counts = countsOf(t)
	}
	return d
}

func countsOf(t *Totals) *countsDocument {
	return &countsDocument{Uploaded: t.Uploaded, Downloaded: t.Downloaded, Implausible: t.Implausible, Torrents: t.Torrents, Seen: t.Seen}
}

func (c *countsDocument) totals() *Totals {
	if c == nil {
		return new(Totals)
	}
	return &Totals{Uploaded: c.Uploaded, Downloaded: c.Downloaded, Implausible: c.Implausible, Torrents: c.Torrents, Seen: c.Seen.UTC()}
}

func (d *rowDocument) record(id string) Record {
	return Record{
		ID: id, Key: d.Key, Name: d.Name, Note: d.Note,
		Created: d.Created.UTC(), Expires: d.Expires.UTC(), Revoked: d.Revoked.UTC(),
	}
}

// decodeRow reads the value of a row.
func decodeRow(id string, value json.RawMessage) (d rowDocument, err error) {
	if err = json.Unmarshal(value, &d); err == nil {
		p := Passkey{d.record(id), *d.Counts.totals()}
		err = p.sound()
	}
	if err != nil {
		return d, fmt.Errorf("the passkey %s %w (%w)", id, table.ErrDamaged, err)
	}
	return d, nil
}

// sessionSize is how many bytes a session has in a document.
const sessionSize = 8 + 4*4 + 2*8 + 1

func appendSession(b []byte, s *Session) []byte {
	b = binary.BigEndian.AppendUint64(b, s.Digest)
	for _, n := range []uint32{s.Torrent, s.Began, s.Marked, s.At} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(s.Uploaded))
	b = binary.BigEndian.AppendUint64(b, uint64(s.Downloaded))
	if s.Stopped {
		return append(b, 1)
	}
	return append(b, 0)
}

var errSessions = errors.New("its sessions are not as they were written")

// parseSessions reads sessions, which are in the order of their digests.
func parseSessions(b []byte) ([]Session, error) {
	if len(b)%sessionSize != 0 {
		return nil, errSessions
	}
	all := make([]Session, 0, len(b)/sessionSize)
	for ; len(b) > 0; b = b[sessionSize:] {
		s := Session{
			Digest:  binary.BigEndian.Uint64(b),
			Torrent: binary.BigEndian.Uint32(b[8:]), Began: binary.BigEndian.Uint32(b[12:]),
			Marked: binary.BigEndian.Uint32(b[16:]), At: binary.BigEndian.Uint32(b[20:]),
			Uploaded: int64(binary.BigEndian.Uint64(b[24:])), Downloaded: int64(binary.BigEndian.Uint64(b[32:])),
			Stopped: b[40] == 1,
		}
		if n := len(all); n > 0 && all[n-1].Digest >= s.Digest || s.Uploaded < 0 || s.Downloaded < 0 || b[40] > 1 {
			return nil, errSessions
		}
		all = append(all, s)
	}
	return all, nil
}
