package population

import (
	"fmt"
	"math"
)

// Distribution is how peers spread over torrents, and what they ask for.
type Distribution struct {
	Name       string  // "rank", "aquatic" or "even"
	Torrents   int     // 1 to 2^31
	Peers      int     // 1 to 2^31; a client in two torrents is two peers
	Seeders    float64 // the share of peers that have everything, 0 to 1
	NumWant    int32   // peers wanted in an answer; negative: the client does not say
	ScrapeEach int     // one scrape for so many announces; 0: no scrapes
}

// Rank returns the distribution in which the torrent of rank r has a weight of
// 1/r: few large swarms, and a long tail. A quarter of the peers are seeders.
func Rank() Distribution {
	return Distribution{Name: "rank", Torrents: 100_000, Peers: 400_000, Seeders: 0.25, NumWant: 30}
}

// Aquatic returns the distribution that the load test of the tracker aquatic has
// (crates/udp_load_test), with which trackers are often compared. Unlike there, a
// seeder stays one: there the dice are cast for every announce.
func Aquatic() Distribution {
	return Distribution{Name: "aquatic", Torrents: 1_000_000, Peers: 2_000_000, Seeders: 0.75, NumWant: 30, ScrapeEach: 100}
}

// Even returns the distribution of browsers: all torrents have the same weight, and so
// some ten peers each, of which a quarter are seeders.
func Even() Distribution {
	return Distribution{Name: "even", Torrents: 100, Peers: 1_000, Seeders: 0.25, NumWant: 5}
}

// Names returns the names that [Named] knows.
func Names() []string { return []string{"rank", "aquatic", "even"} }

// Named returns a distribution by its name. The error says which names there are.
func Named(name string) (Distribution, error) {
	switch name {
	case "rank":
		return Rank(), nil
	case "aquatic":
		return Aquatic(), nil
	case "even":
		return Even(), nil
	}
	return Distribution{}, fmt.Errorf("there is no distribution %q: want one of %q", name, Names())
}

// Check returns what is wrong with the figures, in words for whoever set them.
func (d Distribution) Check() error {
	switch {
	case d.Torrents < 1 || d.Torrents > math.MaxInt32:
		return fmt.Errorf("%d torrents: want 1 to %d", d.Torrents, math.MaxInt32)
	case d.Peers < 1 || d.Peers > math.MaxInt32:
		return fmt.Errorf("%d peers: want 1 to %d", d.Peers, math.MaxInt32)
	case !(d.Seeders >= 0 && d.Seeders <= 1):
		return fmt.Errorf("a share of seeders of %v: want 0 to 1", d.Seeders)
	case d.ScrapeEach < 0:
		return fmt.Errorf("a scrape for %d announces: want 0 or more", d.ScrapeEach)
	}
	_, err := Named(d.Name)
	return err
}

// Weights returns the weight of each torrent, all above 0, in no unit.
func (d Distribution) Weights() []float64 {
	weights := make([]float64, d.Torrents)
	for i := range weights {
		weights[i] = d.weight(i)
	}
	return weights
}

func (d Distribution) weight(torrent int) float64 {
	switch d.Name {
	case "aquatic":
		floor := float64(d.Torrents) / float64(d.Peers)
		return floor + math.Exp(6.5-500*float64(torrent)/float64(d.Torrents))
	case "even":
		return 1
	}
	return 1 / float64(torrent+1)
}
