package catalog

import (
	"encoding/json"
	"testing"
)

func FuzzRecordInADocument(f *testing.F) {
	full, err := encodeRecord(new(record(1)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(full))
	f.Add([]byte(`{"infoHash":"0101010101010101010101010101010101010101","name":"a","registered":"2026-01-01T00:00:00.5+01:00"}`))
	f.Add([]byte(`{"infoHash":"01","nameBytes":"/w=="}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := parseRecord(value)
		if err != nil {
			return
		}
		again, err := encodeRecord(&r)
		if err != nil {
			return // a year that there is not
		}
		if back, err := parseRecord(again); err != nil || back != r {
			t.Errorf("%+v became %+v, %v", r, back, err)
		}
		if joined := joinRecords(value, again); !json.Valid(joined) {
			t.Errorf("joined to %q", joined)
		}
	})
}
