package bench

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// WriteTable writes the report for people. The error is that of w.
func (r *Report) WriteTable(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintln(&b, r.summary())
	for i := range r.Results {
		r.Results[i].describe(&b, r, i)
	}
	if len(r.Results[0].Rounds) > 0 {
		b.WriteByte('\n')
		r.table(&b)
	}
	for i := range r.Results {
		r.Results[i].failures(&b, r.name(i))
	}
	if r.Interrupted {
		fmt.Fprintln(&b, "\ninterrupted: these are the figures so far")
	}
	_, err := b.WriteTo(w)
	return err
}

func (r *Report) summary() string {
	loop := r.Mode
	if r.Rate > 0 {
		loop += fmt.Sprintf(" at %s announces/s", comma(r.Rate))
	}
	if r.Spoofed > 0 {
		loop += fmt.Sprintf(" beside %s spoofed packets/s", comma(r.Spoofed))
	}
	if r.Connections != "" {
		loop += ", connections " + r.Connections
	}
	wanted := fmt.Sprintf("%d wanted", r.NumWant)
	if r.Protocol == "ws" {
		wanted = fmt.Sprintf("%d offers in an announce", r.Offers)
	}
	return fmt.Sprintf("%s: %s peers of %s torrents, %.0f %% seeders, %s; %s, %s under way at most from %d sources",
		r.Distribution, humanize.Comma(int64(r.Peers)), humanize.Comma(int64(r.TorrentsWithPeer)), 100*r.Seeders, wanted,
		loop, humanize.Comma(int64(r.UnderWay)), r.Sources)
}

// name tells two targets apart.
func (r *Report) name(target int) string {
	if len(r.Results) == 1 {
		return ""
	}
	return string(rune('A' + target))
}

func (t *Result) describe(b *bytes.Buffer, r *Report, target int) {
	fmt.Fprintln(b, strings.TrimSpace(r.name(target)+" "+t.URL))
	if f := t.Fill; f != nil {
		fmt.Fprintf(b, "  filled in %.1f s, %s answers/s, %s errors, %s timeouts\n",
			f.Seconds, comma(f.AnswersPerSecond), humanize.Comma(f.Errors), humanize.Comma(f.Timeouts))
		if f.RSSAfter > 0 {
			fmt.Fprintf(b, "  memory %s before, %s filled", iec(f.RSSBefore), iec(f.RSSAfter))
			if f.RSSAfter-f.RSSBefore > int64(r.Peers) { // else it keeps no peers
				fmt.Fprintf(b, ": %.0f B a peer, all in", per(float64(f.RSSAfter), float64(r.Peers)))
			}
			b.WriteByte('\n')
		}
	}
	if i := t.Idle; i != nil {
		fmt.Fprintf(b, "  %s connections open after %.1f s in which nobody announced", humanize.Comma(int64(i.Connections)), i.Seconds)
		if i.RSS > 0 {
			fmt.Fprintf(b, ": memory %s (%s without pages of files), %s B a connection, all in", iec(i.RSS), iec(i.Anonymous), comma(i.PerConnection))
		}
		b.WriteByte('\n')
	}
	if m := t.Memory; m != nil {
		verdict := "not flat"
		if m.Flat {
			verdict = "flat"
		}
		fmt.Fprintf(b, "  memory under churn: min %s, median %s, max %s in %s samples, spread %.1f %% of 5 %%: %s\n",
			iec(m.Min), iec(m.Median), iec(m.Max), humanize.Comma(int64(m.Samples)), 100*m.Spread, verdict)
	}
}

func (r *Report) table(b *bytes.Buffer) {
	var t bytes.Buffer
	row := (*Round).row
	if r.Protocol == "ws" {
		row = (*Round).signalRow
		fmt.Fprintln(&t, "round\tmessages/s\tin/s\tout/s\tannounces/s\toffers/s\tanswers/s\tp50\tp90\tp99\tp99.9\tmax\tto answer p50\tp99\terrors\ttimeouts\tunsent\tCPU here\tCPU there\tmessages/CPU s there\t")
	} else {
		fmt.Fprintln(&t, "round\tanswers/s\tpeers/answer\tp50\tp90\tp99\tp99.9\tmax\terrors\ttimeouts\tunsent\tCPU here\tCPU there\tanswers/CPU s there\t")
	}
	for n := range max(len(r.Results[0].Rounds), len(r.Results[len(r.Results)-1].Rounds)) {
		for i := range r.Results {
			if n < len(r.Results[i].Rounds) {
				row(&r.Results[i].Rounds[n], &t, r.name(i)+strconv.Itoa(n+1))
			}
		}
	}
	if len(r.Results[0].Rounds) > 1 {
		for i := range r.Results {
			row(&r.Results[i].Median, &t, strings.TrimSpace(r.name(i)+" median"))
		}
	}
	ratioOf := func(f float64) string { return fmt.Sprintf("%.3f", f) }
	switch ratio := r.Ratio; {
	case ratio == nil:
	case r.Protocol == "ws":
		fmt.Fprintf(&t, "A / B\t%s\t\t\t%.3f%s%s\t\n", orDash(ratio.Messages, ratioOf), ratio.AnswersPerSecond, strings.Repeat("\t", 15), orDash(ratio.MessagesPerServerCPU, ratioOf))
	default:
		fmt.Fprintf(&t, "A / B\t%.3f\t%.3f\t\t\t\t\t\t\t\t\t\t\t%s\t\n", ratio.AnswersPerSecond, ratio.PeersPerAnswer,
			orDash(ratio.PerServerCPU, ratioOf))
	}
	aligned := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = t.WriteTo(aligned) // and so to memory
	_ = aligned.Flush()
}

func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }

// signalRow writes the row of a round over WebSocket.
func (r *Round) signalRow(b *bytes.Buffer, name string) {
	s := cmp.Or(r.Signals, &Signals{})
	fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name,
		comma(s.Messages), comma(s.MessagesIn), comma(s.MessagesOut), comma(r.AnswersPerSecond), comma(s.Offers), comma(s.Answers),
		brief(r.Latency.P50), brief(r.Latency.P90), brief(r.Latency.P99), brief(r.Latency.P999), brief(r.Latency.Max),
		brief(s.Latency.P50), brief(s.Latency.P99),
		humanize.Comma(r.Errors), humanize.Comma(r.Timeouts), humanize.Comma(r.Unsent),
		seconds(r.GeneratorCPU), orDash(r.ServerCPU, seconds), orDash(s.PerServerCPU, comma))
}

func (r *Round) row(b *bytes.Buffer, name string) {
	fmt.Fprintf(b, "%s\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name,
		comma(r.AnswersPerSecond), r.PeersPerAnswer,
		brief(r.Latency.P50), brief(r.Latency.P90), brief(r.Latency.P99), brief(r.Latency.P999), brief(r.Latency.Max),
		humanize.Comma(r.Errors), humanize.Comma(r.Timeouts), humanize.Comma(r.Unsent),
		seconds(r.GeneratorCPU), orDash(r.ServerCPU, seconds), orDash(r.PerServerCPU, comma))
}

// failures says what the errors were, the most frequent first.
func (t *Result) failures(b *bytes.Buffer, name string) {
	said := t.Median.Failures
	mostFirst := func(a, b string) int { return cmp.Or(cmp.Compare(said[b], said[a]), strings.Compare(a, b)) }
	for _, what := range slices.SortedFunc(maps.Keys(said), mostFirst) {
		fmt.Fprintln(b, strings.TrimSpace(fmt.Sprintf("%s %s x %s", name, humanize.Comma(said[what]), strconv.Quote(what))))
	}
}

// brief writes microseconds to three digits.
func brief(microseconds float64) string {
	d := time.Duration(microseconds * 1e3)
	for unit := time.Duration(1); unit < time.Minute; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Second).String()
}

func comma(f float64) string { return humanize.Comma(int64(f + 0.5)) }

func iec(n int64) string { return humanize.IBytes(uint64(n)) }

// orDash writes a figure, or a dash for one that is not known.
func orDash(f float64, write func(float64) string) string {
	if f == 0 {
		return "-"
	}
	return write(f)
}
