package population

import (
	"math"
	"math/rand/v2"
	"testing"
)

// probability adds up what the columns of a table give to each number.
func probability(a *Alias) []float64 {
	p := make([]float64, len(a.columns))
	for i, c := range a.columns {
		p[i] += c.keep / float64(len(a.columns))
		p[c.alias] += (1 - c.keep) / float64(len(a.columns))
	}
	return p
}

func TestAliasGivesEachNumberThePartOfItsWeight(t *testing.T) {
	for name, weights := range map[string][]float64{
		"one":     {3},
		"equal":   {2, 2, 2, 2, 2, 2, 2},
		"unequal": {1e-9, 5, 1, 1e6, 0.25},
		"rank":    Distribution{Name: "rank", Torrents: 5_000, Peers: 1}.Weights(),
		"aquatic": Distribution{Name: "aquatic", Torrents: 5_000, Peers: 10_000}.Weights(),
	} {
		total := 0.0
		for _, w := range weights {
			total += w
		}
		for i, got := range probability(NewAlias(weights)) {
			if want := weights[i] / total; math.Abs(got-want) > 1e-12 {
				t.Errorf("%s: number %d has %v, want %v", name, i, got, want)
			}
		}
	}
}

func TestAliasDrawsByColumnAndAlias(t *testing.T) {
	a := NewAlias([]float64{1, 2, 5})
	random := rand.New(rand.NewPCG(1, 2))
	var drawn [3]int
	const draws = 80_000
	for range draws {
		drawn[a.Draw(random)]++
	}
	for i, want := range []int{draws / 8, draws / 4, draws * 5 / 8} {
		if math.Abs(float64(drawn[i]-want)) > draws/100 {
			t.Errorf("%d was drawn %d times, want about %d", i, drawn[i], want)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	a := NewAlias(Rank().Weights())
	random := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		a.Draw(random)
	}
}
