package udp

import (
	"net/netip"
	"testing"
	"time"
)

func TestConnectionIDIsGoodForTwoMinutesAndItsAddressOnly(t *testing.T) {
	secret, other := Secret{1}, Secret{2}
	at := time.Unix(1_700_000_000, 0)
	ip, neighbour := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	id := secret.connectionID(at, ip)
	for name, test := range map[string]struct {
		secret *Secret
		id     uint64
		now    time.Time
		ip     netip.Addr
		want   bool
	}{
		"at once":                 {&secret, id, at, ip, true},
		"after two minutes":       {&secret, id, at.Add(120 * time.Second), ip, true},
		"a second later":          {&secret, id, at.Add(121 * time.Second), ip, false},
		"before it was made":      {&secret, id, at.Add(-time.Second), ip, false},
		"when 16 bits come round": {&secret, id, at.Add(65536 * time.Second), ip, false},
		"from another address":    {&secret, id, at, neighbour, false},
		"with another secret":     {&other, id, at, ip, false},
		"with a bit flipped":      {&secret, id ^ 1, at, ip, false},
		"with its time moved":     {&secret, id + 1<<48, at.Add(time.Second), ip, false},
		"zero":                    {&secret, 0, at, ip, false},
	} {
		if got := test.secret.valid(test.id, test.now, test.ip); got != test.want {
			t.Errorf("%s: valid is %t, want %t", name, got, test.want)
		}
	}
	if secret.connectionID(at, ip) == secret.connectionID(at, neighbour) {
		t.Error("two addresses got the same id")
	}
}
