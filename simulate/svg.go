package simulate

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strings"
)

// The picture: two plots beside each other, in pixels.
const (
	plotWidth  = 400.0
	plotHeight = 260.0
	plotTop    = 60.0
	leftPlot   = 60.0
	rightPlot  = leftPlot + plotWidth + 80
	picWidth   = rightPlot + plotWidth + 30
	legendTop  = plotTop + plotHeight + 60
	legendLine = 20.0
)

// Colours stand out on white and on black; the words follow the reader's preference.
var colours = []string{"#2f7ed8", "#e07b00", "#2a9d5c", "#d1495b", "#9b6bdf", "#8a8f98"}

//nolint:misspell // CSS spells a colour its own way
const style = `<style>
svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#222}.axis{stroke:#888;fill:none}.grid{stroke:#8884;fill:none}
.line{fill:none;stroke-width:2}.title{font-weight:600;font-size:15px}.end{text-anchor:end}.middle{text-anchor:middle}
@media(prefers-color-scheme:dark){svg{background:#16181c}text{fill:#e6e6e6}}
</style>
`

// WriteSVG draws reports: when how many hosts were done, and what went into each
// rack. The picture needs nothing but itself.
func WriteSVG(out io.Writer, reports []*Report) error {
	p := &picture{}
	height := legendTop + legendLine*float64(len(reports))
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" role="img" aria-label="waggle simulate">`+"\n", picWidth, height)
	p.add("%s", style)
	p.curves(reports)
	p.racks(reports)
	for i, r := range reports {
		y := legendTop + legendLine*float64(i)
		p.add(`<path class="line" stroke="%s"%s d="M%.0f %.1fh30"/>`, colour(i), dash(i), leftPlot, y-4)
		p.text(leftPlot+40, y, "", fmt.Sprintf("%s: last done after %s, %.2fx into a rack (at most %.2fx), %d left behind",
			r.Policy, r.seconds(r.Last), r.IntoMean, r.IntoMax, r.Behind))
	}
	p.add("</svg>\n")
	_, err := out.Write(p.Bytes())
	return err
}

type picture struct{ bytes.Buffer }

func (p *picture) add(format string, a ...any) { fmt.Fprintf(&p.Buffer, format, a...) }

func (p *picture) text(x, y float64, class, s string) {
	p.add(`<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(s))
}

func colour(i int) string { return colours[i%len(colours)] }

func dash(i int) string {
	if i < 3 {
		return ""
	}
	return ` stroke-dasharray="6 3"`
}

// frame draws a plot's axes and title.
func (p *picture) frame(x float64, title, under string) {
	p.text(x, plotTop-25, "title", title)
	p.text(x+plotWidth/2, plotTop+plotHeight+38, "middle", under)
	p.add(`<path class="axis" d="M%.1f %.1fv%.1fh%.1f"/>`+"\n", x, plotTop, plotHeight, plotWidth)
}

// across draws a line of the grid, named at its left.
func (p *picture) across(x, y float64, name string) {
	p.add(`<path class="grid" d="M%.1f %.1fh%.1f"/>`, x, y, plotWidth)
	p.text(x-6, y+4, "end", name)
}

// line draws points, of which x and y are 0 to 1, as a line of policy i.
func (p *picture) line(at float64, i int, points [][2]float64) {
	var d strings.Builder
	command := byte('M')
	for _, q := range points {
		fmt.Fprintf(&d, "%c%.1f %.1f", command, at+plotWidth*q[0], plotTop+plotHeight*(1-q[1]))
		command = 'L'
	}
	p.add(`<path class="line" stroke="%s"%s d="%s"/>`+"\n", colour(i), dash(i), d.String())
}

// maxPoints is how many points a curve is drawn with.
const maxPoints = 300

// curves draws when how many hosts were done.
func (p *picture) curves(reports []*Report) {
	p.frame(leftPlot, "Hosts that are done", "seconds since the first host started")
	for percent := 0; percent <= 100; percent += 25 {
		p.across(leftPlot, plotTop+plotHeight*(1-float64(percent)/100), fmt.Sprintf("%d %%", percent))
	}
	longest := 1e-3
	for _, r := range reports {
		longest = max(longest, r.Last)
	}
	step := niceStep(longest)
	for t := 0.0; t <= longest; t += step {
		p.text(leftPlot+plotWidth*t/longest, plotTop+plotHeight+18, "middle", fmt.Sprintf("%g", math.Round(t*1000)/1000))
	}
	for i, r := range reports {
		points := [][2]float64{{0, 0}}
		hosts := float64(max(r.Hosts, 1))
		each := max(len(r.Done)/maxPoints, 1)
		for k := 0; k < len(r.Done); k += each {
			x := r.Done[k] / longest
			points = append(points, [2]float64{x, float64(k) / hosts}, [2]float64{x, float64(min(k+each, len(r.Done))) / hosts})
		}
		p.line(leftPlot, i, append(points, [2]float64{1, float64(len(r.Done)) / hosts}))
	}
}

// niceStep returns 1, 2 or 5 times a power of ten, so that there are some five steps.
func niceStep(length float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(length/5)))
	for _, m := range []float64{1, 2, 5} {
		if length/(m*power) <= 6 {
			return m * power
		}
	}
	return 10 * power
}

// racks draws what went into each rack but the origin's, least first, on a logarithmic
// scale.
func (p *picture) racks(reports []*Report) {
	p.frame(rightPlot, "Bytes into each rack, as multiples of the file", "racks, those with least first")
	const least = 0.5
	most := 2.0
	for _, r := range reports {
		most = max(most, r.IntoMax*1.1)
	}
	height := func(v float64) float64 { return math.Log(max(v, least)/least) / math.Log(most/least) }
	for _, tick := range []float64{0.5, 1, 2, 5, 10, 20, 50, 100, 200} {
		if tick <= most {
			p.across(rightPlot, plotTop+plotHeight*(1-height(tick)), fmt.Sprintf("%gx", tick))
		}
	}
	for i, r := range reports {
		var into []float64
		for _, u := range r.Uplinks {
			if u.Height == 1 && !u.Origin {
				into = append(into, u.In/float64(r.Size))
			}
		}
		slices.SortFunc(into, cmp.Compare)
		var points [][2]float64
		for k := range into {
			n := float64(len(into))
			points = append(points, [2]float64{float64(k) / n, height(into[k])}, [2]float64{float64(k+1) / n, height(into[k])})
		}
		p.line(rightPlot, i, points)
	}
}
