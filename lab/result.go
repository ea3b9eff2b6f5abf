package lab

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// A result is what one roll-out came to. Amounts of bytes are in lengths of the file.
type result struct {
	into   []float64       // that came in over the uplink of each rack, without the origin's
	origin float64         // that left the rack of the origin
	full   []float64       // seconds in which a rack's uplink was more than 90 % full inwards
	done   []time.Duration // when each host was complete, in order
	never  int             // hosts that live and never were
	busy   float64         // what of the machine's processors was in use, 0 to 1
}

// A summary is results of the same kind taken together.
type summary struct {
	name string
	runs []result
}

// spread is a mean, and how far single values lie from it.
type spread struct{ mean, least, most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return spread{mean(values), slices.Min(values), slices.Max(values)}
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func (s spread) format(decimals int) string {
	if math.IsNaN(s.mean) {
		return "-"
	}
	if s.least == s.most {
		return fmt.Sprintf("%.*f", decimals, s.mean)
	}
	return fmt.Sprintf("%.*f (%.*f-%.*f)", decimals, s.mean, decimals, s.least, decimals, s.most)
}

func (s *summary) each(value func(*result) float64) spread {
	var values []float64
	for i := range s.runs {
		values = append(values, value(&s.runs[i]))
	}
	return spreadOf(values)
}

// into is the mean over the racks of what came in over an uplink.
func (s *summary) into() spread { return s.each(func(r *result) float64 { return mean(r.into) }) }

// worst is the rack into which most came.
func (s *summary) worst() spread {
	return s.each(func(r *result) float64 { return slices.Max(r.into) })
}

// last is when the last of the hosts that finished had done so, in seconds.
func (s *summary) last() spread {
	return s.each(func(r *result) float64 {
		if len(r.done) == 0 {
			return math.NaN()
		}
		return slices.Max(r.done).Seconds()
	})
}

// full is the mean over the racks of the seconds in which an uplink was full.
func (s *summary) full() spread {
	return s.each(func(r *result) float64 { return mean(r.full) })
}

func (s *summary) never() (hosts int) {
	for i := range s.runs {
		hosts += s.runs[i].never
	}
	return hosts
}

// table writes the summaries as a table in Markdown.
func table(w io.Writer, all []*summary) error {
	rows := []string{
		"| roll-outs | runs | bytes into a rack (x file) | the worst rack | out of the origin's | last host done | uplink above 90 % | never done | processors busy |",
		"|---|---|---|---|---|---|---|---|---|",
	}
	for _, s := range all {
		rows = append(rows, fmt.Sprintf("| %s | %d | %s | %s | %s | %s s | %s s | %d | %.0f %% |",
			s.name, len(s.runs), s.into().format(2), s.worst().format(2),
			s.each(func(r *result) float64 { return r.origin }).format(2), s.last().format(0), s.full().format(1), s.never(),
			100*s.each(func(r *result) float64 { return r.busy }).mean))
	}
	_, err := fmt.Fprintln(w, strings.Join(rows, "\n"))
	return err
}

// A gate is a promise, and whether it was kept.
type gate struct {
	what     string
	measured float64
	kept     bool
}

// atMost and atLeast are gates for a value. One that could not be measured is not
// kept.
func atMost(what string, measured, bound float64) gate {
	return gate{fmt.Sprintf("%s: at most %.2f", what, bound), measured, measured <= bound}
}

func atLeast(what string, measured, bound float64) gate {
	return gate{fmt.Sprintf("%s: at least %.2f", what, bound), measured, measured >= bound}
}

func below(what string, measured, bound float64) gate {
	return gate{fmt.Sprintf("%s: below %.2f", what, bound), measured, measured < bound}
}

func (g gate) String() string {
	verdict := "PASS"
	if !g.kept {
		verdict = "FAIL"
	}
	return fmt.Sprintf("%s  %s: measured %.2f", verdict, g.what, g.measured)
}

// slower is how much longer than random's a roll-out may take.
const slower = 1.1

// uplinkGates are what each policy promises of what crosses uplinks, of those that
// were measured.
func uplinkGates(of map[string]*summary) (gates []gate) {
	bytes := func(name string) float64 { return of[name].into().mean }
	add := func(name string, g func() gate) {
		if of[name] != nil {
			gates = append(gates, g())
		}
	}
	add("strict", func() gate { return atMost("strict, bytes into a rack", bytes("strict"), 1.2) })
	add("balanced", func() gate { return atMost("balanced, bytes into a rack", bytes("balanced"), 2.1) })
	add("random", func() gate { return atLeast("random, bytes into a rack", bytes("random"), 3) })
	for _, name := range []string{"strict", "balanced", "parity"} {
		if of[name] == nil || name == "parity" { // that is p2ptracker's own trade of bytes for time
			continue
		}
		add("p2ptracker", func() gate {
			return below(name+", bytes into a rack, against p2ptracker's", bytes(name), bytes("p2ptracker"))
		})
	}
	for name, s := range of {
		if name != "p2ptracker" {
			gates = append(gates, atMost(name+", hosts that are never done", float64(s.never()), 0))
		}
	}
	slices.SortStableFunc(gates, func(a, b gate) int { return strings.Compare(a.what, b.what) })
	return gates
}

// timeGates are what each policy promises of how soon all are done, of those that
// were measured. They are for files of 120 MB and more: small ones take as long as
// clients take to begin.
func timeGates(of map[string]*summary) (gates []gate) {
	random := of["random"]
	for _, name := range []string{"strict", "balanced", "parity"} {
		if s := of[name]; s != nil && random != nil {
			what := name + ", seconds until the last host is done, against random's"
			gates = append(gates, atMost(what, s.last().mean, slower*random.last().mean))
		}
	}
	return gates
}

// survivalGates are what each of waggle's policies promises where some of the hosts
// die or leave, of those that were measured.
func survivalGates(of map[string]*summary) (gates []gate) {
	for name, s := range of {
		if name == "p2ptracker" {
			continue
		}
		gates = append(gates, atMost(s.name+", survivors that are never done", float64(s.never()), 0))
		if rival := of["p2ptracker"]; rival != nil {
			gates = append(gates, below(s.name+", survivors that are never done, against p2ptracker's", float64(s.never()), float64(rival.never())))
		}
	}
	slices.SortFunc(gates, func(a, b gate) int { return strings.Compare(a.what, b.what) })
	return gates
}
