package population

import "math/rand/v2"

// Alias draws numbers by weight in constant time: Vose's alias method. A draw
// takes a column at random, and gives either the column or its alias. Reading one
// concurrently is safe.
type Alias struct {
	columns []column
}

type column struct {
	keep  float64 // the probability that the column itself is drawn, 0 to 1
	alias uint32
}

// NewAlias returns a table over the numbers 0 to len(weights)-1. There must be a
// weight, and all must be above 0.
func NewAlias(weights []float64) *Alias {
	a := &Alias{columns: make([]column, len(weights))}
	total := 0.0
	for _, w := range weights {
		total += w
	}
	var small, large []uint32
	for i, w := range weights {
		a.columns[i] = column{keep: w / total * float64(len(weights)), alias: uint32(i)}
		if a.columns[i].keep < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		poor, rich := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.columns[poor].alias = rich
		a.columns[rich].keep -= 1 - a.columns[poor].keep
		if a.columns[rich].keep < 1 {
			large = large[:len(large)-1]
			small = append(small, rich)
		}
	}
	a.round(small)
	a.round(large)
	return a
}

// round makes whole columns of those that only rounding errors keep from it.
func (a *Alias) round(columns []uint32) {
	for _, i := range columns {
		a.columns[i].keep = 1
	}
}

// Draw returns a number with the probability of its weight.
func (a *Alias) Draw(random *rand.Rand) int {
	i := random.IntN(len(a.columns))
	if random.Float64() < a.columns[i].keep {
		return i
	}
	return int(a.columns[i].alias)
}
