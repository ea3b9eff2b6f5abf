package web

import (
	"slices"
	"strings"

	"waggle/console/client"
)

// drawing is a picture of the tree, as far as this tracker sees it: itself in the
// middle, its hub above, its leaves below. What it says with colours it says in words.
type drawing struct {
	Width, Height int // pixels; 0: there is nothing to draw
	Boxes         []drawnBox
	Lines         []drawnLine
	Text          string // the same in words
}

// drawnBox is a tracker. Its texts stand around (X, Y), its middle.
type drawnBox struct {
	X, Y       int
	Left, Top  int
	Name, Note string
	State      string // of the link with it, as a class of the style; "self" for this tracker, "rest" for several
}

// Width is that of a box.
func (drawnBox) Width() int { return boxWidth }

// Height is that of a box.
func (drawnBox) Height() int { return boxHeight }

// drawnLine is a link.
type drawnLine struct {
	X1, Y1, X2, Y2 int
	State          string
}

// Measures of the drawing, in pixels.
const (
	boxWidth, boxHeight = 156, 50
	boxGap, rowGap      = 20, 46
	edge                = 2 // around all, for the strokes

	// maxDrawn bounds the leaves that are drawn; those that have a problem come first.
	maxDrawn = 12
)

// draw returns the drawing of links.
func draw(l *client.Links) drawing {
	if len(l.Links) == 0 {
		return drawing{}
	}
	hubs, leaves := sides(l.Links)
	rest := 0
	if len(leaves) > maxDrawn {
		slices.SortStableFunc(leaves, func(a, b *client.Link) int { return trouble(b) - trouble(a) })
		rest = len(leaves) - maxDrawn + 1
		leaves = leaves[:maxDrawn-1]
	}
	d := drawing{Text: inWords(l)}
	below := len(leaves)
	if rest > 0 {
		below++
	}
	widest := max(below, len(hubs), 1)
	d.Width = 2*edge + widest*boxWidth + (widest-1)*boxGap
	y := edge + boxHeight/2
	place := func(i, of int) (x int) {
		row := of*boxWidth + (of-1)*boxGap
		return (d.Width-row)/2 + i*(boxWidth+boxGap) + boxWidth/2
	}
	self := place(0, 1)
	for i, h := range hubs {
		d.add(place(i, len(hubs)), y, h.Name, "hub, "+h.State, h.State)
		d.Lines = append(d.Lines, drawnLine{place(i, len(hubs)), y + boxHeight/2, self, y + boxHeight/2 + rowGap, h.State})
	}
	if len(hubs) > 0 {
		y += boxHeight + rowGap
	}
	d.add(self, y, l.Name, "this tracker", "self")
	for i, leaf := range leaves {
		d.add(place(i, below), y+boxHeight+rowGap, leaf.Name, "leaf, "+leaf.State, leaf.State)
		d.Lines = append(d.Lines, drawnLine{self, y + boxHeight/2, place(i, below), y + boxHeight/2 + rowGap, leaf.State})
	}
	if rest > 0 {
		d.add(place(below-1, below), y+boxHeight+rowGap, "and "+countText(rest)+" more", "see the table", "rest")
	}
	if below > 0 {
		y += boxHeight + rowGap
	}
	d.Height = y + boxHeight/2 + edge
	return d
}

func (d *drawing) add(x, y int, name, note, state string) {
	d.Boxes = append(d.Boxes, drawnBox{X: x, Y: y, Left: x - boxWidth/2, Top: y - boxHeight/2, Name: clip(name, 16), Note: note, State: state})
}

// sides parts hubs, of which there is one at most, from leaves.
func sides(links []client.Link) (hubs, leaves []*client.Link) {
	for i := range links {
		if links[i].Role == client.RoleHub {
			hubs = append(hubs, &links[i])
		} else {
			leaves = append(leaves, &links[i])
		}
	}
	return hubs, leaves
}

// trouble is greater for what needs to be looked at.
func trouble(l *client.Link) int {
	return slices.Index([]string{client.LinkActive, client.LinkHealing, client.LinkConnecting, client.LinkSplit, client.LinkRefused}, l.State)
}

// maxNamed bounds the links that the words name.
const maxNamed = 50

// inWords says what a drawing shows.
func inWords(l *client.Links) string {
	hubs, leaves := sides(l.Links)
	text := "Tree of links. This tracker is " + l.Name + ". "
	if len(hubs) > 0 {
		text += "Its hub: " + named(hubs) + ". "
	}
	if len(leaves) == 0 {
		return text + "It has no leaves."
	}
	return text + "It has " + leavesText(len(leaves)) + ": " + named(leaves) + "."
}

func named(links []*client.Link) string {
	var all []string
	for i, l := range links {
		if i == maxNamed {
			all = append(all, "and more, as in the table")
			break
		}
		all = append(all, l.Name+" is "+l.State)
	}
	return strings.Join(all, ", ")
}

func leavesText(n int) string {
	if n == 1 {
		return "1 leaf"
	}
	return countText(n) + " leaves"
}
