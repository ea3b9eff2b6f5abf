package catalog

import (
	"encoding/hex"
	"fmt"
	"time"
	"unicode/utf8"

	"waggle/bittorrent"
	"waggle/torrent"
)

// recordDocument is a record as it is written into a document, for people to read too. Times
// are those of RFC 3339, to the nanosecond.
type recordDocument struct {
	InfoHash   string `json:"infoHash"`
	InfoHashV2 string `json:"infoHashV2,omitempty"`
	Name       string `json:"name,omitempty"`
	NameBytes  []byte `json:"nameBytes,omitempty"` // in its place, where that is not UTF-8
	Size       int64  `json:"size,omitempty"`
	Private    bool   `json:"private,omitempty"`
	Version    uint8  `json:"version,omitempty"` // torrent.Version
	File       string `json:"file,omitempty"`
	Source     Source `json:"source,omitempty"` // 1 directory, 2 upload
	Profile    string `json:"profile,omitempty"`

	Registered     time.Time `json:"registered,omitzero"`
	FirstStarted   time.Time `json:"firstStarted,omitzero"`
	LastStarted    time.Time `json:"lastStarted,omitzero"`
	FirstCompleted time.Time `json:"firstCompleted,omitzero"`
	LastCompleted  time.Time `json:"lastCompleted,omitzero"`
	Deactivated    time.Time `json:"deactivated,omitzero"`

	Held     bool   `json:"held,omitempty"`
	FileSize int64  `json:"fileSize,omitempty"`
	FileTime int64  `json:"fileTime,omitempty"`
	Period   uint64 `json:"period,omitempty,string"`
}

func documentOf(r *Record) *recordDocument {
	d := &recordDocument{
		InfoHash: r.InfoHash.String(), Size: r.Size, Private: r.Private, Version: uint8(r.Version),
		File: r.File, Source: r.Source, Profile: r.Profile,
		Registered: r.Registered, Deactivated: r.Deactivated,
		Held: r.Held, FileSize: r.FileSize, FileTime: r.FileTime, Period: r.Period,
	}
	d.setTimes(&r.Transfer)
	if r.InfoHashV2 != (bittorrent.InfoHashV2{}) {
		d.InfoHashV2 = hex.EncodeToString(r.InfoHashV2[:])
	}
	if utf8.ValidString(r.Name) {
		d.Name = r.Name
	} else {
		d.NameBytes = []byte(r.Name)
	}
	return d
}

// record returns the record of a document, or an error where that is none.
func (d *recordDocument) record() (Record, error) {
	r := Record{
		Transfer: Transfer{
			Name: d.Name, Size: d.Size, Private: d.Private, Version: torrent.Version(d.Version),
			File: d.File, Source: d.Source, Profile: d.Profile,
			Registered: d.Registered.UTC(), Deactivated: d.Deactivated.UTC(),
		},
		Held: d.Held, FileSize: d.FileSize, FileTime: d.FileTime, Period: d.Period,
	}
	times := d.times()
	r.setTimes(&times)
	if d.NameBytes != nil {
		r.Name = string(d.NameBytes)
	}
	var err error
	if r.InfoHash, err = bittorrent.ParseInfoHash(d.InfoHash); err != nil {
		return Record{}, err
	}
	if d.InfoHashV2 != "" {
		whole, err := hex.DecodeString(d.InfoHashV2)
		if err != nil || len(whole) != len(r.InfoHashV2) {
			return Record{}, fmt.Errorf("%.80q is no info hash", d.InfoHashV2)
		}
		copy(r.InfoHashV2[:], whole)
	}
	return r, nil
}

// times returns a transfer that has only when it started and completed.
func (d *recordDocument) times() Transfer {
	return Transfer{
		FirstStarted: d.FirstStarted.UTC(), LastStarted: d.LastStarted.UTC(),
		FirstCompleted: d.FirstCompleted.UTC(), LastCompleted: d.LastCompleted.UTC(),
	}
}

func (d *recordDocument) setTimes(t *Transfer) {
	d.FirstStarted, d.LastStarted = t.FirstStarted, t.LastStarted
	d.FirstCompleted, d.LastCompleted = t.FirstCompleted, t.LastCompleted
}

func (t *Transfer) setTimes(from *Transfer) {
	t.FirstStarted, t.LastStarted = from.FirstStarted, from.LastStarted
	t.FirstCompleted, t.LastCompleted = from.FirstCompleted, from.LastCompleted
}

// mergeTimes takes over what started and completed earlier first, and later last.
func (t *Transfer) mergeTimes(from *Transfer) {
	t.FirstStarted, t.LastStarted = earlier(t.FirstStarted, from.FirstStarted), later(t.LastStarted, from.LastStarted)
	t.FirstCompleted, t.LastCompleted = earlier(t.FirstCompleted, from.FirstCompleted), later(t.LastCompleted, from.LastCompleted)
}

// earlier returns the earlier time that is not zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
