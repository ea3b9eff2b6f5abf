package web

import (
	"slices"
	"strings"

	"waggle/console/client"
)

// drawing is a picture of the tree, as far as this tracker sees it: itself in the
// middle, its hub above, its leaves below. What it says with colours it says in words.
type drawing struct {
	Class         string // "broad": the leaves are in a row; "slim": in a column, for windows that are narrow
	Width, Height int    // pixels
	Boxes         []drawnBox
	Lines         []drawnLine
	Text          string // the same in words
}

// drawnBox is a tracker. Its texts stand around (X, Y), its middle.
type drawnBox struct {
	X, Y       int
	Name, Note string
	State      string // of the link with it, as a class of the style; "self" for this tracker, "rest" for several
}

// Width is that of a box.
func (drawnBox) Width() int { return boxWidth }

// Height is that of a box.
func (drawnBox) Height() int { return boxHeight }

// Left is where a box begins.
func (b drawnBox) Left() int { return b.X - boxWidth/2 }

// Top is where a box begins.
func (b drawnBox) Top() int { return b.Y - boxHeight/2 }

// drawnLine is a link, or what leads to several.
type drawnLine struct {
	X1, Y1, X2, Y2 int
	State          string
}

// Measures of the drawing, in pixels.
const (
	boxWidth, boxHeight = 156, 50
	boxGap, rowGap      = 20, 46
	slimGap, indent     = 16, 44
	edge                = 2 // around all, for the strokes

	// Most boxes of leaves that are drawn: in a row as many as a page of 1280 pixels has
	// room for.
	mostBroad, mostSlim = 7, 12
)

// draw returns the drawings of links; none where there are no links.
func draw(l *client.Links) []drawing {
	if len(l.Links) == 0 {
		return nil
	}
	hub, leaves := sides(l.Links)
	self := drawnBox{Name: clip(l.Name, 16), Note: "this tracker", State: "self"}
	above := []drawnBox{self}
	if hub != nil {
		above = []drawnBox{{Name: clip(hub.Name, 16), Note: "hub, " + hub.State, State: hub.State}, self}
	}
	text := inWords(l.Name, hub, leaves)
	return []drawing{broad(above, boxesOf(leaves, mostBroad), text), slim(above, boxesOf(leaves, mostSlim), text)}
}

// broad draws trackers above each other, the last of which is this one, and leaves in a
// row below.
func broad(above, leaves []drawnBox, text string) drawing {
	n := max(len(leaves), 1)
	d := drawing{Class: "broad", Width: 2*edge + n*boxWidth + (n-1)*boxGap, Text: text}
	middle := d.Width / 2
	y := d.stack(above, middle, rowGap)
	for i, leaf := range leaves {
		leaf.X, leaf.Y = edge+boxWidth/2+i*(boxWidth+boxGap), y+boxHeight+rowGap
		d.Lines = append(d.Lines, drawnLine{middle, y + boxHeight/2, leaf.X, leaf.Top(), leaf.State})
		d.Boxes = append(d.Boxes, leaf)
	}
	d.end()
	return d
}

// slim draws leaves below each other, too.
func slim(above, leaves []drawnBox, text string) drawing {
	d := drawing{Class: "slim", Width: 2*edge + indent + boxWidth, Text: text}
	y := d.stack(above, edge+boxWidth/2, slimGap)
	trunk := edge + indent/3
	for i, leaf := range leaves {
		leaf.X, leaf.Y = d.Width-edge-boxWidth/2, y+(i+1)*(boxHeight+slimGap)
		d.Lines = append(d.Lines, drawnLine{trunk, leaf.Y, leaf.Left(), leaf.Y, leaf.State})
		d.Boxes = append(d.Boxes, leaf)
	}
	if len(leaves) > 0 {
		d.Lines = append(d.Lines, drawnLine{trunk, y + boxHeight/2, trunk, d.Boxes[len(d.Boxes)-1].Y, "several"})
	}
	d.end()
	return d
}

// stack puts boxes above each other, and returns where the middle of the last is.
func (d *drawing) stack(boxes []drawnBox, x, gap int) (y int) {
	for i, b := range boxes {
		y = edge + boxHeight/2 + i*(boxHeight+gap)
		if i > 0 {
			d.Lines = append(d.Lines, drawnLine{x, y - boxHeight/2 - gap, x, y - boxHeight/2, boxes[i-1].State})
		}
		b.X, b.Y = x, y
		d.Boxes = append(d.Boxes, b)
	}
	return y
}

// end makes the drawing as high as its last box demands.
func (d *drawing) end() { d.Height = d.Boxes[len(d.Boxes)-1].Y + boxHeight/2 + edge }

// boxesOf returns at most so many boxes. Where there are more leaves, those in trouble
// come first, and the last box stands for the rest.
func boxesOf(leaves []*client.Link, most int) (boxes []drawnBox) {
	rest := 0
	if len(leaves) > most {
		leaves = slices.Clone(leaves)
		slices.SortStableFunc(leaves, func(a, b *client.Link) int { return trouble(b) - trouble(a) })
		rest = len(leaves) - most + 1
		leaves = leaves[:most-1]
	}
	for _, leaf := range leaves {
		boxes = append(boxes, drawnBox{Name: clip(leaf.Name, 16), Note: "leaf, " + leaf.State, State: leaf.State})
	}
	if rest > 0 {
		boxes = append(boxes, drawnBox{Name: "and " + countText(rest) + " more", Note: "see the table", State: "rest"})
	}
	return boxes
}

// sides parts the hub, or nil, from leaves.
func sides(links []client.Link) (hub *client.Link, leaves []*client.Link) {
	for i := range links {
		if links[i].Role == client.RoleHub {
			hub = &links[i]
		} else {
			leaves = append(leaves, &links[i])
		}
	}
	return hub, leaves
}

// trouble is greater for what needs to be looked at.
func trouble(l *client.Link) int {
	return slices.Index([]string{client.LinkActive, client.LinkHealing, client.LinkConnecting, client.LinkSplit, client.LinkRefused}, l.State)
}

// maxNamed bounds the leaves that the words name.
const maxNamed = 50

// inWords says what a drawing shows.
func inWords(self string, hub *client.Link, leaves []*client.Link) string {
	text := "Tree of links. This tracker is " + self + ". "
	if hub != nil {
		text += "Its hub: " + hub.Name + " is " + hub.State + ". "
	}
	if len(leaves) == 0 {
		return text + "It has no leaves."
	}
	return text + "It has " + leavesText(len(leaves)) + ": " + named(leaves) + "."
}

func named(leaves []*client.Link) string {
	var all []string
	for i, l := range leaves {
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
