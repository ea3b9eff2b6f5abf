package signature

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSignatureIsThatOfTheManual(t *testing.T) {
	got := Sign([][]byte{[]byte("0123456789abcdef")}, time.Unix(1_700_000_000, 9), []byte(`{"version":1}`))
	// printf '1700000000.{"version":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
	const want = "t=1700000000,v1=d4d5218e4060ea8d4e3266cccc3a4dad71e647b6992c00beec425264a92b2c5f"
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestSignatureOfOldOrNewSecretIsGood(t *testing.T) {
	older, newer, other := []byte("the older secret"), []byte("the newer secret"), []byte("of another place")
	now, body := time.Unix(1_700_000_000, 0), []byte("body")
	both := Sign([][]byte{newer, older}, now, body)
	_, digests, _ := strings.Cut(both, ",")
	for _, has := range [][][]byte{{older}, {newer}, {other, older}} {
		if at, err := Verify(has, both, body, now, Window); err != nil || !at.Equal(now) {
			t.Errorf("%s: %v, %v", has, at, err)
		}
	}
	for _, c := range []struct {
		header, body string
		secrets      [][]byte
		later        time.Duration
		want         error
	}{
		{both, "body", [][]byte{other}, 0, ErrSignature},
		{both, "body ", [][]byte{older}, 0, ErrSignature},
		{both, "body", nil, 0, ErrSignature},
		{strings.Replace(both, "t=1700000000", "t=1700000001", 1), "body", [][]byte{older}, 0, ErrSignature},
		{both, "body", [][]byte{older}, Window + time.Second, ErrWindow},
		{both, "body", [][]byte{older}, -Window - time.Second, ErrWindow},
		{"", "body", [][]byte{older}, 0, errMalformed},
		{"t=1", "body", [][]byte{older}, 0, errMalformed},
		{"v1=00", "body", [][]byte{older}, 0, errMalformed},
		{"t=-1," + digests, "body", [][]byte{older}, 0, errMalformed},
		{both + ",t=1700000000", "body", [][]byte{older}, 0, errMalformed},
		{both + strings.Repeat(","+digests, 8), "body", [][]byte{older}, 0, errMalformed},
	} {
		if _, err := Verify(c.secrets, c.header, []byte(c.body), now.Add(c.later), Window); !errors.Is(err, c.want) {
			t.Errorf("%s with %s, %v later: %v, want %v", c.header, c.secrets, c.later, err, c.want)
		}
	}
	if _, err := Verify([][]byte{older}, both+",v2=aa, ", body, now.Add(Window), Window); err != nil {
		t.Errorf("what a later version adds: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("t=1700000000,v1=d4d5218e4060ea8d4e3266cccc3a4dad71e647b6992c00beec425264a92b2c5f", []byte("{}"))
	f.Add("t=,v1=", []byte(nil))
	f.Add("t=9223372036854775807,,v1=00,=", []byte("x"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if _, err := Verify([][]byte{[]byte("a secret of a test")}, header, body, time.Unix(1_700_000_000, 0), Window); err == nil {
			t.Errorf("%q is good", header)
		}
	})
}
