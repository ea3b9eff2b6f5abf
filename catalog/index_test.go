package catalog

import (
	"testing"

	"pgregory.net/rapid"

	"waggle/bittorrent"
)

func TestIndexAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var x index
		model := map[bittorrent.InfoHash]*entry{}
		// Few parts, and many that collide within them.
		hash := func() bittorrent.InfoHash {
			return bittorrent.InfoHash{0: rapid.Byte().Draw(rt, "part") % 2, 2: rapid.Byte().Draw(rt, "place") % 4, 19: rapid.Byte().Draw(rt, "last") % 16}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(*rapid.T) {
				r := Record{Transfer: Transfer{InfoHash: hash()}}
				e := newEntry(r)
				x.put(e)
				model[r.InfoHash] = e
			},
			"remove": func(*rapid.T) {
				h := hash()
				x.remove(newEntry(Record{Transfer: Transfer{InfoHash: h}}))
				delete(model, h)
			},
			"refill": func(*rapid.T) {
				x = index{}
				var all []*entry
				for _, e := range model {
					all = append(all, e)
				}
				x.fill(all)
			},
			"": func(*rapid.T) {
				h := hash()
				if x.get(&h) != model[h] {
					rt.Fatalf("%v: have %p, want %p", h, x.get(&h), model[h])
				}
				for h, e := range model {
					if x.get(&h) != e {
						rt.Fatalf("%v: have %p, want %p", h, x.get(&h), e)
					}
				}
			},
		})
	})
}
