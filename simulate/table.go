package simulate

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// WriteTable writes a line for each report, and below what its columns are.
func WriteTable(out io.Writer, reports []*Report) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "policy\tlast done\tmedian\tinto a rack\tat most\tout of origin's\ts above 90 %\tat most\tleft behind\t") // Flush tells
	for _, r := range reports {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%.2fx\t%.2fx\t%.2fx\t%.1f\t%d\t%d\t\n", r.Policy, r.seconds(r.Last), r.seconds(r.Median),
			r.IntoMean, r.IntoMax, r.OutOfOrigin, r.BusyMean, r.BusyMax, r.Behind)
	}
	return t.Flush()
}

// seconds writes when something was, if anybody was done at all.
func (r *Report) seconds(s float64) string {
	if r.Finished == 0 {
		return "never"
	}
	return fmt.Sprintf("%.1f s", s)
}

// WriteReplayed writes a line for each policy that announces were put to.
func WriteReplayed(out io.Writer, results []*Replayed) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "policy\tannounces\tpeers\tunlocated\tracks\trepresentatives\tat most\tedges\tat most\tcrossed at most\tstarving\t") // Flush tells
	for _, r := range results {
		_, _ = fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.2f\t%d\t%.1f\t%d\t%s\t%d\t\n", r.Policy, r.Announces, r.Peers, r.Unlocated, r.Groups,
			r.RepresentativesMean, r.RepresentativesMax, r.EdgesMean, r.EdgesMax, humanize.Bytes(uint64(r.Crossed)), r.Starving)
	}
	return t.Flush()
}
