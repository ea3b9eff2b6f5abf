package simulate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// flows makes a network of links with flows over them.
func flows(capacity []float64, paths ...[]int32) *network {
	n := &network{capacity: capacity, left: make([]float64, len(capacity)), users: make([]int32, len(capacity))}
	for _, p := range paths {
		at := int32(len(n.paths))
		n.paths = append(n.paths, p...)
		n.flows = append(n.flows, flow{at: at, end: int32(len(n.paths))})
	}
	return n
}

func TestLinksAreSharedFairly(t *testing.T) {
	// Two flows share the narrow link 0; the third gets what they leave of link 1.
	n := flows([]float64{10, 100}, []int32{0, 1}, []int32{0, 1}, []int32{1})
	n.share()
	for i, want := range []float64{5, 5, 90} {
		if got := n.flows[i].rate; math.Abs(got-want) > 0.2 {
			t.Errorf("flow %d has %.2f, want %.0f", i, got, want)
		}
	}
}

func TestNoLinkCarriesMoreThanItCanNorIsLeftIdle(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		capacity := make([]float64, 30)
		for l := range capacity {
			capacity[l] = 1 + 100*random.Float64()
		}
		var paths [][]int32
		for range 1 + random.IntN(60) {
			var p []int32
			for _, l := range random.Perm(len(capacity))[:2+random.IntN(4)] {
				p = append(p, int32(l))
			}
			paths = append(paths, p)
		}
		n := flows(capacity, paths...)
		n.share()
		used := make([]float64, len(capacity))
		for i, p := range paths {
			for _, l := range p {
				used[l] += n.flows[i].rate
			}
		}
		for i, p := range paths {
			narrowest := math.Inf(1)
			for _, l := range p {
				if used[l] > capacity[l]*1.000001 {
					t.Fatalf("link %d carries %.2f of %.2f", l, used[l], capacity[l])
				}
				narrowest = min(narrowest, (capacity[l]-used[l])/capacity[l])
			}
			if narrowest > 0.1 {
				t.Fatalf("flow %d could have more: %.0f %% of its narrowest link is idle", i, 100*narrowest)
			}
		}
	}
}

func TestRarestPieceIsFetchedFirst(t *testing.T) {
	w := &world{pieces: 200, words: 4}
	from := &host{have: []uint64{^uint64(0), ^uint64(0), 0, 0}}
	to := &host{taken: make([]uint64, 4), rarity: make([]uint16, 200)}
	for p := range to.rarity {
		to.rarity[p] = 5
	}
	to.rarity[17], to.rarity[150] = 1, 0 // of which the latter is not to be had
	put(to.taken, 3)
	seen := map[int32]int{}
	for range 500 {
		seen[w.rarest(from, to)]++
	}
	if seen[17] < 200 || seen[3] > 0 || seen[150] > 0 || len(seen) < 30 {
		t.Errorf("chosen: %v; want 17 whenever it is looked at, others else", seen)
	}
	to.taken = from.have
	if p := w.rarest(from, to); p != -1 {
		t.Errorf("piece %d is chosen, of none", p)
	}
}
